/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolods.h"

gboolean
yolo_ds_add (GstBuffer *buffer, const YoloMetaObject *objects, guint n, const GArray *parents,
    guint unique_id, gboolean inferred)
{
  return FALSE;
}

void
yolo_ds_classify (GstBuffer *buffer, const GArray *objects, GBytes *const *classes)
{
}

guint
yolo_ds_frames (GstBuffer *buffer, YoloDsFrame *frames, guint max)
{
  return 0;
}

void
yolo_ds_read_tracks (GstBuffer *buffer, YoloMetaObject *objects, guint n)
{
}

void
yolo_ds_track (GstBuffer *buffer, const YoloMetaObject *found, const YoloMetaObject *tracked,
    guint n)
{
}

void
yolo_ds_remove (GstBuffer *buffer, const YoloMetaObject *objects, guint n)
{
}
