/* SPDX-License-Identifier: MIT */
#include "engine/draw.h"

#include "engine/engine-private.h"

YoloDrawer *
yolo_drawer_new (guint device, gpointer context, GError **error)
{
  return yolo_backend_drawer_new (yolo_engine_parts.cuda, device, context, error);
}
