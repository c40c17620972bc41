/* SPDX-License-Identifier: MIT */
/* What the back end runs besides oneDNN. The same C is compiled once per
 * instruction set; the best that the CPU has is taken at run time. */

#ifndef YOLO_CPU_KERNELS_H
#define YOLO_CPU_KERNELS_H

#include "cpu/conv.h"

G_BEGIN_DECLS

/* All work on the first n images of their tensors, on all the pool's threads, on
 * any mix of float types and bytes on grids; shapes must agree. */
typedef struct {
  /* repeat > 1: out holds in pooled once, twice, ... side by side; stride is 1
   * then. Bytes must be on the same grid in both. */
  void (*max_pool) (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n,
      guint kernel, guint stride, guint pad, guint repeat);
  void (*upsample) (
      YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, guint scale);
  void (*add) (
      YoloPool *pool, const YoloTensor *a, const YoloTensor *b, const YoloTensor *out, guint n);
  void (*act) (
      YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n, YoloActivation act);
  /* converts between types too; from U8 as well */
  void (*copy) (YoloPool *pool, const YoloTensor *in, const YoloTensor *out, guint n);
} YoloOps;

typedef struct {
  const char *name;             /* "baseline", "x86-64-v3", "x86-64-v4, VNNI", "Armv8, dotprod" */
  gboolean bf16;                /* the CPU multiplies bf16 */
  gboolean amx;                 /* and in tiles, many times faster than anything else */
  gboolean amx_int8;            /* bytes too */
  const YoloOps *ops;
  const YoloConvKernel *direct, *winograd;
  const YoloConvKernel *direct_bf16;    /* multiplies in bf16, or NULL */
  const YoloConvKernel *direct_int8;
  /* the same numbers to the last bit; NULL where direct_int8 is faster */
  const YoloConvKernel *winograd_int8;
} YoloKernels;

/* The @i-th set that this CPU can run, best first; NULL behind the last. */
const YoloKernels *yolo_cpu_kernels (guint i);

G_END_DECLS

#endif
