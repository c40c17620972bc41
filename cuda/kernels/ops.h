/* SPDX-License-Identifier: MIT */
/* What the kernels of ops.cu are given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_OPS_H
#define YOLO_KERNELS_OPS_H

/* Tensors [batch][height][width][channels], pitches in elements from pixel to pixel. */
typedef struct {
  const void *in, *residual;
  void *out;
  int batch, in_height, in_width, out_height, out_width, channels;
  int in_pitch, residual_pitch, out_pitch;
  int kernel, stride, pad, repeat;      /* pooling */
  int scale;                    /* upsampling and shuffling; 1: a copy */
  int act;                      /* YoloActivation */
  float alpha, beta;            /* the activation's own numbers */
  /* For what computes or converts: types (YoloDType), and [channels] the steps of the grids
   * that int8 is on; NULL: it is on none. */
  int in_type, residual_type, out_type;
  const float *in_scale, *residual_scale, *out_scale;
} YoloOpsParams;

/* Pixels of a side of the square tiles that the chain of poolings works on. */
#define YOLO_CHAIN_TILE 16

/* Bytes of shared memory: the tile with its border, and the row maxima of each of the `repeat`
 * outputs. */
#define YOLO_CHAIN_SHARED(kernel, repeat, vector) \
  ((YOLO_CHAIN_TILE + 2 * (repeat) * ((kernel) / 2)) \
      * (YOLO_CHAIN_TILE + 2 * (repeat) * ((kernel) / 2) + (repeat) * YOLO_CHAIN_TILE) * (vector))

#endif
