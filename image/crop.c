/* SPDX-License-Identifier: MIT */
#include "image/crop.h"
#include "base/simd.h"
#include "image/grow.h"
#include "image/pixel.h"
#include "image/tensor.h"

#include <stdlib.h>
#include <string.h>

/* What one place of the output, a column or a row, is the weighted sum of: neighbouring columns
 * or rows of the source. */
typedef struct {
  int first, n;
  int32_t *weights;             /* [n] */
} Taps;

typedef struct {
  Taps *taps;                   /* [places]; their weights lie in `weights`, one after the other */
  int32_t *weights;
  size_t room;                  /* bytes that there are for weights */
  /* places `begin` and those behind it, of an axis of `src` pixels that is scaled to `dst` */
  int src, dst, begin, places;
} Axis;

struct _YoloCrop {
  Axis columns, rows;
  uint8_t *whole;               /* [src_height][src_width][3], upright */
  size_t whole_size;
  uint8_t *narrow;              /* [n_rows][net_width][3]: the needed rows, scaled along */
  size_t narrow_size;
};

typedef struct {
  const YoloCrop *crop;
  const YoloLetterbox *box;
  int first_row;                /* number of the row of the source that `narrow` begins with */
  void *dst;
  YoloDType type;
  int channels;
} Run;

void
yolo_crop_free (YoloCrop *crop)
{
  if (!crop)
    return;
  free (crop->columns.taps);
  free (crop->columns.weights);
  free (crop->rows.taps);
  free (crop->rows.weights);
  free (crop->whole);
  free (crop->narrow);
  free (crop);
}

/* The taps of places begin .. begin + places - 1 of an axis of @src pixels scaled to @dst. */
static bool
make_axis (Axis *axis, int src, int dst, int begin, int places)
{
  size_t total = 0, room = 0;

  if (axis->src == src && axis->dst == dst && axis->begin == begin && axis->places == places)
    return true;
  axis->src = 0;                /* not valid until all is done */
  for (int i = 0; i < places; i++)
    room += (size_t) yolo_filter_at (begin + i, src, dst).n;
  Taps *taps = realloc (axis->taps, (size_t) places * sizeof *taps);
  if (!taps)
    return false;
  axis->taps = taps;
  if (!yolo_grow ((void **) &axis->weights, &axis->room, room * sizeof (int32_t)))
    return false;
  for (int i = 0; i < places; i++) {
    YoloFilter filter = yolo_filter_at (begin + i, src, dst);
    double norm = yolo_filter_norm (&filter);

    taps[i] = (Taps) { filter.first, filter.n, axis->weights + total };
    for (int k = 0; k < filter.n; k++)
      taps[i].weights[k] = yolo_filter_weight (&filter, norm, k);
    total += (size_t) filter.n;
  }
  axis->src = src;
  axis->dst = dst;
  axis->begin = begin;
  axis->places = places;
  return true;
}

/* One row of the source, scaled along. */
static void
narrow_row (void *data, unsigned index, unsigned thread)
{
  const Run *run = data;
  const YoloLetterbox *box = run->box;
  const uint8_t *from = run->crop->whole
      + ((size_t) run->first_row + index) * (size_t) box->src_width * 3;
  uint8_t *to = run->crop->narrow + (size_t) index * (size_t) box->net_width * 3;

  (void) thread;
  for (int x = 0; x < box->net_width; x++) {
    const Taps *taps = &run->crop->columns.taps[x];
    const uint8_t *p = from + 3 * (size_t) taps->first;
    int32_t sum[3] = { YOLO_FILTER_HALF, YOLO_FILTER_HALF, YOLO_FILTER_HALF };

    for (int k = 0; k < taps->n; k++)
      for (int c = 0; c < 3; c++)
        sum[c] += p[3 * k + c] * taps->weights[k];
    for (int c = 0; c < 3; c++)
      *to++ = yolo_filter_level (sum[c]);
  }
}

#define CHUNK 192               /* levels of a row that are summed at a time, on the stack */

/* Levels begin .. begin + n - 1 of the output row: the sums of those above one another. */
YOLO_SIMD static void
sum_levels (const uint8_t *restrict rows, size_t pitch, const Taps *taps, int n,
    uint8_t *restrict out)
{
  int32_t sum[CHUNK];

  for (int i = 0; i < n; i++)
    sum[i] = YOLO_FILTER_HALF;
  for (int k = 0; k < taps->n; k++) {
    const uint8_t *row = rows + (size_t) k * pitch;
    int32_t weight = taps->weights[k];
    for (int i = 0; i < n; i++)
      sum[i] += row[i] * weight;
  }
  for (int i = 0; i < n; i++)
    out[i] = yolo_filter_level (sum[i]);
}

/* One row of the output. */
static void
finish_row (void *data, unsigned index, unsigned thread)
{
  const Run *run = data;
  size_t pitch = (size_t) run->box->net_width * 3;
  const Taps *taps = &run->crop->rows.taps[index];
  const uint8_t *rows = run->crop->narrow + (size_t) (taps->first - run->first_row) * pitch;
  size_t at = (size_t) index * (size_t) run->box->net_width * (size_t) run->channels;
  uint8_t levels[CHUNK];

  (void) thread;
  for (size_t begin = 0; begin < pitch; begin += CHUNK) {
    int n = pitch - begin < CHUNK ? (int) (pitch - begin) : CHUNK;

    sum_levels (rows + begin, pitch, taps, n, levels);
    for (int i = 0; i < n; i += 3, at += (size_t) run->channels)
      for (int c = 0; c < run->channels; c++)
        yolo_tensor_set (run->dst, run->type, at + (size_t) c, c < 3 ? levels[i + c] : 0);
  }
}

bool
yolo_crop_run (YoloCrop **made, YoloPreprocess *pre, YoloPool *pool, const YoloFrame *frame,
    const YoloLetterbox *box, void *dst, YoloDType type, int channels)
{
  YoloCrop *crop = *made ? *made : (*made = calloc (1, sizeof (YoloCrop)));
  YoloLetterbox whole;
  Run run = { .crop = crop, .box = box, .dst = dst, .type = type, .channels = channels };

  if (!crop
      || !make_axis (&crop->columns, box->src_width, box->width, -box->left, box->net_width)
      || !make_axis (&crop->rows, box->src_height, box->height, -box->top, box->net_height)
      || !yolo_grow ((void **) &crop->whole, &crop->whole_size,
          (size_t) box->src_width * (size_t) box->src_height * 3))
    return false;
  const Taps *last = &crop->rows.taps[box->net_height - 1];
  run.first_row = crop->rows.taps[0].first;
  int n_rows = last->first + last->n - run.first_row;
  if (!yolo_grow ((void **) &crop->narrow, &crop->narrow_size,
          (size_t) n_rows * (size_t) box->net_width * 3))
    return false;

  yolo_letterbox_init (&whole, box->src_width, box->src_height, box->src_width, box->src_height);
  whole.turn = box->turn;
  whole.x = box->x;
  whole.y = box->y;
  if (!yolo_preprocess_run (pre, frame, &whole, crop->whole, YOLO_U8, 3))
    return false;
  yolo_pool_run (pool, (unsigned) n_rows, narrow_row, &run);
  yolo_pool_run (pool, (unsigned) box->net_height, finish_row, &run);
  return true;
}
