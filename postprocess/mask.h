/* SPDX-License-Identifier: MIT */
/* The shapes of objects, as small pictures of their boxes at the resolution of the
 * prototypes. Source: Ultralytics utils/ops.py, process_mask. */

#ifndef YOLO_POSTPROCESS_MASK_H
#define YOLO_POSTPROCESS_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "postprocess/task.h"

/* A grid of cells [height][width] that covers a rectangle, in pixels of the network's
 * input at first, of the frame after yolo_masks_to_frame(). A point belongs to the object
 * where the numbers of the cells, each taken to lie in its cell's middle, are above 0 when
 * they are interpolated bilinearly; all around the grid lie cells of 0. */
typedef struct {
  float x1, y1, x2, y2;         /* what the whole grid covers */
  int width, height;            /* cells; 0: the object has no mask */
  size_t first;                 /* where its cells begin among those of all masks of the image */
} YoloObjectMask;

/* What is found of an image's objects beside their boxes; object number i has
 * points[i] and masks[i]. */
typedef struct {
  unsigned keypoints;           /* points of an object */
  float *points;                /* [objects][keypoints][3]: x, y, visibility; or NULL */
  YoloObjectMask *masks;              /* [objects], or NULL */
  int8_t *cells;                /* those of all masks, n_cells in all */
  size_t n_cells;
} YoloDetails;

/* Which cells of the prototypes lie in each object's box, and where they go. Fills
 * masks [n] and returns the number of cells of all. @head: sizes are enough. */
size_t yolo_masks_place (
    const YoloHead *head, const YoloObject *objects, size_t n, YoloObjectMask *masks);

/* The cells of a mask that yolo_masks_place() has placed: the sums of its coefficients
 * [channels] times the prototypes, scaled so that the largest is 127 or -127, and none
 * but 0 becomes 0. @prototypes: the map, with data. */
void yolo_mask_fill (const YoloMap *prototypes, const float *coefficients,
    const YoloObjectMask *mask, int8_t *cells);

/* From pixels of the network's input to pixels of the frame as it lies in memory; the cells are
 * turned with it, in place, for which @scratch has as many bytes as the largest mask. */
void yolo_details_to_frame (
    YoloDetails *details, size_t n, const YoloLetterbox *box, int8_t *scratch);

/* Whether each pixel of a row belongs to the object: out [width] 0 or 1, for pixels
 * x .. x + width - 1 of row y, whose middles are at + .5. Allocates nothing. */
void yolo_mask_row (
    const YoloObjectMask *mask, const int8_t *cells, int x, int y, int width, uint8_t *out);

#endif
