/* SPDX-License-Identifier: MIT */
#ifndef GST_YOLO_INFER_H
#define GST_YOLO_INFER_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_YOLO_INFER (gst_yolo_infer_get_type ())
G_DECLARE_FINAL_TYPE (GstYoloInfer, gst_yolo_infer, GST, YOLO_INFER, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE (yoloinfer);

/* The debug category `yoloinfer`, of the files that the element is made of. */
GST_DEBUG_CATEGORY_EXTERN (yolo_infer_debug);

G_END_DECLS

#endif
