/* SPDX-License-Identifier: MIT */
/* What an object has beside its box - a turned box, points, a mask -, as one piece of memory that
 * travels with the object. All places are 0 to 1 of the frame's width and height, so that
 * they stay right when a frame is scaled. */

#ifndef YOLO_SHAPE_H
#define YOLO_SHAPE_H

#include <glib.h>

#include "engine/engine.h"
#include "postprocess/bitmap.h"

G_BEGIN_DECLS

typedef enum {
  YOLO_SHAPE_WHOLE = 1,         /* the object is the frame: its class says what that is */
  YOLO_SHAPE_TURNED = 2,        /* it has corners */
} YoloShapeFlags;

/* The start of the memory. Behind it come the points, [n_points][3] gfloat: x, y, and how visible
 * they are, 0 to 1; and the mask's cells, [mask_height][mask_width] gint16: a pixel is the
 * object's where they are above 0 when interpolated, see postprocess/mask.h. */
typedef struct {
  guint32 flags;
  guint32 n_points, mask_width, mask_height;
  gfloat angle;                 /* radians, clockwise from the x axis, in pixels of the frame */
  gfloat corners[8];            /* x, y of the corners of the turned box, around it */
  gfloat mask[4];               /* x1, y1, x2, y2 of what the cells cover */
} YoloShape;

/**
 * yolo_shape_new:
 * @i: number of the object in the result
 * @x, @y: where the frame that the caps describe begins, in pixels of the result's frame
 * @width, @height: of the frame that the caps describe, pixels
 *
 * Returns: (transfer full) (nullable): the shape of an object, or NULL if it is its box
 */
GBytes *yolo_shape_new (
    const YoloResult *result, guint i, gint x, gint y, gint width, gint height);

/**
 * yolo_shape_allocate:
 * @head: what the shape says; flags, corners and the numbers of points and cells
 * @points: (out): [n_points][3] gfloat, not set
 * @cells: (out): [mask_height][mask_width] gint16, not set
 *
 * For shapes out of metadata of others, whose numbers may be anything.
 *
 * Returns: (transfer full) (nullable): memory for yolo_shape_take() once all is set; NULL: no
 * object has so many points or cells
 */
YoloShape *yolo_shape_allocate (const YoloShape *head, gfloat **points, gint16 **cells);
GBytes *yolo_shape_take (YoloShape *shape);

/**
 * yolo_shape_turn:
 * @box: x, y, width and height of the box before it is turned around its middle, pixels
 * @angle: radians, clockwise
 *
 * Makes @shape one of a turned box, in a frame of @width x @height pixels.
 */
void yolo_shape_turn (
    YoloShape *shape, const gfloat box[4], gfloat angle, gint width, gint height);

/**
 * yolo_shape_upright:
 * @box: (out): x, y, width and height of the turned box before it is turned around its middle,
 * pixels
 *
 * Of the two names that a turned box has, one by each of its sides, this is the one that is
 * turned least: for readers that do not know of angles the box is still about where the object is.
 *
 * Returns: the angle in radians, clockwise, -pi/4 to pi/4
 */
gfloat yolo_shape_upright (const YoloShape *shape, gint width, gint height, gfloat box[4]);

/**
 * yolo_shape_move:
 * @scale: of x and of y
 * @offset: of x and of y, 0 to 1 of the frame, added to what is scaled
 * @width, @height: of the frame, pixels
 *
 * Returns: (transfer full) (nullable): the shape in another place of the frame; NULL: @bytes is no
 * shape
 */
GBytes *yolo_shape_move (
    GBytes *bytes, const gfloat scale[2], const gfloat offset[2], gint width, gint height);

/* x, y, width and height of the box around the turned box, pixels. */
void yolo_shape_bounds (const YoloShape *shape, gint width, gint height, gfloat box[4]);

/* A mask over a rectangle of the frame, for layouts that do not know where cells lie. */
typedef struct {
  guint width, height;          /* 0: the object has no mask */
  GBytes *values;               /* owned; [height][width] gfloat, 0 to 1; above .5: the object */
} YoloShapeGrid;

/**
 * yolo_shape_sample:
 * @box: x, y, width and height of the rectangle, pixels
 *
 * Returns: the mask in the middles of a grid over @box, whose cells are about as large as those
 * of the mask
 */
YoloShapeGrid yolo_shape_sample (
    const YoloShape *shape, const gint box[4], gint frame_width, gint frame_height);

/* The cell of a mask for such a value; that of a number which is none is outside. */
gint16 yolo_shape_cell (gfloat value);

/* The shape in memory that anybody may have made; NULL: it is none. */
const YoloShape *yolo_shape_get (GBytes *bytes);
const gfloat *yolo_shape_points (const YoloShape *shape);
const gint16 *yolo_shape_cells (const YoloShape *shape);

/**
 * yolo_shape_bitmap:
 * @box: x1, y1, x2, y2 of the object in pixels of the frame
 * @memory: of the caller, grown to the largest mask
 *
 * The one place where a mask becomes pixels of a frame, for those that draw and those that write.
 *
 * Returns: the object's pixels, in @memory; of width or height 0 where the shape has no mask, or
 * the frame shows nothing of the box
 */
YoloBitmap yolo_shape_bitmap (const YoloShape *shape, const gfloat box[4], gint frame_width,
    gint frame_height, GByteArray *memory);

G_END_DECLS

#endif
