#include <gst/gst.h>

static gboolean
plugin_init (GstPlugin *plugin)
{
  return TRUE;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, yolo,
    "YOLO object detection: inference, overlay, export", plugin_init, YOLO_VERSION,
    "MIT/X11", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
