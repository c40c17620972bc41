/* SPDX-License-Identifier: MIT */
/* The operations of a plan that are no convolution, and hardly compute: they
 * cost the bytes that they move. Definition: tests/network/plan-reference.c. */

#ifndef YOLO_CUDA_OPS_H
#define YOLO_CUDA_OPS_H

#include "cuda/device.h"
#include "network/plan.h"

G_BEGIN_DECLS

/* An operation on addresses; views as in cuda/conv.h. */
typedef struct {
  /* POOL, UPSAMPLE, ADD, ACT, COPY: kernel, stride, pad, repeat, scale, act */
  const YoloOp *op;
  /* YOLO_F32, YOLO_F16, YOLO_S8. Poolings and upsampling have one for all. */
  YoloDType in_dtype, residual_dtype, out_dtype;
  /* [channels] f32 of views in YOLO_S8: steps of the grids. 0: as the numbers are,
   * where in and out are on the same. */
  CUdeviceptr in_scale, residual_scale, out_scale;
  guint batch, in_height, in_width, out_height, out_width;
  guint channels;               /* of in; a chain of poolings writes `repeat` times as many */
  CUdeviceptr in, residual, out;        /* of the first element of each view */
  guint in_pitch, residual_pitch, out_pitch;    /* elements from pixel to pixel */
} YoloOpsTask;

/* Enqueues it, also into a stream that is captured. In the device's context. */
gboolean yolo_ops_launch (
    YoloCudaDevice *device, const YoloOpsTask *task, CUstream stream, GError **error);

G_END_DECLS

#endif
