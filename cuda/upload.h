/* SPDX-License-Identifier: MIT */
/* Brings frames to the device which kernels cannot read where they lie. */

#ifndef YOLO_CUDA_UPLOAD_H
#define YOLO_CUDA_UPLOAD_H

#include "cuda/device.h"
#include "image/frame.h"

G_BEGIN_DECLS

/* Memory for the frames of one batch, on the device and, pinned, on the host. It grows with
 * the frames and is kept. All zero: there is none yet. */
typedef struct {
  guint8 *pinned;
  CUdeviceptr memory;
  gsize pinned_size, memory_size;
  /* A primary context that frames lie in and the device's context is not, retained, and the device
   * that it is of. NULL: none was needed yet. */
  CUcontext primary;
  CUdevice primary_of;
} YoloUpload;

/**
 * yolo_upload_frames:
 * @frames: [n] frames, checked as engine/stream.c does it
 * @ready: (out): [n] the same frames, with planes that kernels in the device's context can read
 *
 * @event: an event of the caller's that may be recorded anew
 *
 * Enqueues copies of the frames that lie on the host, one copy a frame through pinned
 * memory, and of those that lie in another context; frames in the device's own context are
 * used in place. @stream waits for the streams that write the frames. The copies of an
 * earlier batch with the same @upload must be over. Called in the device's context.
 *
 * Returns: FALSE with @error; what was enqueued may still run
 */
gboolean yolo_upload_frames (YoloUpload *upload, YoloCudaDevice *device, const YoloFrame *frames,
    guint n, YoloFrame *ready, CUstream stream, CUevent event, GError **error);
/* What YoloBackend.unknown_plane promises. Called in the device's context. */
int yolo_upload_unknown_plane (YoloCudaDevice *device, const YoloFrame *frame);

/* Frees the memory, in the device's context. */
void yolo_upload_clear (YoloUpload *upload, YoloCudaDevice *device);

G_END_DECLS

#endif
