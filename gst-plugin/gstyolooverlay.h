/* SPDX-License-Identifier: MIT */
#ifndef GST_YOLO_OVERLAY_H
#define GST_YOLO_OVERLAY_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_YOLO_OVERLAY (gst_yolo_overlay_get_type ())
G_DECLARE_FINAL_TYPE (GstYoloOverlay, gst_yolo_overlay, GST, YOLO_OVERLAY, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (yolooverlay)

G_END_DECLS

#endif
