/* Built against GStreamer before 1.24: there is no such meta. */

#include "gst-plugin/yoloanalytics.h"

void
yolo_analytics_add (GstBuffer *buffer, YoloRegion *region, guint n)
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
