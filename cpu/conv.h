/* SPDX-License-Identifier: MIT */
/* Our own convolutions: what they share. */

#ifndef YOLO_CPU_CONV_H
#define YOLO_CPU_CONV_H

#include "cpu/tensor.h"
#include "base/pool.h"

G_BEGIN_DECLS

/* One way to compute a convolution, compiled for one instruction set. All of
 * it reads and writes views, float or bf16, and computes the first n images:
 * out = act (conv (in) + bias) [+ residual]. */
typedef struct {
  const char *name;
  gboolean (*supports) (const YoloConv *conv);
  /* Bytes of packed weights with bias, and the packing. */
  gsize (*packed_size) (const YoloConv *conv);
  void (*pack) (const YoloConv *conv, void *packed);
  /* Bytes that a thread needs beside them, a multiple of 64. */
  gsize (*scratch) (const YoloConv *conv, const YoloTensor *in);
  /* @residual: data NULL for none; @scratch: of all the pool's threads, one after the other */
  void (*run) (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
      const YoloTensor *residual, const YoloTensor *out, guint n, char *scratch);
} YoloConvKernel;

G_END_DECLS

#endif
