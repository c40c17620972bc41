/* SPDX-License-Identifier: MIT */
/* The types of numbers that tensors hold. */

#ifndef YOLO_BASE_TYPE_H
#define YOLO_BASE_TYPE_H

#include <stddef.h>

typedef enum {
  YOLO_F32,
  YOLO_F16,                     /* IEEE 754 binary16 */
  YOLO_BF16,                    /* the upper half of an F32 */
  YOLO_U8,
  YOLO_S8,
} YoloDType;

/* Bytes of one element. */
size_t yolo_dtype_size (YoloDType dtype);
/* "f32", "f16", "bf16", "u8", "s8". */
const char *yolo_dtype_name (YoloDType dtype);

#endif
