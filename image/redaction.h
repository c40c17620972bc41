/* SPDX-License-Identifier: MIT */
/* A part of a frame that is made unrecognisable, as data, and the arithmetic of it one value at
 * a time: what the C definition and the CUDA kernels are both made of. */

#ifndef YOLO_IMAGE_REDACTION_H
#define YOLO_IMAGE_REDACTION_H

#include "image/stroke.h"

typedef enum {
  YOLO_REDACTION_BLUR,          /* the means of blocks, blended smoothly into each other */
  YOLO_REDACTION_PIXELATE,      /* the mean of each block */
  YOLO_REDACTION_FILL,          /* one colour */
} YoloRedactionMode;

/* Frames are redacted in cells of so many columns and, in each of their fields, rows of pixels.
 * A sample of any format lies in one cell as a whole, so that no chroma is left of what is
 * redacted. Cells are counted from the frame's corner; those at its right and lower border may
 * lie partly outside. */
#define YOLO_REDACTION_CELL 4

typedef struct {
  YoloRedactionMode mode;
  YoloRect cells;               /* inside the frame, not empty */
  int block_width, block_height;        /* cells of a block */
  int columns, rows;            /* blocks, counted from the corner of `cells` */
  int levels;                   /* the first of [components][rows][columns] levels */
  int mask;                     /* the first of a byte a cell of `cells`, by rows, which is not 0
                                 * where the cell is redacted; -1: all are */
  uint16_t value[YOLO_DRAW_COMPONENTS]; /* FILL: in the format's own numbers */
} YoloRedaction;

/* The samples of a component that lie in a rectangle of cells: columns and rows in memory. In
 * interlaced frames a cell has the same rows of both fields, so that they need not be told
 * apart. */
YOLO_DRAWING YoloRect
yolo_redaction_samples (const YoloCanvas *canvas, const YoloComponent *c, YoloRect cells)
{
  const int across = YOLO_REDACTION_CELL >> c->shift_x,
            down = (YOLO_REDACTION_CELL >> c->shift_y) * (int) canvas->n_fields,
            width = (canvas->width + (1 << c->shift_x) - 1) >> c->shift_x;
  YoloRect samples = { cells.x0 * across, cells.y0 * down, cells.x1 * across, cells.y1 * down };

  samples.x1 = samples.x1 < width ? samples.x1 : width;
  samples.y1 = samples.y1 < c->rows ? samples.y1 : c->rows;
  return samples;
}

/* The cells of block number @column, @row. */
YOLO_DRAWING YoloRect
yolo_redaction_block (const YoloRedaction *r, int column, int row)
{
  const int x = r->cells.x0 + column * r->block_width, y = r->cells.y0 + row * r->block_height;
  YoloRect cells = { x, y, x + r->block_width, y + r->block_height };

  cells.x1 = cells.x1 < r->cells.x1 ? cells.x1 : r->cells.x1;
  cells.y1 = cells.y1 < r->cells.y1 ? cells.y1 : r->cells.y1;
  return cells;
}

/* A sample as it lies in memory, of one byte or a little-endian word. */
YOLO_DRAWING unsigned
yolo_redaction_read (const YoloComponent *c, const uint8_t *at)
{
  return c->wide ? (unsigned) (at[0] | at[1] << 8) : *at;
}

/* The level of a block: the mean of its samples, that of bytes in 256ths. @n: samples; 0, where
 * rows of chroma are not in memory, gives 0. */
YOLO_DRAWING uint16_t
yolo_redaction_level (const YoloComponent *c, uint64_t sum, uint64_t n)
{
  return n == 0 ? 0 : (uint16_t) (((c->wide ? sum : sum << 8) + n / 2) / n);
}

YOLO_DRAWING void
yolo_redaction_write (const YoloComponent *c, uint8_t *at, unsigned level)
{
  if (c->wide) {
    level = level >> c->depth_shift << c->depth_shift;
    at[0] = (uint8_t) level;
    at[1] = (uint8_t) (level >> 8);
  } else {
    *at = (uint8_t) ((level + 128) >> 8);
  }
}

/* The level that FILL writes. */
YOLO_DRAWING unsigned
yolo_redaction_fill_level (const YoloComponent *c, unsigned value)
{
  return c->wide ? value << c->depth_shift : value << 8;
}

/* Where a sample takes its level from along one axis: three blocks side by side, and their
 * weights in 32768ths. */
typedef struct {
  int index[3];
  unsigned weight[3];
} YoloRedactionTap;

/* Weights of the quadratic B-spline, which blends neighbours without creases: with f from 0 to 1
 * through a block, (1 - f)^2 / 2, what is left, and f^2 / 2. Source: de Boor, "A Practical Guide
 * to Splines", 1978, chapter IX. @i: the sample, counted from the first of the redaction; @n:
 * samples of a block; @n_blocks: along this axis. */
YOLO_DRAWING YoloRedactionTap
yolo_redaction_tap (int i, int n, int n_blocks)
{
  const int at = (2 * i + 1) * 64 / n, block = at >> 7;
  const unsigned f = at & 127;
  YoloRedactionTap tap;

  tap.index[0] = block > 0 ? block - 1 : 0;
  tap.index[1] = block;
  tap.index[2] = block + 1 < n_blocks ? block + 1 : block;
  tap.weight[0] = (128 - f) * (128 - f);
  tap.weight[2] = f * f;
  tap.weight[1] = 32768 - tap.weight[0] - tap.weight[2];
  return tap;
}

/* Levels are below 65536, so that the sum fits into 32 bits. */
YOLO_DRAWING unsigned
yolo_redaction_blend (const YoloRedactionTap *tap, unsigned a, unsigned b, unsigned c)
{
  return (tap->weight[0] * a + tap->weight[1] * b + tap->weight[2] * c + 16384) >> 15;
}

#endif
