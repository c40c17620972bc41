/* SPDX-License-Identifier: MIT */
#ifndef GST_YOLO_TRACK_H
#define GST_YOLO_TRACK_H

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_YOLO_TRACK (gst_yolo_track_get_type ())
G_DECLARE_FINAL_TYPE (GstYoloTrack, gst_yolo_track, GST, YOLO_TRACK, GstBaseTransform)
GST_ELEMENT_REGISTER_DECLARE (yolotrack)

G_END_DECLS

#endif
