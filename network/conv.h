/* SPDX-License-Identifier: MIT */
/* Convolutions, activations and the grids of 8-bit numbers, as readers give
 * them, models hold them and back ends run them. */

#ifndef YOLO_NETWORK_CONV_H
#define YOLO_NETWORK_CONV_H

#include <glib.h>

#include "base/operation.h"

G_BEGIN_DECLS

/* 8 bits stand for a real number: (q - zero) * scale. */
typedef struct {
  float scale;                  /* 0: no grid */
  gint32 zero;
} YoloGrid;

#define YOLO_MAX_REG 64

/* What a quantised file does to a side's distribution: the softmax is rounded,
 * multiplied by bins that were rounded themselves, and so is the mean. Grids of
 * scale 0: not rounded. */
typedef struct {
  YoloGrid softmax, distance;
  float bins[YOLO_MAX_REG];     /* [reg_max], about 0, 1, 2, ... */
} YoloBoxRounding;

/* A convolution in whole numbers, whose input lies on grids:
 * sum (weights * (q - zero)) * multiplier + bias. Padding is with the zero points.
 * A file may say that the sum is rounded to a grid (0 to 255, less the zero
 * point) before the activation, within it, and again before the residual is added. */
typedef struct {
  gint8 *weights;               /* [out][in][kernel 0][kernel 1] */
  /* [out]; of steps of `sum`, where there is one, as the layer's bias is */
  float *multiplier;
  /* [out] what sum (weights * q) of all taps is too large by: sum (weights * zero),
   * less the part of the bias that a file has as a whole number */
  gint32 *offset;
  gint32 *zero;                 /* [in] */
  YoloGrid sum, sigmoid, act;   /* scale 0: not rounded there; sigmoid: the factor in SiLU */
} YoloInt8Conv;

/* A convolution with batch norm folded in. Cross-correlation as ONNX's Conv
 * defines it; padding is symmetric, zero. */
typedef struct {
  guint in_channels, out_channels;
  guint groups;
  guint kernel[2], stride[2], pad[2], dilation[2];      /* [0] rows, [1] columns */
  YoloActivation act;
  const float *weights;         /* [out][in / groups][kernel 0][kernel 1] */
  const float *bias;            /* [out], never NULL */
  /* [out]: the file has the weights as 8-bit multiples of it; or NULL */
  const float *weight_scale;
  /* of an int8 model, where the layer runs in int8; or NULL. groups is 1 then */
  const YoloInt8Conv *int8;
} YoloConv;

G_END_DECLS

#endif
