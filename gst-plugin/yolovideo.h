/* A video frame in GStreamer's words and in ours. */

#ifndef YOLO_VIDEO_H
#define YOLO_VIDEO_H

#include <gst/video/video.h>

#include "postprocess/frame.h"

G_BEGIN_DECLS

/* A buffer's GstVideoMeta is believed by gst_video_frame_map(), whatever the
 * memory holds; a stale one must not make us read or write behind it. */
gboolean yolo_video_planes_fit (const GstVideoFrame *video);

/**
 * yolo_video_describe:
 * @video: mapped, of a format in yoloinfer's caps
 * @color: of the caps
 * @described: (out): format, colours, size and the mapping's planes
 *
 * Returns: FALSE if its planes do not fit
 */
gboolean yolo_video_describe (const GstVideoFrame *video, const GstVideoColorimetry *color, YoloFrame *described);

G_END_DECLS

#endif
