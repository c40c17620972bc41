/* SPDX-License-Identifier: MIT */
/* A drawer for frames in CUDA memory that goes with the context that they come in. The functions
 * are called by the streaming thread of an element. */

#ifndef YOLO_DRAWER_H
#define YOLO_DRAWER_H

#include <gst/gst.h>

#include "engine/draw.h"

G_BEGIN_DECLS

/* Zeroed before its first use. */
typedef struct {
  GstObject *context;           /* owned; GstCudaContext of the drawer; NULL: the primary one */
  YoloDrawer *drawer;           /* owned; NULL: not needed so far */
} YoloContextDrawer;

/**
 * yolo_context_drawer_get:
 * @context: (nullable): GstCudaContext of the frame in hand; NULL: it is in the primary one
 * @device: number of the GPU, as CUDA counts, of the primary context
 *
 * Returns: (transfer none) (nullable): a drawer in that context, the last one if it is; NULL with
 * @error (YOLO_NETWORK_ERROR)
 */
YoloDrawer *yolo_context_drawer_get (
    YoloContextDrawer *self, GstObject *context, guint device, GError **error);

/* Lets go of the device. */
void yolo_context_drawer_close (YoloContextDrawer *self);

G_END_DECLS

#endif
