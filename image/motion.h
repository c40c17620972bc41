/* SPDX-License-Identifier: MIT */
/* Whether a frame shows what another one showed: a small picture of each, made of the mean luma
 * of blocks, and the largest difference of two of them. */

#ifndef YOLO_IMAGE_MOTION_H
#define YOLO_IMAGE_MOTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/frame.h"

/* Blocks along the longer side of the part that is looked at, at most. */
#define YOLO_MOTION_MAX_BLOCKS 160
/* Rows of a block that are read: fewer cost less, more see less noise. */
#define YOLO_MOTION_ROWS 4

/* How a part of a frame is cut into blocks. Read by CUDA, too. */
typedef struct {
  int x, y, width, height;      /* the part, pixels of the frame as it lies in memory */
  int block;                    /* pixels of a side, a multiple of 8, or 4 */
  int step;                     /* of the rows of a block every such one is read */
  int columns, rows;            /* blocks; those at the right and at the bottom may be smaller */
} YoloMotionGrid;

/* A frame, or a part of one, and how it is cut. */
typedef struct {
  const YoloFrame *frame;       /* borrowed */
  YoloMotionGrid grid;
} YoloMotionView;

/* The grid of a frame's visible part. */
void yolo_motion_grid (YoloMotionGrid *grid, const YoloFrame *frame);

/* The same with up to @most blocks along the longer side, which may be as small as 4 pixels. */
void yolo_motion_fine_grid (YoloMotionGrid *grid, const YoloFrame *frame, int most);

/* Memory that is kept from frame to frame; zeroed before its first use. */
typedef struct {
  void *sums, *row;
  size_t sums_size, row_size;   /* bytes */
} YoloMotionScratch;

void yolo_motion_scratch_clear (YoloMotionScratch *scratch);

/**
 * yolo_motion_picture:
 * @frame: in memory of the host
 * @picture: (out): [rows][columns]: the mean luma of each block, 0 to 255: what Y'CbCr formats
 * hold, ten bits scaled to eight; of R'G'B' that of BT.601
 *
 * How the frame is turned does not matter.
 *
 * Returns: false where there is no memory
 */
bool yolo_motion_picture (const YoloMotionGrid *grid, const YoloFrame *frame,
    YoloMotionScratch *scratch, uint8_t *picture);

/* Bytes of the picture by a grid. */
static inline size_t
yolo_motion_size (const YoloMotionGrid *grid)
{
  return (size_t) grid->columns * (size_t) grid->rows;
}

/* The largest difference between two places of pictures [n], in levels. */
int yolo_motion_difference (const uint8_t *a, const uint8_t *b, size_t n);

#endif
