/* SPDX-License-Identifier: MIT */
/* Which of the candidates are objects.
 * Source: Ultralytics utils/nms.py (non_max_suppression). */

#ifndef YOLO_POSTPROCESS_NMS_H
#define YOLO_POSTPROCESS_NMS_H

#include "postprocess/object.h"

/* Non-maximum suppression in place: sorts by confidence, then anchor, then class; drops
 * what overlaps a better one of its class (of any class if agnostic) by more
 * than iou; keeps at most `max`. Returns how many are left. Allocates
 * nothing; `scratch` is n elements of the caller's. */
size_t yolo_nms (YoloObject *candidates, size_t n, float iou, int agnostic, size_t max,
    YoloObject *scratch);

/* Sorts candidates in place in the same way; returns how many the best `max`
 * are. Allocates nothing; `scratch` is n elements of the caller's. */
size_t yolo_best (YoloObject *candidates, size_t n, size_t max, YoloObject *scratch);

/* Intersection over union, 0 to 1; NaN of two empty boxes. */
float yolo_iou (const YoloObject *a, const YoloObject *b);

/* The same of turned boxes as normal distributions: 1 less the Hellinger distance, which is
 * near to the intersection over union. Source: J. Llerena et al., "Gaussian Bounding
 * Boxes and Probabilistic Intersection-over-Union", arXiv:2106.06072. */
float yolo_turned_iou (const YoloObject *a, const YoloObject *b);

#endif
