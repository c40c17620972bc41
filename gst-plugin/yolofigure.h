/* SPDX-License-Identifier: MIT */
/* Lines, points and masks on a canvas. */

#ifndef YOLO_FIGURE_H
#define YOLO_FIGURE_H

#include "gst-plugin/yoloshape.h"
#include "image/canvas.h"

G_BEGIN_DECLS

/* Memory for what is drawn, kept from one figure to the next. */
typedef struct {
  GByteArray *alpha, *pixels;
} YoloFigures;

void yolo_figures_clear (YoloFigures *figures);

/* A straight line of @thickness pixels with round ends; of no length, a disc. Places are
 * in pixels in memory; one far outside of the canvas draws nothing. */
void yolo_figure_line (YoloFigures *figures, YoloCanvas *canvas, gfloat x1, gfloat y1, gfloat x2,
    gfloat y2, gfloat thickness, const YoloColor *color);

/* The object's pixels with a share of the colour, @opacity of 255, and their edge, @line pixels
 * wide, with all of it. @box: x1, y1, x2, y2 of the object, @width and @height: of the frame
 * that it is in, which begins at pixel @x, @y in memory. */
void yolo_figure_mask (YoloFigures *figures, YoloCanvas *canvas, const YoloShape *shape,
    const gfloat box[4], gint x, gint y, gint width, gint height, guint opacity, gint line,
    const YoloColor *color);

G_END_DECLS

#endif
