/* SPDX-License-Identifier: MIT */
/* What the CPU's kernels work on: a plan's view with its address. */

#ifndef YOLO_CPU_TENSOR_H
#define YOLO_CPU_TENSOR_H

#include "network/plan.h"

/* Element (n, y, x, c) is at data + n * image + y * row + x * pixel + c * (size of dtype). A
 * pixel's channels are neighbours; between two pixels there may be channels of other views. */
typedef struct {
  char *data;                   /* NULL: no tensor */
  guint height, width, channels;
  gsize pixel, row, image;      /* bytes from one to the next */
  YoloDType dtype;
  /* [channels] the grids that bytes are on, real = (q - zero) * scale; NULL: numbers stand for
   * themselves */
  const float *scale;
  const gint32 *zero;
} YoloTensor;

static inline char *
yolo_tensor_at (const YoloTensor *t, gsize n, gsize y, gsize x)
{
  return t->data + n * t->image + y * t->row + x * t->pixel;
}

/* Whether no other channels lie between the pixels. */
static inline gboolean
yolo_tensor_dense (const YoloTensor *t)
{
  return t->pixel == t->channels * yolo_dtype_size (t->dtype);
}

/* A dense tensor of this shape at @data, on no grids. */
static inline YoloTensor
yolo_tensor_make (void *data, guint height, guint width, guint channels, YoloDType dtype)
{
  YoloTensor t = { data, height, width, channels, 0, 0, 0, dtype, NULL, NULL };
  t.pixel = (gsize) channels * yolo_dtype_size (dtype);
  t.row = width * t.pixel;
  t.image = height * t.row;
  return t;
}

#endif
