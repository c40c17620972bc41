/* SPDX-License-Identifier: MIT */
/* In place of yoloanalytics.c where GStreamer is older than 1.24 and has no
 * GstAnalyticsRelationMeta. */

#include "gst-plugin/yoloanalytics.h"

void
yolo_analytics_add (
    GstBuffer *buffer, const GstVideoInfo *info, YoloMetaRegion *regions, guint n)
{
  for (guint i = 0; i < n; i++)
    regions[i].id = -1;
}

void
yolo_analytics_relate (GstBuffer *buffer, const YoloMetaRegion *regions, guint n)
{
}

void
yolo_analytics_classify (GstBuffer *buffer, gint id, GQuark label, GBytes *classes)
{
}

void
yolo_analytics_read (GstBuffer *buffer, const GstVideoInfo *info, GArray *objects)
{
}

void
yolo_analytics_set_tracks (
    GstBuffer *buffer, const GstVideoInfo *info, const YoloMetaObject *objects, guint n)
{
}

void
yolo_analytics_clear (GstBuffer *buffer)
{
}
