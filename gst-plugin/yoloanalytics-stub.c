/* SPDX-License-Identifier: MIT */
/* Built against GStreamer before 1.24: there is no such meta. */

#include "gst-plugin/yoloanalytics.h"

gint
yolo_analytics_add (GstBuffer *buffer, const YoloRegion *region, guint n)
{
  return -1;
}

void
yolo_analytics_add_track (GstBuffer *buffer, gint id, gint track_id)
{
}

void
yolo_analytics_read (GstBuffer *buffer, GArray *objects)
{
}

void
yolo_analytics_clear (GstBuffer *buffer)
{
}
