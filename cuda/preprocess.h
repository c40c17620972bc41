/* SPDX-License-Identifier: MIT */
/* Frames on the device, letterboxed, into the network's input: one launch a batch. */

#ifndef YOLO_CUDA_PREPROCESS_H
#define YOLO_CUDA_PREPROCESS_H

#include "cuda/device.h"
#include "cuda/kernels/preprocess.h"
#include "image/frame.h"
#include "image/letterbox.h"

G_BEGIN_DECLS

/* @frame: in device memory, any format, pitch-linear; checked as engine/stream.c does it */
void yolo_cuda_preprocess_describe (
    YoloCudaFrame *description, const YoloFrame *frame, const YoloLetterbox *box);
/* A place of the batch without a frame. */
void yolo_cuda_preprocess_idle (YoloCudaFrame *description);

/**
 * yolo_cuda_preprocess_launch:
 * @frames: [batch] descriptions on the device
 * @channels: of @out, 3 or more; those beyond R G B are written as zero
 * @dtype: of @out: YOLO_F32 and YOLO_F16 hold levels 0 to 255, YOLO_S8 rint (level / scale), at
 *   most 127
 * @out: [batch][height][width][channels], 16-byte aligned
 *
 * Enqueues it, also into a stream that is captured. The result equals
 * yolo_preprocess_reference(). In the device's context.
 */
gboolean yolo_cuda_preprocess_launch (YoloCudaDevice *device, CUdeviceptr frames, guint batch,
    guint height, guint width, guint channels, YoloDType dtype, float scale, CUdeviceptr out,
    CUstream stream, GError **error);

G_END_DECLS

#endif
