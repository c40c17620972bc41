/* SPDX-License-Identifier: MIT */
/* The head: found by its structure, checked by running it. */

#ifndef YOLO_ONNX_HEAD_H
#define YOLO_ONNX_HEAD_H

#include "network/onnx/lower.h"

/* Finds where the per-level maps leave the body and makes sure that what follows computes
 * from them what the decode of one of our tasks does: its operators are run on random maps
 * and the result is compared with the formulas. What follows the decode in a file with
 * non-maximum suppression, or in one that is end to end, is run on made-up boxes in the same
 * manner. A file whose tail is anything else is refused. Declares the maps as the graph's
 * outputs, sets the graph's task and form, and tells it what the tail rounds.
 * @task: of the file's metadata, for errors; or NULL */
gboolean yolo_head_find (Lowered *lowered, const char *task, GError **error);

#endif
