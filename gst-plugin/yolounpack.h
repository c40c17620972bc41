/* SPDX-License-Identifier: MIT */
/* Video formats beyond those that are read and drawn on where they lie: GStreamer
 * unpacks their rows. */

#ifndef YOLO_UNPACK_H
#define YOLO_UNPACK_H

#include <gst/video/video.h>

#include "image/frame.h"

G_BEGIN_DECLS

/**
 * yolo_unpack_caps:
 * @media: "video/x-raw" and, in brackets, the memory
 * @first: formats that are preferred, "NV12, I420"
 *
 * Returns: (transfer full): raw video of these and of all other formats that
 * GStreamer can unpack
 */
GstCaps *yolo_unpack_caps (const gchar *media, const gchar *first);

/* Whether pixels of the format do not lie apart from each other, in tiles, groups
 * of bits or by a palette, so that pixel strides do not tell where they are. */
gboolean yolo_unpack_is_grouped (const GstVideoFormatInfo *format);

/* yolo_video_planes_fit() for a format that is grouped so. */
gboolean yolo_unpack_planes_fit (const GstVideoFrame *video);

/* Writes a row of the frame, all of it, in the format's unpack format. */
void yolo_unpack_row (const GstVideoFrame *video, GstVideoPackFlags flags, gint y, gpointer row);

/**
 * yolo_unpack_describe:
 * @video: mapped, and its planes fit; must stay where it is while @described is read
 * @described: (inout): its fields format, unpack and source are set
 */
void yolo_unpack_describe (const GstVideoFrame *video, YoloFrame *described);

/* A frame's rows unpacked, to be changed and packed again. */
typedef struct _YoloUnpacked YoloUnpacked;

/* Takes the size, the format and the colorimetry of @info. NULL: it is too large. */
YoloUnpacked *yolo_unpacked_new (const GstVideoInfo *info);
void yolo_unpacked_free (YoloUnpacked *unpacked);

/* All of the frame, mapped for writing, in the unpack format. */
GstVideoFrame *yolo_unpacked_frame (YoloUnpacked *unpacked);

/* Unpacks rows [y0, y1) of a mapped frame, and those that share chroma with them; and
 * packs the same rows again. The frame has the format and size that @unpacked was
 * made for. */
void yolo_unpacked_take (YoloUnpacked *unpacked, const GstVideoFrame *video, gint y0, gint y1);
void yolo_unpacked_put (YoloUnpacked *unpacked, GstVideoFrame *video);

G_END_DECLS

#endif
