/* SPDX-License-Identifier: MIT */
/* The pixels of an object, in the two forms that they are exported in: run lengths and
 * outlines. Nothing here allocates; any thread may call it. */

#ifndef YOLO_POSTPROCESS_BITMAP_H
#define YOLO_POSTPROCESS_BITMAP_H

#include <stddef.h>
#include <stdint.h>

/* A rectangle of a frame, outside of which no pixel is set. */
typedef struct {
  uint8_t *pixels;              /* [height][width], 0 or 1 */
  int x, y;                     /* of the upper left pixel, in the frame */
  int width, height;            /* pixels */
} YoloBitmap;

/* COCO's compressed run lengths of the frame, column after column: the `counts` of a mask of
 * frame_height x frame_width, in which the bitmap lies. Writes as much of the text as fits into
 * @capacity bytes, without a 0 behind it, and returns the length of the whole; a capacity of as
 * much is enough. Source: COCO's maskApi.h and the functions rleEncode and rleToString. */
size_t yolo_bitmap_rle (const YoloBitmap *bitmap, int frame_width, int frame_height, char *text,
    size_t capacity);

/* The outline of the set pixels as one polygon, clockwise. Points are x, y in halves of a pixel of
 * the frame, whose corner is (0, 0): each lies in the middle of an edge between a pixel that is
 * set and one that is not, so that the polygon holds the middle of every set pixel and of no
 * other one. Pixels that touch at a corner are one part; holes, and what lies in
 * them, belong to the part around them. Where there are several parts, the polygon goes
 * from the first point of the first part to the next part, around that, and the same way
 * back, so that the way has no area.
 *
 * Writes as many points as fit into @points [capacity][2], and returns how many there are; a
 * capacity of as many is enough. 0: no pixel is set. Meanwhile it marks pixels in the bitmap, which
 * is afterwards as it was. */
size_t yolo_bitmap_outline (YoloBitmap *bitmap, int32_t *points, size_t capacity);

#endif
