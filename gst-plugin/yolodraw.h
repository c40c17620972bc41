/* Drawing into a video frame where it lies, in its own format. */

#ifndef YOLO_DRAW_H
#define YOLO_DRAW_H

#include <gst/video/video.h>

#include "postprocess/drawing.h"

G_BEGIN_DECLS

/* The values of a format's components (Y U V, R G B A, Y). */
typedef struct {
  guint16 value[GST_VIDEO_MAX_COMPONENTS];
} YoloColor;

/* How opaque each pixel is, 0 to 255. */
typedef struct {
  gint width, height;
  gint stride;                  /* bytes */
  guint8 *alpha;                /* [height][stride] */
} YoloMask;

/* Strokes that are kept: in order, with copies of their masks. */
typedef struct _YoloDrawing {
  GArray *strokes;              /* YoloStroke */
  GByteArray *masks;
} YoloDrawing;

void yolo_drawing_init (YoloDrawing *drawing);
void yolo_drawing_clear (YoloDrawing *drawing);
/* Forgets the strokes, keeps the memory. */
void yolo_drawing_reset (YoloDrawing *drawing);

/* The formats that a device draws on, as in caps. */
#define YOLO_DRAW_FORMATS "NV12, NV21, I420, YV12, YUY2, UYVY, Y42B, Y444, P010_10LE, " \
    "RGB, BGR, RGBA, BGRA, ARGB, ABGR, RGBx, BGRx, xRGB, xBGR, GRAY8"

/* Whether each sample is a byte or a little-endian word of its own and covers one,
 * two or four pixels; other formats are drawn on unpacked. */
gboolean yolo_draw_is_direct (const GstVideoFormatInfo *format);

/* A rectangle of the upright picture where it lies in a frame of width x height,
 * and back; @turn: YOLO_TURN_* of postprocess/frame.h. */
YoloRect yolo_rect_to_frame (YoloRect rect, guint turn, gint width, gint height);
YoloRect yolo_rect_to_upright (YoloRect rect, guint turn, gint width, gint height);

/**
 * yolo_color_init:
 * @rgb: 0xRRGGBB, full range
 *
 * Converts to the format, matrix and range of @info; opaque.
 */
void yolo_color_init (YoloColor *color, const GstVideoInfo *info, guint32 rgb);

/**
 * yolo_canvas_init:
 * @frame: mapped for writing, in a format that is drawn on directly; must outlive the canvas
 * @clip: (nullable): the visible part, or all of the frame
 */
void yolo_canvas_init (YoloCanvas *canvas, GstVideoFrame *frame, const YoloRect *clip);

/**
 * yolo_canvas_fill:
 *
 * Fills what is in @outer but not in @inner, either of which may lie partly
 * or wholly outside the frame; an empty @inner leaves no hole. A chroma
 * sample is blended by the share of its pixels that is filled.
 */
void yolo_canvas_fill (YoloCanvas *canvas, YoloRect outer, YoloRect inner, const YoloColor *color);

/**
 * yolo_canvas_blend:
 * @x: where the mask's left column goes
 * @y: where its upper row goes
 *
 * Blends the color through @mask. A chroma sample is blended by the mean of
 * the mask over its pixels.
 */
void yolo_canvas_blend (YoloCanvas *canvas, const YoloMask *mask, gint x, gint y,
    const YoloColor *color);

G_END_DECLS

#endif
