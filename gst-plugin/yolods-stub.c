/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolods.h"

gboolean
yolo_ds_add (
    GstBuffer *buffer, const YoloMetaObject *objects, guint n, guint unique_id, gboolean inferred)
{
  return FALSE;
}
