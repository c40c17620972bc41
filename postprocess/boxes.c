/* SPDX-License-Identifier: MIT */
/* Source: Ultralytics nn/modules/head.py (Detect), nn/modules/block.py (DFL). */

#include "base/simd.h"
#include "postprocess/boxes.h"
#include "postprocess/nms.h"
#include "postprocess/task.h"

#include <math.h>
#include <string.h>

#define MAX_REG 64              /* bins of a side's distribution */

/* One image's two maps of one level, [height][width] pixels, so many floats apart. */
typedef struct {
  const float *box;             /* [4][reg_max] logits a pixel: left, top, right, bottom */
  const float *cls;             /* [n_classes] logits a pixel */
  size_t box_pitch, cls_pitch;
  int width, height;
  int stride;                   /* pixels of the network's input per pixel of the map */
} Level;

typedef struct {
  Level levels[YOLO_MAX_LEVELS];
  int n_levels, reg_max, n_classes;
  float confidence;
  float logit;                  /* no logit up to this can have a confidence above the threshold */
  const uint8_t *classes;
  const YoloSideRounding *rounding;
} Boxes;

/* In single precision on every back end, since a confidence decides what is a candidate. */
static inline float
sigmoid (float x)
{
  return 1.0f / (1.0f + expf (-x));
}

/* A logit whose sigmoid, however it is rounded, is not above the confidence. */
static float
logit_below (float confidence)
{
  double c = confidence * (1 - 1e-6);
  if (!(c > 0))
    return -INFINITY;
  if (c >= 1)
    c = 1 - 1e-6;
  return nextafterf ((float) log (c / (1 - c)), -INFINITY);
}

/* Whether any of n logits is above the threshold; NaN is not. */
YOLO_SIMD static int
any_above (const float *x, int n, float threshold)
{
  int any = 0;
  for (int i = 0; i < n; i++)
    any |= x[i] > threshold;
  return any;
}

/* The mean of the bins 0 to n-1 under the softmax of their logits. */
static float
expectation (const float *logits, int n)
{
  float max = logits[0];
  for (int i = 1; i < n; i++)
    max = logits[i] > max ? logits[i] : max;

  float sum = 0, mean = 0;
  for (int i = 0; i < n; i++) {
    float e = expf (logits[i] - max);
    sum += e;
    mean += e * (float) i;
  }
  return mean / sum;
}

static float
round_to (YoloSteps steps, float x)
{
  if (steps.step == 0)
    return x;
  x = rintf (x / steps.step);
  return (x < steps.low ? steps.low : x > steps.high ? steps.high : x) * steps.step;
}

/* The mean of the bins as a quantised file computes it. */
static float
rounded_expectation (const float *logits, int n, const YoloSideRounding *rounding)
{
  float max = logits[0], sum = 0, mean = 0;

  for (int i = 1; i < n; i++)
    max = logits[i] > max ? logits[i] : max;
  for (int i = 0; i < n; i++)
    sum += expf (logits[i] - max);
  for (int i = 0; i < n; i++)
    mean += round_to (rounding->softmax, expf (logits[i] - max) / sum) * rounding->bins[i];
  return round_to (rounding->distance, mean);
}

/* How far one side is away, in pixels of the map. */
static float
distance (const Boxes *boxes, const float *numbers)
{
  if (boxes->reg_max == 1)
    return numbers[0];
  return boxes->rounding != NULL
      ? rounded_expectation (numbers, boxes->reg_max, boxes->rounding)
      : expectation (numbers, boxes->reg_max);
}

static const Level *
level_of (const Boxes *boxes, size_t *anchor)
{
  for (int l = 0; l < boxes->n_levels; l++) {
    size_t n = (size_t) boxes->levels[l].width * boxes->levels[l].height;
    if (*anchor < n)
      return &boxes->levels[l];
    *anchor -= n;
  }
  return NULL;
}

/* Whether the anchor is a candidate, and which. */
static bool
decode_anchor (const Boxes *boxes, size_t anchor, YoloObject *out)
{
  size_t i = anchor;
  const Level *level = level_of (boxes, &i);
  const float *cls = level->cls + i * level->cls_pitch;
  const float *box = level->box + i * level->box_pitch;

  int best = 0;
  bool finite = true;
  for (int c = 0; c < boxes->n_classes; c++) {
    finite = finite && !isnan (cls[c]);
    best = cls[c] > cls[best] ? c : best;
  }
  float confidence = sigmoid (cls[best]);
  if (!finite || isinf (cls[best]) || !(confidence > boxes->confidence))
    return false;
  if (boxes->classes && !boxes->classes[best])
    return false;

  float side[4];                /* distances to left, top, right, bottom in map pixels */
  for (int s = 0; s < 4; s++) {
    side[s] = distance (boxes, box + s * boxes->reg_max);
    if (!isfinite (side[s]))
      return false;
  }
  float x = (float) (i % level->width) + 0.5f, y = (float) (i / level->width) + 0.5f;
  float stride = (float) level->stride;
  *out = (YoloObject) {
    .x1 = (x - side[0]) * stride, .y1 = (y - side[1]) * stride,
    .x2 = (x + side[2]) * stride, .y2 = (y + side[3]) * stride,
    .confidence = confidence, .class_id = best, .anchor = (int32_t) anchor,
  };
  return true;
}

/* One bit for each of 64 anchors from `first`: whether it is a candidate. */
static uint64_t
mark (const Boxes *boxes, size_t first, size_t n_anchors)
{
  uint64_t bits = 0;
  YoloObject unused;
  size_t i = first, left = 0;
  const Level *level = NULL;

  for (size_t k = 0; k < 64 && first + k < n_anchors; k++, i++, left--) {
    if (left == 0) {
      i = first + k;
      level = level_of (boxes, &i);
      left = (size_t) level->width * level->height - i;
    }
    if (any_above (level->cls + i * level->cls_pitch, boxes->n_classes, boxes->logit)
        && decode_anchor (boxes, first + k, &unused))
      bits |= UINT64_C (1) << k;
  }
  return bits;
}

/* Sorts the maps into levels. FALSE: they are not, for each level, a pair of one size. */
static bool
boxes_init (Boxes *boxes, const YoloHead *head)
{
  const YoloMap *box, *cls, *first = yolo_head_map (head, YOLO_MAP_BOX, 0);

  *boxes = (Boxes) { 0 };
  for (unsigned l = 0; (box = yolo_head_map (head, YOLO_MAP_BOX, l)) != NULL; l++) {
    cls = yolo_head_map (head, YOLO_MAP_CLASS, l);
    if (l == YOLO_MAX_LEVELS || cls == NULL || box->width != cls->width
        || box->height != cls->height || box->channels != first->channels
        || (l > 0 && cls->channels != boxes->n_classes))
      return false;
    boxes->levels[l] = (Level) {
      .box = box->data, .cls = cls->data, .box_pitch = box->pitch, .cls_pitch = cls->pitch,
      .width = box->width, .height = box->height, .stride = (int) box->output.stride,
    };
    boxes->n_classes = cls->channels;
    boxes->n_levels++;
  }
  if (boxes->n_levels == 0 || first->channels % 4 != 0)
    return false;
  boxes->reg_max = first->channels / 4;
  return boxes->reg_max >= 1 && boxes->reg_max <= MAX_REG && boxes->n_classes >= 1;
}

static size_t
count_anchors (const Boxes *boxes)
{
  size_t n = 0;

  for (int l = 0; l < boxes->n_levels; l++)
    n += (size_t) boxes->levels[l].width * boxes->levels[l].height;
  return n;
}

size_t
yolo_boxes_anchors (const YoloHead *head)
{
  Boxes boxes;

  return boxes_init (&boxes, head) ? count_anchors (&boxes) : 0;
}

bool
yolo_boxes_have (const YoloHead *head, YoloMapRole role)
{
  const YoloMap *box, *first = yolo_head_map (head, role, 0);

  for (unsigned l = 0; (box = yolo_head_map (head, YOLO_MAP_BOX, l)) != NULL; l++) {
    const YoloMap *map = yolo_head_map (head, role, l);
    if (map == NULL || map->width != box->width || map->height != box->height
        || map->channels != first->channels)
      return false;
  }
  return first != NULL;
}

/* It takes 60 us for 8400 anchors of 80 classes. */
void
yolo_boxes_decode (const YoloHead *head, YoloDecode *decode)
{
  size_t n_anchors, found = 0;
  Boxes boxes;

  decode->n = decode->missed = 0;
  if (!boxes_init (&boxes, head))
    return;
  boxes.confidence = decode->confidence;
  boxes.logit = logit_below (decode->confidence);
  boxes.classes = head->form.end_to_end || decode->multi_label ? NULL : decode->classes;
  boxes.rounding = decode->rounding;
  n_anchors = count_anchors (&boxes);
  for (size_t start = 0; start < n_anchors; start += 64)
    for (uint64_t b = mark (&boxes, start, n_anchors); b; b &= b - 1, found++)
      if (found < decode->capacity)
        decode_anchor (&boxes, start + (size_t) __builtin_ctzll (b), &decode->candidates[found]);
  decode->n = found < decode->capacity ? found : decode->capacity;
  decode->missed = found - decode->n;
}

/* Whether the @n best objects so far, best first, take in another one; the list is then
 * as long as it was, or one longer up to @max. */
static size_t
insert (YoloObject *best, size_t n, size_t max, const YoloObject *object)
{
  size_t at = n;

  while (at > 0 && object->confidence > best[at - 1].confidence)
    at--;
  if (at == max)
    return n;
  n += n < max;
  memmove (&best[at + 1], &best[at], (n - 1 - at) * sizeof *best);
  best[at] = *object;
  return n;
}

size_t
yolo_boxes_expand (const YoloHead *head, const float *rows, size_t n, YoloDecode *decode,
    const YoloSuppression *how, YoloObject *scratch)
{
  int n_classes = yolo_head_map (head, YOLO_MAP_CLASS, 0)->channels;
  size_t kept = 0, wanted = 0, max = how->max < decode->capacity ? how->max : decode->capacity;

  for (size_t i = 0; i < n; i++) {
    for (int c = 0; c < n_classes; c++) {
      YoloObject object = decode->candidates[i];

      object.confidence = sigmoid (rows[i * (size_t) n_classes + (size_t) c]);
      object.class_id = c;
      if (object.confidence > decode->confidence)
        kept = insert (scratch, kept, max, &object);
    }
  }
  for (size_t i = 0; i < kept; i++) {
    if (decode->classes == NULL || decode->classes[scratch[i].class_id])
      decode->candidates[wanted++] = scratch[i];
  }
  return wanted;
}

/* Whenever the array is full, the better half stays: sorting costs little for each pair. */
size_t
yolo_boxes_pairs (const YoloHead *head, const float *rows, const YoloDecode *decode,
    YoloObject *pairs, size_t max, YoloObject *scratch)
{
  int n_classes = yolo_head_map (head, YOLO_MAP_CLASS, 0)->channels;
  float logit = logit_below (decode->confidence);
  size_t n = 0;

  for (size_t i = 0; i < decode->n; i++, rows += n_classes) {
    for (int c = 0; c < n_classes; c++) {
      float confidence = rows[c] > logit ? sigmoid (rows[c]) : 0;

      if (!(confidence > decode->confidence)
          || (decode->classes != NULL && !decode->classes[c]))
        continue;
      if (n == 2 * max)
        n = yolo_best (pairs, n, max, scratch);
      pairs[n] = decode->candidates[i];
      pairs[n].confidence = confidence;
      pairs[n++].class_id = c;
    }
  }
  return n > max ? yolo_best (pairs, n, max, scratch) : n;
}

size_t
yolo_boxes_finish (const YoloHead *head, YoloDecode *decode, const YoloSuppression *how,
    YoloObject *scratch)
{
  if (head->form.end_to_end)
    return yolo_best (decode->candidates, decode->n, how->max, scratch);
  return yolo_nms (decode->candidates, decode->n, how->iou, how->agnostic, how->max, scratch);
}
