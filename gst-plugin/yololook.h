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
 * yolo_look_picture:
 * @buffer: which holds the frame
 * @frame: mapped; in CUDA memory of a format that is not unpacked
 * @device: number of the GPU, as CUDA counts, of CUDA memory that belongs to no GstCudaContext
 * @picture: (out): [grid->rows][grid->columns], as yolo_motion_picture() has it
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR)
 */
gboolean yolo_look_picture (YoloLook *look, GstBuffer *buffer, const YoloFrame *frame,
    const YoloMotionGrid *grid, guint device, guint8 *picture, GError **error);

G_END_DECLS

#endif
