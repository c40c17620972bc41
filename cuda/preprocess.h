/* SPDX-License-Identifier: MIT */
/* Letterboxes frames on the device into the network's input, all of a batch in one launch. */

#ifndef YOLO_CUDA_PREPROCESS_H
#define YOLO_CUDA_PREPROCESS_H

#include "cuda/device.h"
#include "cuda/kernels/preprocess.h"
#include "image/frame.h"
#include "image/letterbox.h"

G_BEGIN_DECLS

/* Describes a frame to the kernel. @frame: in pitch-linear device memory, of any format, and
 * checked as engine/stream.c does it; @box: its place in the network's input. */
void yolo_cuda_preprocess_describe (
    YoloCudaFrame *description, const YoloFrame *frame, const YoloLetterbox *box);
/* Describes a place of the batch that has no frame: all of it becomes border. */
void yolo_cuda_preprocess_idle (YoloCudaFrame *description);

/**
 * yolo_cuda_preprocess_launch:
 * @frames: [batch] descriptions on the device
 * @channels: channels of @out, 3 or more; those behind R G B are written as zero
 * @dtype: type of @out: YOLO_F32 and YOLO_F16 hold levels 0 to 255, YOLO_S8 holds
 *   rint (level / scale), at most 127
 * @out: [batch][height][width][channels], 16-byte aligned
 *
 * Enqueues the preprocessing of a batch; the stream may be one that is captured. The result
 * equals yolo_preprocess_reference(). Called in the device's context.
 */
gboolean yolo_cuda_preprocess_launch (YoloCudaDevice *device, CUdeviceptr frames, guint batch,
    guint height, guint width, guint channels, YoloDType dtype, float scale, CUdeviceptr out,
    CUstream stream, GError **error);

G_END_DECLS

#endif
