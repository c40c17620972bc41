/* SPDX-License-Identifier: MIT */
/* Names, and loads and stores of single numbers, for the files that are compiled once per
 * instruction set. */

#ifndef YOLO_CPU_SIMD_H
#define YOLO_CPU_SIMD_H

#include <math.h>
#include <string.h>
#include "cpu/tensor.h"

/* YOLO_ISA names the instruction set that a file is compiled for; YOLO_NAME (x) is x with that
 * as its suffix, so that all variants can be linked together. */
#define YOLO_JOIN_(a, b) a##_##b
#define YOLO_JOIN(a, b) YOLO_JOIN_ (a, b)
#define YOLO_NAME(name) YOLO_JOIN (name, YOLO_ISA)

/* bf16 is the upper half of a float; rounding is to nearest even, and a NaN stays one. */
static inline float
bf16_to_f32 (guint16 b)
{
  guint32 u = (guint32) b << 16;
  float f;
  memcpy (&f, &u, 4);
  return f;
}

static inline guint16
f32_to_bf16 (float f)
{
  guint32 u;
  memcpy (&u, &f, 4);
  guint32 r = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return f != f ? u >> 16 | 0x40 : r;
}

/* Numbers to and from floats; bytes are the whole numbers that they are, without their grid. */
static inline void
load_f32 (float *restrict to, const void *restrict from, guint n, YoloDType dtype)
{
  if (dtype == YOLO_F32) {
    memcpy (to, from, n * sizeof (float));
  } else if (dtype == YOLO_BF16) {
    const guint16 *p = from;
    for (guint i = 0; i < n; i++)
      to[i] = bf16_to_f32 (p[i]);
  } else {
    const guint8 *p = from;
    for (guint i = 0; i < n; i++)
      to[i] = p[i];
  }
}

static inline void
store_f32 (void *restrict to, const float *restrict from, guint n, YoloDType dtype)
{
  if (dtype == YOLO_F32) {
    memcpy (to, from, n * sizeof (float));
  } else {
    guint16 *p = to;
    for (guint i = 0; i < n; i++)
      p[i] = f32_to_bf16 (from[i]);
  }
}

/* Loads @n channels of a pixel from channel @c on, which is at @from, as real numbers. */
static inline void
load_real (float *restrict to, const YoloTensor *t, const char *restrict from, guint c, guint n)
{
  load_f32 (to, from, n, t->dtype);
  if (t->scale)
    for (guint i = 0; i < n; i++)
      to[i] = (to[i] - (float) t->zero[c + i]) * t->scale[c + i];
}

/* Stores real numbers as channels from @c on: bytes as the nearest of their grid, ties to even,
 * as network/int8.h says. Adding 1.5 * 2^23 rounds a float to a whole number. */
static inline void
store_real (char *restrict to, const YoloTensor *t, guint c, const float *restrict from, guint n)
{
  guint8 *p = (guint8 *) to;

  if (t->dtype != YOLO_U8) {
    store_f32 (to, from, n, t->dtype);
    return;
  }
  for (guint i = 0; i < n; i++) {
    float low = (float) -t->zero[c + i], v = from[i] / t->scale[c + i];
    v = v > low ? v : low;
    v = v < low + 255 ? v : low + 255;
    p[i] = (guint8) ((gint32) ((v + 12582912.f) - 12582912.f) + t->zero[c + i]);
  }
}

#endif
