/* SPDX-License-Identifier: MIT */
#include <gst/gst.h>

#include "gst-plugin/gstyoloexport.h"
#include "gst-plugin/gstyoloinfer.h"
#include "gst-plugin/gstyolooverlay.h"
#include "gst-plugin/gstyolotrack.h"
#include "gst-plugin/gstyolozones.h"

static gboolean
plugin_init (GstPlugin *plugin)
{
  gboolean registered = FALSE;

  registered |= GST_ELEMENT_REGISTER (yoloinfer, plugin);
  registered |= GST_ELEMENT_REGISTER (yolotrack, plugin);
  registered |= GST_ELEMENT_REGISTER (yolooverlay, plugin);
  registered |= GST_ELEMENT_REGISTER (yoloexport, plugin);
  registered |= GST_ELEMENT_REGISTER (yolozones, plugin);
  return registered;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, yolo,
    "YOLO object detection: inference, tracking, overlay, export", plugin_init, YOLO_VERSION,
    "MIT/X11", GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
