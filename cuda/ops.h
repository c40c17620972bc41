/* SPDX-License-Identifier: MIT */
/* The operations of a plan that are no convolutions. All but attention hardly compute: their time
 * is that of the bytes that they move. Definition: backend/reference.c. */

#ifndef YOLO_CUDA_OPS_H
#define YOLO_CUDA_OPS_H

#include "cuda/device.h"
#include "network/plan.h"

G_BEGIN_DECLS

/* An operation with the addresses of its views, which are described in cuda/conv.h. */
typedef struct {
  const YoloOp *op;             /* any but a convolution */
  /* YOLO_F32, YOLO_F16 or YOLO_S8. Poolings and upsampling have the same type in and out. */
  YoloDType in_dtype, residual_dtype, out_dtype;
  /* [channels] f32, the steps of the grids of views in YOLO_S8. All are 0 where bytes are
   * moved as they are, since in and out are on the same grids. */
  CUdeviceptr in_scale, residual_scale, out_scale;
  guint batch, in_height, in_width, out_height, out_width;
  /* of in; a chain of poolings writes `repeat` times as many, attention those of the values; a
   * shuffle: of out */
  guint channels;
  CUdeviceptr in, residual, out;        /* of the first element of each view */
  guint in_pitch, residual_pitch, out_pitch;    /* elements from pixel to pixel */
} YoloOpsTask;

/* Whether there is a kernel for an operation. @converts: its views are of two types, or on two
 * grids. */
gboolean yolo_ops_supports (const YoloOp *op, gboolean converts);

/* Enqueues an operation; the stream may be one that is captured. Called in the device's
 * context. */
gboolean yolo_ops_launch (
    YoloCudaDevice *device, const YoloOpsTask *task, CUstream stream, GError **error);

G_END_DECLS

#endif
