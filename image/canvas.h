/* SPDX-License-Identifier: MIT */
/* Drawing into a frame in memory where it lies, in its own format. */

#ifndef YOLO_IMAGE_CANVAS_H
#define YOLO_IMAGE_CANVAS_H

#include <glib.h>

#include "image/stroke.h"

G_BEGIN_DECLS

/* The values of a format's components (Y U V, R G B A, Y). */
typedef struct {
  guint16 value[YOLO_DRAW_COMPONENTS];
} YoloColor;

/* How opaque each pixel is, 0 to 255. */
typedef struct {
  gint width, height;
  gint stride;                  /* bytes */
  guint8 *alpha;                /* [height][stride] */
} YoloMask;

/* Strokes that are kept instead of being drawn: in order, with copies of their masks. */
typedef struct _YoloDrawing {
  GArray *strokes;              /* YoloStroke */
  GByteArray *masks;
} YoloDrawing;

void yolo_drawing_init (YoloDrawing *drawing);
void yolo_drawing_clear (YoloDrawing *drawing);
/* Forgets the strokes, keeps the memory. */
void yolo_drawing_reset (YoloDrawing *drawing);

/* What lies in both; empty where they do not meet. */
YoloRect yolo_rect_intersect (YoloRect a, YoloRect b);

/* A rectangle of the upright picture where it lies in a frame of width x height,
 * and back; @turn: YOLO_TURN_* of image/frame.h. */
YoloRect yolo_rect_to_frame (YoloRect rect, guint turn, gint width, gint height);
YoloRect yolo_rect_to_upright (YoloRect rect, guint turn, gint width, gint height);

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
