/* Grey levels as elements of a tensor: exact in every type. */

#ifndef YOLO_POSTPROCESS_TENSOR_H
#define YOLO_POSTPROCESS_TENSOR_H

#include "postprocess/preprocess.h"

static inline size_t
yolo_tensor_element_size (YoloTensorType type)
{
  return type == YOLO_TENSOR_U8 ? 1 : type == YOLO_TENSOR_F32 ? 4 : 2;
}

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
yolo_tensor_set (void *dst, YoloTensorType type, size_t i, uint8_t v)
{
  switch (type) {
    case YOLO_TENSOR_U8:
      ((uint8_t *) dst)[i] = v;
      break;
    case YOLO_TENSOR_F32:
      ((float *) dst)[i] = v;
      break;
    case YOLO_TENSOR_F16:
      ((uint16_t *) dst)[i] = yolo_f16_from_level (v);
      break;
    case YOLO_TENSOR_BF16:
      ((uint16_t *) dst)[i] = yolo_bf16_from_level (v);
      break;
  }
}

#endif
