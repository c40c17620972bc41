/* SPDX-License-Identifier: MIT */
#include "image/motion.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "image/grow.h"
#include "image/pixel.h"
#include "image/sample.h"

static int
longer_side (const YoloMotionGrid *grid)
{
  return grid->width > grid->height ? grid->width : grid->height;
}

static void
make_grid (YoloMotionGrid *grid, const YoloFrame *frame)
{
  const bool whole = frame->crop.width <= 0 || frame->crop.height <= 0;

  *grid = (YoloMotionGrid){
    .x = whole ? 0 : frame->crop.x,
    .y = whole ? 0 : frame->crop.y,
    .width = whole ? frame->width : frame->crop.width,
    .height = whole ? frame->height : frame->crop.height,
  };
}

static void
cut (YoloMotionGrid *grid, int block)
{
  grid->block = block;
  grid->step = block / YOLO_MOTION_ROWS;
  grid->columns = (grid->width + block - 1) / block;
  grid->rows = (grid->height + block - 1) / block;
}

/* The smallest multiple of 8 of which up to @most make the longer side. */
static int
coarse_block (const YoloMotionGrid *grid, int most)
{
  return (longer_side (grid) + 8 * most - 1) / (8 * most) * 8;
}

void
yolo_motion_grid (YoloMotionGrid *grid, const YoloFrame *frame)
{
  make_grid (grid, frame);
  cut (grid, coarse_block (grid, YOLO_MOTION_MAX_BLOCKS));
}

void
yolo_motion_fine_grid (YoloMotionGrid *grid, const YoloFrame *frame, int most)
{
  make_grid (grid, frame);
  cut (grid, longer_side (grid) <= 4 * most ? 4 : coarse_block (grid, most));
}

void
yolo_motion_scratch_clear (YoloMotionScratch *scratch)
{
  free (scratch->sums);
  free (scratch->row);
  *scratch = (YoloMotionScratch){ 0 };
}

/* Each of the functions below adds the luma of [n] pixels to @sums. Of ten bits and
 * YOLO_MOTION_ROWS rows, sums are below 4096. */

YOLO_SIMD static void
add_bytes (uint16_t *restrict sums, const uint8_t *restrict at, int n)
{
  for (int i = 0; i < n; i++)
    sums[i] = (uint16_t) (sums[i] + at[i]);
}

YOLO_SIMD static void
add_pairs (uint16_t *restrict sums, const uint8_t *restrict at, int n)
{
  for (int i = 0; i < n; i++)
    sums[i] = (uint16_t) (sums[i] + at[2 * i]);
}

/* Words of ten bits, which may lie at odd addresses. */
YOLO_SIMD static void
add_words (uint16_t *restrict sums, const uint8_t *restrict at, int shift, int n)
{
  for (int i = 0; i < n; i++) {
    uint16_t word;

    memcpy (&word, at + 2 * i, sizeof word);
    sums[i] = (uint16_t) (sums[i] + (GUINT16_FROM_LE (word) >> shift & 1023));
  }
}

YOLO_SIMD static void
add_rgb3 (uint16_t *restrict sums, const uint8_t *restrict r, const uint8_t *restrict g,
    const uint8_t *restrict b, int n)
{
  for (int i = 0; i < n; i++)
    sums[i] = (uint16_t) (sums[i] + yolo_luma (r[3 * i], g[3 * i], b[3 * i]));
}

YOLO_SIMD static void
add_rgb4 (uint16_t *restrict sums, const uint8_t *restrict r, const uint8_t *restrict g,
    const uint8_t *restrict b, int n)
{
  for (int i = 0; i < n; i++)
    sums[i] = (uint16_t) (sums[i] + yolo_luma (r[4 * i], g[4 * i], b[4 * i]));
}

/* Any format, a pixel at a time. */
static void
add_any (uint16_t *restrict sums, const uint8_t *const at[3], const YoloLayout *layout, int n)
{
  for (int i = 0; i < n; i++) {
    int v[3] = { 0 };

    for (int k = 0; k < (layout->yuv ? 1 : 3); k++) {
      const uint8_t *p = at[k] + (size_t) i * (size_t) layout->component[k].step;

      v[k] = layout->bits == 8 ? p[0] : (p[0] | p[1] << 8) >> layout->shift & 1023;
    }
    sums[i] = (uint16_t) (sums[i] + (layout->yuv ? v[0] : yolo_luma (v[0], v[1], v[2])));
  }
}

/* Adds a row of the frame's part to @sums. @row: all of the row, where the frame is unpacked. */
static void
add_row (const YoloMotionGrid *grid, const YoloFrame *frame, int y, uint8_t *row, uint16_t *sums)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  const int step = layout->component[0].step, n = grid->width;
  const uint8_t *at[3] = { 0 };

  if (frame->unpack != NULL)
    frame->unpack (frame->source, y, row);
  for (int k = 0; k < (layout->yuv ? 1 : 3); k++) {
    const int plane = layout->component[k].plane;

    /* luma and colours have no shift, so that a pixel is a sample */
    at[k] = (frame->unpack != NULL ? row
                    : (const uint8_t *) frame->plane[plane] + (ptrdiff_t) y * frame->stride[plane])
        + (ptrdiff_t) grid->x * layout->component[k].step + layout->component[k].offset;
  }
  if (layout->yuv && layout->bits == 8 && step == 1)
    add_bytes (sums, at[0], n);
  else if (layout->yuv && layout->bits == 8 && step == 2)
    add_pairs (sums, at[0], n);
  else if (layout->yuv && step == 2)
    add_words (sums, at[0], layout->shift, n);
  else if (!layout->yuv && step == 3)
    add_rgb3 (sums, at[0], at[1], at[2], n);
  else if (!layout->yuv && step == 4)
    add_rgb4 (sums, at[0], at[1], at[2], n);
  else
    add_any (sums, at, layout, n);
}

/* The means of a row of blocks, of each of which @rows rows lie in @sums [width], which has zeros
 * up to the end of the last block. */
YOLO_SIMD static void
mean_of_blocks (const YoloMotionGrid *grid, const uint16_t *sums, int rows, int bits,
    uint8_t *restrict picture)
{
  for (int column = 0; column < grid->columns; column++) {
    const int width = column + 1 < grid->columns ? grid->block
        : grid->width - column * grid->block;
    unsigned sum = 0;

    if (grid->block == 4) {
      sum = (unsigned) (sums[0] + sums[1] + sums[2] + sums[3]);
      sums += 4;
    }
    for (int i = 0; i + 8 <= grid->block; i += 8, sums += 8) {
      /* eight sums are below 32768 */
      uint16_t part = 0;

      for (int k = 0; k < 8; k++)
        part = (uint16_t) (part + sums[k]);
      sum += part;
    }
    picture[column] = yolo_mean_level (sum, (unsigned) (rows * width), bits);
  }
}

bool
yolo_motion_picture (const YoloMotionGrid *grid, const YoloFrame *frame,
    YoloMotionScratch *scratch, uint8_t *picture)
{
  const size_t size = (size_t) grid->columns * (size_t) grid->block * sizeof (uint16_t);
  const int bits = yolo_layouts[frame->format].bits;

  if (!yolo_grow (&scratch->sums, &scratch->sums_size, size)
      || (frame->unpack != NULL
          && !yolo_grow (&scratch->row, &scratch->row_size, yolo_unpacked_row (frame))))
    return false;
  for (int row = 0; row < grid->rows; row++) {
    const int y0 = row * grid->block;
    int rows = 0;

    memset (scratch->sums, 0, size);
    for (int y = y0; y < y0 + grid->block && y < grid->height; y += grid->step, rows++)
      add_row (grid, frame, grid->y + y, scratch->row, scratch->sums);
    mean_of_blocks (grid, scratch->sums, rows, bits, picture + (size_t) row * grid->columns);
  }
  return true;
}

YOLO_SIMD static int
largest_difference (const uint8_t *restrict a, const uint8_t *restrict b, size_t n)
{
  uint8_t largest = 0;

  for (size_t i = 0; i < n; i++) {
    const uint8_t difference = (uint8_t) (a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);

    largest = difference > largest ? difference : largest;
  }
  return largest;
}

int
yolo_motion_difference (const uint8_t *a, const uint8_t *b, size_t n)
{
  return largest_difference (a, b, n);
}
