/* SPDX-License-Identifier: MIT */
/* Drawing on frames in CUDA memory: the elements' way to the back end. */

#ifndef YOLO_ENGINE_DRAW_H
#define YOLO_ENGINE_DRAW_H

#include "backend/backend.h"
#include "image/stroke.h"

G_BEGIN_DECLS

/**
 * yolo_drawer_new:
 * @context: the CUcontext of the frames; it must outlive the drawer
 *
 * Returns: (transfer full): a drawer, or NULL with @error (YOLO_NETWORK_ERROR)
 */
YoloDrawer *yolo_drawer_new (gpointer context, GError **error);
void yolo_drawer_free (YoloDrawer *drawer);

/**
 * yolo_drawer_draw:
 * @canvas: a frame at device addresses
 * @stream: the CUstream whose work so far writes the frame, or NULL
 * @strokes: (array length=n): drawn in this order
 * @masks: (array length=masks_size): what the strokes' `mask` counts bytes of
 *
 * The pixels equal those of yolo_canvas_fill() and yolo_canvas_blend() on the
 * host; all is drawn when this returns. One thread at a time.
 */
gboolean yolo_drawer_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);

G_END_DECLS

#endif
