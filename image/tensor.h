/* SPDX-License-Identifier: MIT */
/* Grey levels as elements of a tensor: exact in every type. */

#ifndef YOLO_IMAGE_TENSOR_H
#define YOLO_IMAGE_TENSOR_H

#include "image/preprocess.h"

static inline uint32_t
yolo_float_bits (float v)
{
  union { float f; uint32_t u; } x = { .f = v };
  return x.u;
}

/* bfloat16 is the upper half of a float; eight bits of mantissa hold 0-255. */
static inline uint16_t
yolo_bf16_from_level (uint8_t v)
{
  return (uint16_t) (yolo_float_bits ((float) v) >> 16);
}

/* IEEE 754 binary16: scaling by 2^-112 makes up for the difference of the
 * exponents' biases (127 - 15), and 13 more bits of mantissa are dropped. */
static inline uint16_t
yolo_f16_from_level (uint8_t v)
{
  return (uint16_t) (yolo_float_bits ((float) v * 0x1p-112f) >> 13);
}

static inline void
yolo_tensor_set (void *dst, YoloDType type, size_t i, uint8_t v)
{
  switch (type) {
    case YOLO_U8:
      ((uint8_t *) dst)[i] = v;
      break;
    case YOLO_F32:
      ((float *) dst)[i] = v;
      break;
    case YOLO_F16:
      ((uint16_t *) dst)[i] = yolo_f16_from_level (v);
      break;
    case YOLO_BF16:
      ((uint16_t *) dst)[i] = yolo_bf16_from_level (v);
      break;
    case YOLO_S8:              /* has no place for levels above 127 */
      break;
  }
}

#endif
