/* SPDX-License-Identifier: MIT */
/* A video frame in GStreamer's words and in ours. */

#ifndef YOLO_VIDEO_H
#define YOLO_VIDEO_H

#include <gst/video/video.h>

#include "image/frame.h"

G_BEGIN_DECLS

/* A buffer's GstVideoMeta is believed by gst_video_frame_map(), whatever the
 * memory holds; a stale one must not make us read or write behind it. */
gboolean yolo_video_planes_fit (const GstVideoFrame *video);

/* The formats that are read where they lie, on the host and on a device, as in caps. */
#define YOLO_VIDEO_FORMATS \
    "NV12, NV21, I420, YUY2, P010_10LE, RGB, BGR, RGBA, BGRA, RGBx, BGRx, GRAY8, I420_10LE, " \
    "YV12, UYVY, Y42B, Y444, AYUV, ARGB, xRGB"

/**
 * yolo_video_describe:
 * @video: mapped, of a format in yoloinfer's caps; must stay where it is while @described is read
 * @color: of the caps
 * @described: (out): format, colours, size and the mapping's planes
 *
 * Returns: FALSE if its planes do not fit
 */
gboolean yolo_video_describe (
    const GstVideoFrame *video, const GstVideoColorimetry *color, YoloFrame *described);

G_END_DECLS

#endif
