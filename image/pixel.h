/* SPDX-License-Identifier: MIT */
/* The arithmetic of preprocess, one value at a time: what the C definition and
 * the CUDA kernel are both made of. */

#ifndef YOLO_IMAGE_PIXEL_H
#define YOLO_IMAGE_PIXEL_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define YOLO_PIXEL static __host__ __device__ __forceinline__
#else
#define YOLO_PIXEL static inline
#endif

YOLO_PIXEL int
yolo_clamp_level (int32_t v)
{
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* From the pixel (x, y) of the upright picture, which has width x height, to that
 * of the frame's part, by YOLO_TURN_* of frame.h. */
YOLO_PIXEL void
yolo_turn_pixel (unsigned turn, int width, int height, int *x, int *y)
{
  int across = turn & 1 ? *y : *x, down = turn & 1 ? *x : *y;

  *x = turn & 2 ? (turn & 1 ? height : width) - 1 - across : across;
  *y = turn & 4 ? (turn & 1 ? width : height) - 1 - down : down;
}

/* One of R G B: a row of YoloColour's factors and its offset, from Y U V. */
YOLO_PIXEL int
yolo_colour_level (const int32_t *factor, int32_t offset, int32_t y, int32_t u, int32_t v)
{
  return yolo_clamp_level ((factor[0] * y + factor[1] * u + factor[2] * v + offset) >> 16);
}

/* The luma of R'G'B', in 256ths that add up to 256. Source: ITU-R BT.601-7, section 2.5.1. */
YOLO_PIXEL int
yolo_luma (int r, int g, int b)
{
  return (77 * r + 150 * g + 29 * b + 128) >> 8;
}

/* The mean of @n values of 8 or 10 bits, as a level of 8: the nearest, but 1023 is 255. */
YOLO_PIXEL uint8_t
yolo_mean_level (unsigned sum, unsigned n, int bits)
{
  return (uint8_t) yolo_clamp_level ((int32_t) ((sum + (n << (bits - 8)) / 2) / (n << (bits - 8))));
}

/* Levels at (column, row) a 00, b 10, c 01, d 11. YOLO_SCALE_HALF. */
YOLO_PIXEL int
yolo_scale_half (int a, int b, int c, int d)
{
  return (a + b + c + d + 2) >> 2;
}

/* YOLO_SCALE_LINEAR: weights of the columns and the rows in 2048ths. */
YOLO_PIXEL int
yolo_scale_linear (int a, int b, int c, int d, int x0, int x1, int y0, int y1)
{
  int top = (a * x0 + b * x1) >> 4, bottom = (c * x0 + d * x1) >> 4;

  return (((top * y0) >> 16) + ((bottom * y1) >> 16) + 2) >> 2;
}

/* Source pixels per destination pixel. */
YOLO_PIXEL double
yolo_tap_ratio (int n_src, int n_dst)
{
  return 1 / ((double) n_dst / n_src);
}

/* The first of the two source positions of destination position i, and the
 * weight of each in 2048ths. The precision of each step is OpenCV's, found by
 * comparison with cv2 4.12 and 5.0 on random sizes: the ratio in double through
 * its inverse, the position rounded to float, the weights to 11 bits, a middle
 * to even. */
YOLO_PIXEL int
yolo_tap_at (int i, double ratio, int *weight0, int *weight1)
{
#ifdef __CUDA_ARCH__
  /* two roundings, not the one of a fused multiply-add */
  float position = (float) __dadd_rn (__dmul_rn (i + 0.5, ratio), -0.5);
#else
  float position = (float) ((i + 0.5) * ratio - 0.5);
#endif
  float whole = floorf (position), part = position - whole;

  *weight0 = (int) rintf ((1 - part) * 2048);
  *weight1 = (int) rintf (part * 2048);
  return (int) whole;
}

/* A filter as wide as the scale, for sizes that shrink: Pillow's resize() with BILINEAR, in
 * whole numbers. A level is the sum of the sources' levels times their weights, which
 * are 2^22ths, with YOLO_FILTER_HALF added, through yolo_filter_level().
 * Source: Pillow, src/libImaging/Resample.c. */
#define YOLO_FILTER_BITS 22
#define YOLO_FILTER_HALF (1 << (YOLO_FILTER_BITS - 1))

YOLO_PIXEL uint8_t
yolo_filter_level (int32_t sum)
{
  return (uint8_t) yolo_clamp_level (sum >> YOLO_FILTER_BITS);
}

/* Where place @x of an axis of @src pixels scaled to @dst takes its level from: the position of
 * its middle, how far the filter reaches to both sides, the first source and their number. */
typedef struct {
  double centre, support;
  int first, n;
} YoloFilter;

YOLO_PIXEL YoloFilter
yolo_filter_at (int x, int src, int dst)
{
  double scale = (double) src / dst;
  YoloFilter filter;
  int end;

  filter.support = scale < 1 ? 1 : scale;
  filter.centre = (x + 0.5) * scale;
  filter.first = (int) (filter.centre - filter.support + 0.5);
  end = (int) (filter.centre + filter.support + 0.5);
  filter.first = filter.first < 0 ? 0 : filter.first;
  filter.n = (end < src ? end : src) - filter.first;
  return filter;
}

/* The height of the triangle over the filter's k-th source. */
YOLO_PIXEL double
yolo_filter_height (const YoloFilter *filter, int k)
{
  double position = k + filter->first - filter->centre + 0.5;
#ifdef __CUDA_ARCH__
  /* two roundings, not the one of a fused multiply-add */
  double height = __dadd_rn (1, -fabs (__dmul_rn (position, 1 / filter->support)));
#else
  double height = 1 - fabs (position * (1 / filter->support));
#endif

  return height > 0 ? height : 0;
}

/* What the heights are multiplied by so that their sum is 1. */
YOLO_PIXEL double
yolo_filter_norm (const YoloFilter *filter)
{
  double sum = 0;

  for (int k = 0; k < filter->n; k++)
    sum += yolo_filter_height (filter, k);
  return sum != 0 ? 1 / sum : 1;
}

YOLO_PIXEL int32_t
yolo_filter_weight (const YoloFilter *filter, double norm, int k)
{
  double weight = yolo_filter_height (filter, k) * norm;
  return (int32_t) (0.5 + weight * (1 << YOLO_FILTER_BITS));
}

#endif
