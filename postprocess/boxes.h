/* SPDX-License-Identifier: MIT */
/* What all tasks with boxes have in common; members of YoloTask, which say what they do. The
 * maps of each level are YOLO_MAP_BOX and YOLO_MAP_CLASS, of one size; others may lie
 * beside them. */

#ifndef YOLO_POSTPROCESS_BOXES_H
#define YOLO_POSTPROCESS_BOXES_H

#include "postprocess/task.h"

size_t yolo_boxes_anchors (const YoloHead *head);

/* Whether each level of boxes has a map of this role too, of its size and of the same
 * channels as the others. */
bool yolo_boxes_have (const YoloHead *head, YoloMapRole role);

/* A candidate's confidence, the sigmoid of its best class's logit (the lowest
 * class of equal ones) in single precision, is above decode->confidence. Its
 * sides are the means of their distributions, or the distances that the map has, from
 * the anchor point in the middle of the map's pixel. An anchor with a logit that is NaN,
 * or whose best class or box is not finite, gives no candidate. decode->classes counts
 * in expand() where the head is end to end, and in pairs() where these are wanted. */
void yolo_boxes_decode (const YoloHead *head, YoloDecode *decode);

size_t yolo_boxes_pairs (const YoloHead *head, const float *rows, const YoloDecode *decode,
    YoloObject *pairs, size_t max, YoloObject *scratch);

/* Non-maximum suppression, or the best anchors of an end-to-end head. */
size_t yolo_boxes_finish (const YoloHead *head, YoloDecode *decode, const YoloSuppression *how,
    YoloObject *scratch);

/* Pairs of equal confidence are in the order of their anchors, then of their classes.
 * Source: Ultralytics nn/modules/head.py, get_topk_index: the best classes of the best
 * anchors are the best pairs of all anchors; and utils/nms.py, which takes out the classes
 * that are not wanted after that. */
size_t yolo_boxes_expand (const YoloHead *head, const float *rows, size_t n, YoloDecode *decode,
    const YoloSuppression *how, YoloObject *scratch);

#endif
