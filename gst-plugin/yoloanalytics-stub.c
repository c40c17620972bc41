/* SPDX-License-Identifier: MIT */
/* In place of yoloanalytics.c where GStreamer is older than 1.24 and has no
 * GstAnalyticsRelationMeta. */

#include "gst-plugin/yoloanalytics.h"

gint
yolo_analytics_add (GstBuffer *buffer, const YoloMetaRegion *region, guint n)
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
