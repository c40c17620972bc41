/* SPDX-License-Identifier: MIT */
/* Convolutions, activations and the grids of 8-bit numbers, as readers give
 * them, models hold them and back ends run them. */

#ifndef YOLO_NETWORK_CONV_H
#define YOLO_NETWORK_CONV_H

#include <glib.h>

#include "base/operation.h"

G_BEGIN_DECLS

/* What 8 bits stand for: q for the real number (q - zero) * scale. */
typedef struct {
  float scale;                  /* 0: the numbers are on no grid */
  gint32 zero;
} YoloGrid;

#define YOLO_MAX_REG 64

/* What a quantised file rounds when it computes the distance of a box's side as the mean
 * over a distribution: the softmax to a grid, the bins, and the mean to another grid. A
 * grid of scale 0: not rounded. */
typedef struct {
  YoloGrid softmax, distance;
  float bins[YOLO_MAX_REG];     /* [reg_max], in place of 0, 1, 2, ... */
} YoloBoxRounding;

/* A convolution in whole numbers, whose input lies on grids: sum (weights * (q - zero)) *
 * multiplier + bias. Padding is with the zero points. A file may say that the sum is
 * rounded to a grid (0 to 255, less the zero point) before the activation, within the
 * activation, and again before the residual is added. */
typedef struct {
  gint8 *weights;               /* [out][in][kernel 0][kernel 1] */
  /* [out]; where the sum is rounded, in steps of the grid `sum`, as the layer's bias is then */
  float *multiplier;
  /* [out]: by how much sum (weights * q) of all taps is too large: sum (weights * zero),
   * less the part of the bias that a file has as a whole number */
  gint32 *offset;
  gint32 *zero;                 /* [in] */
  /* scale 0: not rounded there; sigmoid: what SiLU, or HARD_SWISH, multiplies its input by */
  YoloGrid sum, sigmoid, act;
} YoloInt8Conv;

/* A convolution with batch norm folded in. It is the cross-correlation that ONNX's Conv
 * defines; padding is with zeros, the same on both sides. */
typedef struct {
  guint in_channels, out_channels;
  guint groups;
  guint kernel[2], stride[2], pad[2], dilation[2];      /* [0] rows, [1] columns */
  YoloActivation act;
  float alpha, beta;            /* the activation's own numbers */
  const float *weights;         /* [out][in / groups][kernel 0][kernel 1] */
  const float *bias;            /* [out], never NULL */
  /* [out]: the file has the weights as 8-bit multiples of it; or NULL */
  const float *weight_scale;
  /* how it runs in int8, with groups of 1; NULL: it runs in floats */
  const YoloInt8Conv *int8;
} YoloConv;

G_END_DECLS

#endif
