/* SPDX-License-Identifier: MIT */
/* What the convolution kernels are given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_CONV_H
#define YOLO_KERNELS_CONV_H

/* out [batch][out_height][out_width][out_channels] =
 *   act (in [batch][in_height][in_width][in_channels] * weights + bias) + residual.
 * Pitches are elements from pixel to pixel. */
typedef struct {
  const void *in, *weights, *residual;  /* weights: yolo_conv_pack() */
  const float *bias;            /* [out_channels] */
  const float *scale;           /* [out_channels], int8 only: what 1 in a sum is worth */
  const float *residual_scale;  /* [out_channels], steps of the residual's grids, or NULL */
  void *out;
  int batch, in_height, in_width, out_height, out_width;
  int in_channels, out_channels, packed_channels;
  int in_pitch, out_pitch, residual_pitch;      /* residual_pitch 0: no residual */
  int kernel[2], stride[2], pad[2], dilation[2];        /* [0] rows, [1] columns */
  int groups;
  int act;                      /* YoloActivation */
  float alpha, beta;            /* the activation's own numbers */
  int residual_type, out_type;  /* YoloDType */
  float out_inverse;            /* of an output in int8: 1 / the step of its grid */
  /* [splits][pixels][out_channels] sums where K is split, else NULL */
  void *partial;
  int splits;
} YoloConvParams;

#endif
