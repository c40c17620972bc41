/* Video formats beyond those that are read and drawn on where they lie: GStreamer
 * unpacks their rows. */

#ifndef YOLO_UNPACK_H
#define YOLO_UNPACK_H

#include <gst/video/video.h>

#include "postprocess/frame.h"

G_BEGIN_DECLS

/**
 * yolo_unpack_caps:
 * @first: formats that are preferred, "NV12, I420"
 *
 * Returns: (transfer full): raw video of these and of all other formats that
 * GStreamer can unpack, in any memory
 */
GstCaps *yolo_unpack_caps (const gchar *first);

/* Whether pixels of the format do not lie apart from each other, in tiles, groups
 * of bits or by a palette, so that pixel strides do not tell where they are. */
gboolean yolo_unpack_is_grouped (const GstVideoFormatInfo *format);

/* yolo_video_planes_fit() of such a format. */
gboolean yolo_unpack_planes_fit (const GstVideoFrame *video);

/* Writes a row of the frame, all of it, in the format's unpack format. */
void yolo_unpack_row (const GstVideoFrame *video, GstVideoPackFlags flags, gint y, gpointer row);

/**
 * yolo_unpack_describe:
 * @video: mapped, and its planes fit; must stay where it is while @described is read
 * @described: (inout): its format, unpack and source are set
 */
void yolo_unpack_describe (const GstVideoFrame *video, YoloFrame *described);

G_END_DECLS

#endif
