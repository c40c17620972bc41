/* SPDX-License-Identifier: MIT */
/* Boxes with a class: the maps of each level are YOLO_MAP_BOX and YOLO_MAP_CLASS,
 * of one size. Source: Ultralytics nn/modules/head.py (Detect), nn/modules/block.py (DFL). */

#include "base/simd.h"
#include "postprocess/nms.h"
#include "postprocess/task.h"

#include <math.h>

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
} Head;

/* The same in single precision everywhere: it alone decides. */
static inline float
sigmoid (float x)
{
  return 1.0f / (1.0f + expf (-x));
}

/* The inverse of sigmoid(), with room for its rounding. */
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

/* The same as a quantised file computes it. */
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

static const Level *
level_of (const Head *head, size_t *anchor)
{
  for (int l = 0; l < head->n_levels; l++) {
    size_t n = (size_t) head->levels[l].width * head->levels[l].height;
    if (*anchor < n)
      return &head->levels[l];
    *anchor -= n;
  }
  return NULL;
}

/* Whether the anchor is a candidate, and which. */
static bool
decode_anchor (const Head *head, size_t anchor, YoloObject *out)
{
  size_t i = anchor;
  const Level *level = level_of (head, &i);
  const float *cls = level->cls + i * level->cls_pitch;
  const float *box = level->box + i * level->box_pitch;

  int best = 0;
  bool finite = true;
  for (int c = 0; c < head->n_classes; c++) {
    finite = finite && !isnan (cls[c]);
    best = cls[c] > cls[best] ? c : best;
  }
  float confidence = sigmoid (cls[best]);
  if (!finite || isinf (cls[best]) || !(confidence > head->confidence))
    return false;
  if (head->classes && !head->classes[best])
    return false;

  float side[4];                /* distances to left, top, right, bottom in map pixels */
  for (int s = 0; s < 4; s++) {
    side[s] = head->rounding
        ? rounded_expectation (box + s * head->reg_max, head->reg_max, head->rounding)
        : expectation (box + s * head->reg_max, head->reg_max);
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
mark (const Head *head, size_t first, size_t n_anchors)
{
  uint64_t bits = 0;
  YoloObject unused;
  size_t i = first, left = 0;
  const Level *level = NULL;

  for (size_t k = 0; k < 64 && first + k < n_anchors; k++, i++, left--) {
    if (left == 0) {
      i = first + k;
      level = level_of (head, &i);
      left = (size_t) level->width * level->height - i;
    }
    if (any_above (level->cls + i * level->cls_pitch, head->n_classes, head->logit)
        && decode_anchor (head, first + k, &unused))
      bits |= UINT64_C (1) << k;
  }
  return bits;
}

/* Sorts the maps into levels. FALSE: they are not two of one size for each level. */
static bool
head_init (Head *head, const YoloMap *maps, int n_maps)
{
  *head = (Head) { .n_levels = n_maps / 2 };
  if (n_maps < 2 || n_maps % 2 != 0 || head->n_levels > YOLO_MAX_LEVELS)
    return false;
  for (int l = 0; l < head->n_levels; l++) {
    const YoloMap *box = &maps[2 * l], *cls = box + 1;

    if (box->output.role != YOLO_MAP_BOX || cls->output.role != YOLO_MAP_CLASS
        || box->width != cls->width || box->height != cls->height
        || box->channels != maps[0].channels || cls->channels != maps[1].channels)
      return false;
    head->levels[l] = (Level) {
      .box = box->data, .cls = cls->data, .box_pitch = box->pitch, .cls_pitch = cls->pitch,
      .width = box->width, .height = box->height, .stride = (int) box->output.stride,
    };
  }
  head->reg_max = maps[0].channels / 4;
  head->n_classes = maps[1].channels;
  return maps[0].channels % 4 == 0 && head->reg_max >= 1 && head->reg_max <= MAX_REG
      && head->n_classes >= 1;
}

static size_t
count_anchors (const Head *head)
{
  size_t n = 0;

  for (int l = 0; l < head->n_levels; l++)
    n += (size_t) head->levels[l].width * head->levels[l].height;
  return n;
}

static size_t
anchors (const YoloMap *maps, int n_maps)
{
  Head head;

  return head_init (&head, maps, n_maps) ? count_anchors (&head) : 0;
}

/* A candidate's confidence, the sigmoid of its best class's logit (the lowest
 * class of equal ones) in single precision, is above decode->confidence. Its
 * sides are the means of their distributions, from the anchor point in the
 * middle of the map's pixel. An anchor with a logit that is NaN, or whose best
 * class or box is not finite, gives no candidate. 60 us for 8400 anchors of 80 classes. */
static void
decode_maps (const YoloMap *maps, int n_maps, YoloDecode *decode)
{
  size_t n_anchors, found = 0;
  Head head;

  decode->n = decode->missed = 0;
  if (!head_init (&head, maps, n_maps))
    return;
  head.confidence = decode->confidence;
  head.logit = logit_below (decode->confidence);
  head.classes = decode->classes;
  head.rounding = decode->rounding;
  n_anchors = count_anchors (&head);
  for (size_t start = 0; start < n_anchors; start += 64)
    for (uint64_t b = mark (&head, start, n_anchors); b; b &= b - 1, found++)
      if (found < decode->capacity)
        decode_anchor (&head, start + (size_t) __builtin_ctzll (b), &decode->candidates[found]);
  decode->n = found < decode->capacity ? found : decode->capacity;
  decode->missed = found - decode->n;
}

static size_t
finish (YoloDecode *decode, const YoloSuppression *how, YoloObject *scratch)
{
  return yolo_nms (
      decode->candidates, decode->n, how->iou, how->agnostic, how->max, scratch);
}

const YoloTask yolo_task_detect = { "detect", anchors, decode_maps, finish };
