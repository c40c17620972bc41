/* SPDX-License-Identifier: MIT */
#ifndef GST_YOLO_EXPORT_H
#define GST_YOLO_EXPORT_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_YOLO_EXPORT (gst_yolo_export_get_type ())
G_DECLARE_FINAL_TYPE (GstYoloExport, gst_yolo_export, GST, YOLO_EXPORT, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (yoloexport)

G_END_DECLS

#endif
