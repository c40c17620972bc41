/* SPDX-License-Identifier: MIT */
/* A GStreamer video frame as the canvas that image/canvas.h draws on, and colours in
 * the format of the frame. */

#ifndef YOLO_GST_CANVAS_H
#define YOLO_GST_CANVAS_H

#include <gst/video/video.h>

#include "image/canvas.h"

G_BEGIN_DECLS

/* The formats that a GPU draws on, as caps name them. */
#define YOLO_DRAW_FORMATS "NV12, NV21, I420, YV12, YUY2, UYVY, Y42B, Y444, P010_10LE, " \
    "RGB, BGR, RGBA, BGRA, ARGB, ABGR, RGBx, BGRx, xRGB, xBGR, GRAY8"

/* Whether each sample is a byte or a little-endian word of its own and covers one,
 * two or four pixels; other formats are drawn on unpacked. */
gboolean yolo_draw_is_direct (const GstVideoFormatInfo *format);

/**
 * yolo_color_init:
 * @rgb: 0xRRGGBB, full range
 *
 * Converts @rgb, which is opaque, to the format, matrix and range of @info.
 */
void yolo_color_init (YoloColor *color, const GstVideoInfo *info, guint32 rgb);

/**
 * yolo_canvas_init:
 * @frame: mapped for writing, in a format that is drawn on directly; must outlive the canvas
 * @clip: (nullable): the visible part, in pixels; NULL: all of the frame
 */
void yolo_canvas_init (YoloCanvas *canvas, GstVideoFrame *frame, const YoloRect *clip);

G_END_DECLS

#endif
