/* SPDX-License-Identifier: MIT */
/* A GStreamer video frame, described as the YoloFrame that the engine reads. */

#ifndef YOLO_VIDEO_H
#define YOLO_VIDEO_H

#include <gst/video/video.h>

#include "image/frame.h"

G_BEGIN_DECLS

/* Whether the planes lie within the mapped memory. gst_video_frame_map() believes a
 * buffer's GstVideoMeta, whatever the memory holds; a stale one must not make anybody
 * read or write behind the memory. */
gboolean yolo_video_planes_fit (const GstVideoFrame *video);

/* The formats that are read where they lie, on the host and on a GPU, as caps name them. */
#define YOLO_VIDEO_FORMATS \
    "NV12, NV21, I420, YUY2, P010_10LE, RGB, BGR, RGBA, BGRA, RGBx, BGRx, GRAY8, I420_10LE, " \
    "YV12, UYVY, Y42B, Y444, AYUV, ARGB, xRGB"

/**
 * yolo_video_describe:
 * @video: mapped, of a format in yoloinfer's caps; must stay where it is while @described is read
 * @color: what the caps say of the colours
 * @described: (out): format, colours, size and the mapping's planes
 *
 * Returns: FALSE if the planes do not fit, see yolo_video_planes_fit()
 */
gboolean yolo_video_describe (
    const GstVideoFrame *video, const GstVideoColorimetry *color, YoloFrame *described);

G_END_DECLS

#endif
