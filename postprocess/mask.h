/* SPDX-License-Identifier: MIT */
/* The shapes of objects, as small pictures of their boxes at the resolution of the
 * prototypes. Source: Ultralytics utils/ops.py, process_mask. */

#ifndef YOLO_POSTPROCESS_MASK_H
#define YOLO_POSTPROCESS_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "postprocess/task.h"

/* A grid of cells [height][width] that covers a rectangle, in pixels of the network's
 * input at first, of the frame after yolo_details_to_frame(). A pixel belongs to the object
 * where the numbers of the cells, each taken to lie in its cell's middle, are above 0 when
 * they are interpolated bilinearly at the pixel's middle, and the pixel lies in the
 * object's box; the grid is large enough for that. */
typedef struct {
  float x1, y1, x2, y2;         /* what the whole grid covers */
  int width, height;            /* cells; 0: the object has no mask */
  size_t first;                 /* where its cells begin among those of all masks of the image */
} YoloObjectMask;

/* What is found of an image's objects beside their boxes; object number i has
 * points[i] and masks[i]. */
typedef struct {
  bool whole;                   /* the objects are the whole frame */
  bool turned;                  /* their boxes are turned */
  unsigned keypoints;           /* points of an object */
  float *points;                /* [objects][keypoints][3]: x, y, visibility; or NULL */
  YoloObjectMask *masks;              /* [objects], or NULL */
  int16_t *cells;                /* those of all masks, n_cells in all */
  size_t n_cells;
} YoloDetails;

/* Which cells of the prototypes each object's box needs, and where they go. Fills
 * masks [n] and returns the number of cells of all. @head: sizes are enough. */
size_t yolo_masks_place (
    const YoloHead *head, const YoloObject *objects, size_t n, YoloObjectMask *masks);

/* The cells of a mask that yolo_masks_place() has placed: the sums of its coefficients
 * [channels] times the prototypes, scaled so that the largest is 32767 or -32767, and
 * none but 0 becomes 0: edges keep their places where the numbers beside them are small.
 * @prototypes: the map, with data. */
void yolo_mask_fill (const YoloMap *prototypes, const float *coefficients,
    const YoloObjectMask *mask, int16_t *cells);

/* From pixels of the network's input to pixels of the frame as it lies in memory; the cells are
 * turned with it, in place, for which @scratch has as many cells as the largest mask. */
void yolo_details_to_frame (
    YoloDetails *details, size_t n, const YoloLetterbox *box, int16_t *scratch);

/* Takes out the objects without a pixel of the network's input, and their masks; returns how
 * many are left. Objects and masks are as yolo_masks_place() was given and gave them. */
size_t yolo_masks_drop_empty (const YoloHead *head, YoloObject *objects, YoloObjectMask *masks,
    const int16_t *cells, size_t n);

/* Which pixels x .. x + width - 1 of row y belong to the object: out [width] 0 or 1. @cells:
 * those of this mask; @box: the object, in the same pixels as the mask. Allocates nothing. */
void yolo_mask_row (const YoloObjectMask *mask, const int16_t *cells, const YoloObject *box, int x,
    int y, int width, uint8_t *out);

#endif
