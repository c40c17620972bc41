/* SPDX-License-Identifier: MIT */
#ifndef GST_YOLO_ZONES_H
#define GST_YOLO_ZONES_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_YOLO_ZONES (gst_yolo_zones_get_type ())
G_DECLARE_FINAL_TYPE (GstYoloZones, gst_yolo_zones, GST, YOLO_ZONES, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (yolozones)

G_END_DECLS

#endif
