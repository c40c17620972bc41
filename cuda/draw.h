/* SPDX-License-Identifier: MIT */
/* Drawing on frames in device memory: the functions of the back end's table. */

#ifndef YOLO_CUDA_DRAW_H
#define YOLO_CUDA_DRAW_H

#include "backend/backend.h"

G_BEGIN_DECLS

YoloDrawer *yolo_cuda_drawer_new (gpointer context, GError **error);
void yolo_cuda_drawer_free (YoloDrawer *drawer);
gboolean yolo_cuda_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error);

G_END_DECLS

#endif
