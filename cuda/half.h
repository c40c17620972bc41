/* SPDX-License-Identifier: MIT */
/* IEEE 754 binary16 on the host. */

#ifndef YOLO_CUDA_HALF_H
#define YOLO_CUDA_HALF_H

#include <glib.h>
#include <string.h>

/* Rounds to the nearest half, ties to even. What rounds beyond 65504 becomes infinity; a NaN
 * stays one. */
static inline guint16
yolo_half_from_float (float value)
{
  guint32 bits, sign, magnitude;

  memcpy (&bits, &value, 4);
  sign = bits >> 16 & 0x8000;
  magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return (guint16) (sign | 0x7e00);
  if (magnitude >= 0x477ff000)  /* rounds to 65536 or more */
    return (guint16) (sign | 0x7c00);
  if (magnitude < 0x38800000) {
    /* The result is subnormal, a multiple of 2^-24. That is also the value of the last bit of
     * a float between .5 and 1, so that adding .5 rounds to it. */
    float step = 0.5f;
    guint32 rounded;

    memcpy (&value, &magnitude, 4);
    value += step;
    memcpy (&rounded, &value, 4);
    return (guint16) (sign | (rounded - 0x3f000000));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return (guint16) (sign | ((magnitude - 0x38000000) >> 13));
}

static inline float
yolo_half_to_float (guint16 half)
{
  guint32 sign = (guint32) (half & 0x8000) << 16, bits = half & 0x7fff;
  float value;

  if (bits >= 0x7c00)
    bits = 0x7f800000 | (bits & 0x3ff) << 13;
  else if (bits >= 0x400)
    bits = (bits << 13) + 0x38000000;
  else {
    value = (float) bits * 0x1p-24f;
    memcpy (&bits, &value, 4);
  }
  bits |= sign;
  memcpy (&value, &bits, 4);
  return value;
}

#endif
