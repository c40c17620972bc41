/* SPDX-License-Identifier: MIT */
/* From the head's maps to candidates, and from candidates to detections.
 * Source: Ultralytics nn/modules/head.py (Detect), nn/modules/block.py (DFL),
 * utils/nms.py (non_max_suppression, not multi_label). */

#ifndef YOLO_POSTPROCESS_DETECT_H
#define YOLO_POSTPROCESS_DETECT_H

#include "postprocess/object.h"

/* One image's maps of one level: [height][width] pixels, `box_stride` and
 * `cls_stride` floats apart. */
typedef struct {
  const float *box;             /* [4][reg_max] logits a pixel: left, top, right, bottom */
  const float *cls;             /* [n_classes] logits a pixel */
  size_t box_stride, cls_stride;
  int width, height;
  int stride;                   /* network pixels per map pixel */
} YoloLevel;

/* To round numbers as a quantised file does: to multiples of step, from low to high
 * of them. Step 0: not at all. */
typedef struct {
  float step, low, high;
} YoloSteps;

/* How it computes a side's distance: the softmax is rounded, then multiplied by
 * bins [reg_max], which stand for 0, 1, 2, ...; the sum is rounded. */
typedef struct {
  YoloSteps softmax, distance;
  const float *bins;
} YoloSideRounding;

/* What to keep of one image, and the candidates found. */
typedef struct _YoloDecode YoloDecode;
struct _YoloDecode {
  float confidence;             /* threshold: kept if above */
  /* [n_classes] 0 or 1, or NULL for all: applied to an anchor's best class */
  const uint8_t *classes;
  const YoloSideRounding *rounding;     /* or NULL: none */
  YoloObject *candidates;    /* [capacity], the caller's */
  size_t capacity;
  size_t n;                     /* written */
  size_t missed;                /* candidates beyond the capacity */
};

/* Fills decode->candidates, in order of anchors. n_classes >= 1,
 * 1 <= reg_max <= 64. One thread does it: 60 us for 8400 anchors of 80 classes. */
void yolo_decode (const YoloLevel *levels, int n_levels, int reg_max, int n_classes,
    YoloDecode *decode);

/* Non-maximum suppression in place: sorts by confidence, then anchor; drops
 * what overlaps a better one of its class (of any class if agnostic) by more
 * than iou; keeps at most `max`. Returns how many are left. Allocates
 * nothing; `scratch` is n elements of the caller's. */
size_t yolo_nms (YoloObject *candidates, size_t n, float iou, int agnostic, size_t max,
    YoloObject *scratch);

float yolo_iou (const YoloObject *a, const YoloObject *b);

#endif
