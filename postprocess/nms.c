/* SPDX-License-Identifier: MIT */
#include "postprocess/nms.h"

#include <stdbool.h>
#include <string.h>

/* Best first. A total order: no result depends on the order of the input. */
static bool
better (const YoloObject *a, const YoloObject *b)
{
  if (a->confidence != b->confidence)
    return a->confidence > b->confidence;
  return a->anchor < b->anchor || (a->anchor == b->anchor && a->class_id < b->class_id);
}

/* Merge sort between two arrays of n elements: qsort() may allocate. */
static void
sort (YoloObject *a, size_t n, YoloObject *scratch)
{
  YoloObject *from = a, *to = scratch;

  for (size_t run = 1; run < n; run *= 2) {
    for (size_t start = 0; start < n; start += 2 * run) {
      size_t middle = start + run < n ? start + run : n;
      size_t end = middle + run < n ? middle + run : n;
      size_t i = start, j = middle;
      for (size_t k = start; k < end; k++) {
        bool left = i < middle && (j == end || !better (&from[j], &from[i]));
        to[k] = from[left ? i++ : j++];
      }
    }
    YoloObject *t = from;
    from = to;
    to = t;
  }
  if (from != a)
    memcpy (a, from, n * sizeof *a);
}

static inline float
area (const YoloObject *d)
{
  return (d->x2 - d->x1) * (d->y2 - d->y1);
}

/**
 * yolo_iou:
 *
 * Returns: intersection over union, 0 to 1; NaN of two empty boxes, which
 * never suppresses
 */
float
yolo_iou (const YoloObject *a, const YoloObject *b)
{
  float x1 = a->x1 > b->x1 ? a->x1 : b->x1;
  float y1 = a->y1 > b->y1 ? a->y1 : b->y1;
  float x2 = a->x2 < b->x2 ? a->x2 : b->x2;
  float y2 = a->y2 < b->y2 ? a->y2 : b->y2;
  float w = x2 > x1 ? x2 - x1 : 0, h = y2 > y1 ? y2 - y1 : 0;
  float both = w * h;

  return both / (area (a) + area (b) - both);
}

/**
 * yolo_nms:
 * @candidates: (inout) (array length=n): what is kept is at the front, best first
 * @n: how many
 * @iou: dropped if above, as in torchvision's nms
 * @agnostic: whether boxes of other classes drop a box too
 * @max: how many are kept at most; at most n x max pairs are compared
 * @scratch: (array length=n): of the caller
 *
 * Ultralytics moves each class to a place of its own before it compares all
 * with all; here classes are compared, without that rounding.
 *
 * Returns: how many are kept
 */
size_t
yolo_nms (YoloObject *candidates, size_t n, float iou, int agnostic, size_t max,
    YoloObject *scratch)
{
  size_t kept = 0;

  sort (candidates, n, scratch);
  for (size_t i = 0; i < n && kept < max; i++) {
    YoloObject d = candidates[i];
    bool suppressed = false;
    for (size_t k = 0; k < kept && !suppressed; k++)
      suppressed = (agnostic || candidates[k].class_id == d.class_id)
          && yolo_iou (&candidates[k], &d) > iou;
    if (!suppressed)
      candidates[kept++] = d;
  }
  return kept;
}

size_t
yolo_best (YoloObject *candidates, size_t n, size_t max, YoloObject *scratch)
{
  sort (candidates, n, scratch);
  return n < max ? n : max;
}
