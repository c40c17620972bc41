/* SPDX-License-Identifier: MIT */
/* What our own ways to compute a convolution have in common. */

#ifndef YOLO_CPU_CONV_H
#define YOLO_CPU_CONV_H

#include "cpu/tensor.h"
#include "base/pool.h"

G_BEGIN_DECLS

/* One way to compute a convolution, compiled for one instruction set:
 * out = act (conv (in) + bias) [+ residual] for the first n images, on views whose
 * channels are in floats, in bf16, or in bytes on grids. */
typedef struct {
  const char *name;
  gboolean (*supports) (const YoloConv *conv);
  /* bytes of the packed weights, bias included */
  gsize (*packed_size) (const YoloConv *conv);
  /* writes the packed weights */
  void (*pack) (const YoloConv *conv, void *packed);
  /* bytes of scratch memory that each thread needs, a multiple of 64 */
  gsize (*scratch) (const YoloConv *conv, const YoloTensor *in);
  /* @residual: its data is NULL where there is none; @scratch: memory for all threads of the
   * pool, one after the other */
  void (*run) (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
      const YoloTensor *residual, const YoloTensor *out, guint n, char *scratch);
} YoloConvKernel;

/* How large the blocks are that @total rows or pixels of an image are cut into: at most @block,
 * and where there are few blocks, so that each thread gets as many as the others. */
static inline guint
even_block (guint total, guint block, guint images, guint threads)
{
  guint blocks = (total + block - 1) / block;

  if (images * blocks < 8 * threads)
    blocks = (blocks + threads - 1) / threads * threads;
  return (total + blocks - 1) / blocks;
}

G_END_DECLS

#endif
