/* SPDX-License-Identifier: MIT */
/* Frames that kernels cannot read where they lie: brought to the device. */

#ifndef YOLO_CUDA_UPLOAD_H
#define YOLO_CUDA_UPLOAD_H

#include "cuda/device.h"
#include "image/frame.h"

G_BEGIN_DECLS

/* Space for the frames of one batch, pinned on the host and on the device;
 * grows with the frames and is kept. Zeroed: empty. */
typedef struct {
  guint8 *pinned;
  CUdeviceptr memory;
  gsize pinned_size, memory_size;
  CUcontext primary;            /* of the device, retained once it was needed */
} YoloUpload;

/**
 * yolo_upload_frames:
 * @frames: n frames, checked as engine/stream.c does it
 * @ready: set to the same frames with planes that kernels in the device's context can read
 *
 * Enqueues the copies of what lies on the host (through pinned memory, one
 * copy a frame) or in another context; frames in the device's own context are
 * used in place. @stream waits for the streams that write the frames. The copies
 * of the batch before on the same @upload must be over. In the device's context.
 *
 * @event: of the caller, free to be recorded anew
 *
 * Returns: FALSE with @error; what was enqueued may still run
 */
gboolean yolo_upload_frames (YoloUpload *upload, YoloCudaDevice *device, const YoloFrame *frames,
    guint n, YoloFrame *ready, CUstream stream, CUevent event, GError **error);
/* As YoloBackend.unknown_plane. In the device's context. */
int yolo_upload_unknown_plane (YoloCudaDevice *device, const YoloFrame *frame);

void yolo_upload_clear (YoloUpload *upload, YoloCudaDevice *device);

G_END_DECLS

#endif
