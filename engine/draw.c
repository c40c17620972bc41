/* SPDX-License-Identifier: MIT */
#include "engine/draw.h"

YoloDrawer *
yolo_drawer_new (gpointer context, GError **error)
{
  if (yolo_cuda_backend.drawer_new != NULL)
    return yolo_cuda_backend.drawer_new (context, error);
  yolo_cuda_backend.available (0, error);
  return NULL;
}

void
yolo_drawer_free (YoloDrawer *drawer)
{
  if (drawer != NULL)
    yolo_cuda_backend.drawer_free (drawer);
}

gboolean
yolo_drawer_draw (YoloDrawer *drawer, const YoloCanvas *canvas, gpointer stream,
    const YoloStroke *strokes, guint n, const guint8 *masks, gsize masks_size, GError **error)
{
  return yolo_cuda_backend.draw (drawer, canvas, stream, strokes, n, masks, masks_size, error);
}
