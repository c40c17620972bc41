/* SPDX-License-Identifier: MIT */
#include "postprocess/detect.h"
#include "base/simd.h"

#include <math.h>
#include <stdbool.h>


typedef struct {
  const YoloLevel *levels;
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

static const YoloLevel *
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
  const YoloLevel *level = level_of (head, &i);
  const float *cls = level->cls + i * level->cls_stride;
  const float *box = level->box + i * level->box_stride;

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
  const YoloLevel *level = NULL;

  for (size_t k = 0; k < 64 && first + k < n_anchors; k++, i++, left--) {
    if (left == 0) {
      i = first + k;
      level = level_of (head, &i);
      left = (size_t) level->width * level->height - i;
    }
    if (any_above (level->cls + i * level->cls_stride, head->n_classes, head->logit)
        && decode_anchor (head, first + k, &unused))
      bits |= UINT64_C (1) << k;
  }
  return bits;
}

/**
 * yolo_decode:
 * @levels: (array length=n_levels): by increasing stride; their memory holds width x height pixels
 * @n_levels: 1 or more
 * @reg_max: bins of a side's distribution, 1 to 64
 * @n_classes: 1 or more
 * @decode: (inout): what to keep, and room for it; n and missed are set
 *
 * A candidate's confidence, the sigmoid of its best class's logit (the lowest
 * class of equal ones) in single precision, is above decode->confidence. Its
 * sides are the means of their distributions, from the anchor point in the
 * middle of the map's pixel. An anchor with a logit that is NaN, or whose best
 * class or box is not finite, is none.
 */
void
yolo_decode (const YoloLevel *levels, int n_levels, int reg_max, int n_classes,
    YoloDecode *decode)
{
  const Head head = {
    .levels = levels, .n_levels = n_levels, .reg_max = reg_max, .n_classes = n_classes,
    .confidence = decode->confidence, .logit = logit_below (decode->confidence),
    .classes = decode->classes, .rounding = decode->rounding,
  };
  size_t n_anchors = 0, found = 0;

  for (int l = 0; l < n_levels; l++)
    n_anchors += (size_t) levels[l].width * levels[l].height;

  for (size_t start = 0; start < n_anchors; start += 64)
    for (uint64_t b = mark (&head, start, n_anchors); b; b &= b - 1, found++)
      if (found < decode->capacity)
        decode_anchor (&head, start + (size_t) __builtin_ctzll (b), &decode->candidates[found]);
  decode->n = found < decode->capacity ? found : decode->capacity;
  decode->missed = found - decode->n;
}
