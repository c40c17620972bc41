/* SPDX-License-Identifier: MIT */
/* DeepStream's surfaces (caps with memory:NVMM), read without its SDK: the
 * layout is that of NvBufSurface in nvbufsurface.h, DeepStream 6.2 to 9.1. */

#ifndef YOLO_NVMM_H
#define YOLO_NVMM_H

#include <gst/gst.h>

#include "image/frame.h"

G_BEGIN_DECLS

#define YOLO_CAPS_FEATURE_NVMM "memory:NVMM"

/* nvstreammux makes batches of up to 1024 frames; a network keeps up with far fewer
 * cameras. */
#define YOLO_NVMM_MAX_FRAMES 256

/**
 * yolo_nvmm_read:
 * @data: what a mapped buffer holds: one NvBufSurface
 * @size: bytes of @data
 * @device: number of the GPU that the frames must be on, as CUDA counts
 * @frames: [YOLO_NVMM_MAX_FRAMES], set to the surface's filled frames
 * @n: (out): how many frames are filled
 *
 * Nothing that the surface says is used before it is checked.
 *
 * Returns: FALSE with @error (GST_STREAM_ERROR) that says what is wrong with it
 */
gboolean yolo_nvmm_read (
    const void *data, gsize size, guint device, YoloFrame *frames, guint *n, GError **error);

/* Number of the GPU that a surface, data as above, says that it is on; 0: @data is too short for
 * one, which yolo_nvmm_read() refuses. */
guint yolo_nvmm_device (const void *data, gsize size);

G_END_DECLS

#endif
