/* SPDX-License-Identifier: MIT */
/* The detect head: found by its structure, checked by running it. */

#ifndef YOLO_ONNX_HEAD_H
#define YOLO_ONNX_HEAD_H

#include "network/onnx/lower.h"

typedef struct {
  guint n_classes, reg_max;
  guint n_outputs;
  YoloOutput outputs[YOLO_MAX_OUTPUTS]; /* as in YoloModel */
  YoloBoxRounding rounding;     /* by quantisers in the tail */
} Head;

/* Finds where the per-level maps leave the body and makes sure that what
 * follows computes from them what the decode of a YOLOv8 does: its operators
 * are run on random maps and the result is compared with the formula. What
 * follows the decode in a file with non-maximum suppression is run on made-up
 * boxes in the same manner. A file whose tail is anything else is refused. @task is for the
 * error. */
gboolean head_find (Lowered *lowered, const char *task, Head *head, GError **error);

#endif
