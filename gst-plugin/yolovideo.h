/* A video frame in GStreamer's words and in ours. */

#ifndef YOLO_VIDEO_H
#define YOLO_VIDEO_H

#include <gst/video/video.h>

#include "postprocess/frame.h"

G_BEGIN_DECLS

/**
 * yolo_video_describe:
 * @video: mapped, of a format in yoloinfer's caps
 * @color: of the caps
 * @described: (out): format, colours, size and the mapping's planes
 *
 * Returns: FALSE where the buffer's memory is smaller than its GstVideoMeta says
 */
gboolean yolo_video_describe (const GstVideoFrame *video, const GstVideoColorimetry *color, YoloFrame *described);

G_END_DECLS

#endif
