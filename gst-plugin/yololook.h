/* SPDX-License-Identifier: MIT */
/* Small pictures of frames, in whatever memory these lie. The functions are called by the
 * streaming thread of an element. */

#ifndef YOLO_LOOK_H
#define YOLO_LOOK_H

#include <gst/gst.h>

#include "gst-plugin/yolodrawer.h"
#include "image/motion.h"

G_BEGIN_DECLS

/* What is kept from frame to frame; zeroed before its first use. */
typedef struct {
  YoloMotionScratch scratch;
  YoloContextDrawer drawer;
} YoloLook;

/* Lets go of the device. */
void yolo_look_close (YoloLook *look);
/* Frees the memory, too. */
void yolo_look_clear (YoloLook *look);

/**
 * yolo_look_at:
 * @buffer: which holds the frame
 * @views: (array length=n): of the buffer's frame, 1 or more; it is mapped, and of a format that is
 * not unpacked if it is in CUDA memory
 * @device: number of the GPU, as CUDA counts, of CUDA memory that belongs to no GstCudaContext
 * @pictures: (out): of each view [grid.rows][grid.columns], as yolo_motion_picture() has it, one
 * behind the other
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR)
 */
gboolean yolo_look_at (YoloLook *look, GstBuffer *buffer, const YoloMotionView *views, guint n,
    guint device, guint8 *pictures, GError **error);

G_END_DECLS

#endif
