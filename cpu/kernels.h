/* SPDX-License-Identifier: MIT */
/* What the back end runs without oneDNN. The same C is compiled once per instruction set;
 * at run time the best that the CPU has is taken. */

#ifndef YOLO_CPU_KERNELS_H
#define YOLO_CPU_KERNELS_H

#include "cpu/conv.h"

G_BEGIN_DECLS

/* Channels of a head's query that attention takes at most. */
#define YOLO_ATTENTION_MAX_KEY 256

/* Attention, as YoloOps has operations. */
typedef void YoloAttention (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n,
    const YoloOpNumbers *numbers);

/* The operations besides convolutions. Each works on the first n images of its tensors, which
 * may be floats, bf16 or bytes on grids in any mix, with all of the pool's threads. Shapes
 * must agree. */
typedef struct {
  /* Where repeat is above 1, out holds in pooled once, twice, ... side by side, and stride
   * is 1. Bytes must be on the same grids in both. */
  void (*max_pool) (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n,
      guint kernel, guint stride, guint pad, guint repeat);
  void (*upsample) (
      YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint scale);
  void (*add) (
      YoloPool *pool, const YoloTensor *a, const YoloTensor *b, const YoloTensor *out, guint n);
  void (*act) (
      YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, YoloActivation act);
  /* the channels of a pixel become scale x scale pixels of out's channels, row by row */
  void (*shuffle) (
      YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint scale);
  /* the mean over all pixels of an image */
  void (*global_pool) (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n);
  /* also converts, from any of the types to any of them */
  void (*copy) (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n);
  YoloAttention *attention;     /* attention.c */
} YoloOps;

typedef struct {
  const char *name;             /* "baseline", "x86-64-v3", "x86-64-v4, VNNI", "Armv8, dotprod" */
  gboolean bf16;                /* the CPU multiplies bf16 */
  gboolean amx;                 /* it has AMX for bf16, many times faster than all else */
  gboolean amx_int8;            /* it has AMX for bytes */
  const YoloOps *ops;
  const YoloConvKernel *direct, *winograd;
  const YoloConvKernel *direct_bf16;    /* multiplies in bf16; NULL where the CPU does not */
  const YoloConvKernel *direct_int8;
  /* gives the same numbers to the last bit; NULL where direct_int8 is faster */
  const YoloConvKernel *winograd_int8;
} YoloKernels;

/* The @i-th instruction set that this CPU can run, counted from the best, 0; NULL: there are no
 * more. Thread-safe. */
const YoloKernels *yolo_cpu_kernels (guint i);

G_END_DECLS

#endif
