/* SPDX-License-Identifier: MIT */
/* What the back end runs. The same C is compiled once per instruction set;
 * at run time the best that the CPU has is taken. */

#ifndef YOLO_CPU_KERNELS_H
#define YOLO_CPU_KERNELS_H

#include "cpu/conv.h"

G_BEGIN_DECLS

/* Channels of a head's query that attention takes at most. */
#define YOLO_ATTENTION_MAX_KEY 256

/* Runs an operation, of which @numbers are, on the first n images of its tensors, with all of the
 * pool's threads. Tensors may be floats, bf16 or bytes on grids in any mix; shapes must agree.
 * A pooling whose repeat is above 1 takes bytes on the same grids in and out.
 * @residual: what is added; without data where nothing is */
typedef void YoloOpFunc (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n);

/* The operations besides convolutions, by YoloOpType; NULL: the CPU does not run it. */
typedef struct {
  YoloOpFunc *run[YOLO_N_OPERATIONS];
} YoloOps;

typedef struct {
  const char *name;             /* "baseline", "x86-64-v3", "x86-64-v4, VNNI", "Armv8, dotprod" */
  gboolean bf16;                /* the CPU multiplies bf16 */
  gboolean amx;                 /* direct_bf16 uses AMX, many times faster than all else */
  const YoloOps *ops;
  const YoloConvKernel *direct, *winograd, *depthwise;
  /* for maps in bf16; NULL where the CPU does not multiply it */
  const YoloConvKernel *direct_bf16, *depthwise_bf16;
  const YoloConvKernel *direct_int8;
  /* gives the same numbers to the last bit; NULL where direct_int8 is faster */
  const YoloConvKernel *winograd_int8;
} YoloKernels;

/* The @i-th instruction set that this CPU can run, counted from the best, 0; NULL: there are no
 * more. Thread-safe. */
const YoloKernels *yolo_cpu_kernels (guint i);

G_END_DECLS

#endif
