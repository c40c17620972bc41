/* SPDX-License-Identifier: MIT */
/* Boxes and scores that are made up to see what a file's own non-maximum
 * suppression does with them: whether it is ours, but for the thresholds. */

#ifndef YOLO_ONNX_TRIAL_H
#define YOLO_ONNX_TRIAL_H

#include "network/onnx/tensor.h"

/* How a tensor holds decoded boxes: [images][4 + classes][anchors], or the last two exchanged. */
typedef struct {
  gboolean exchanged;
  gboolean corners;             /* x1 y1 x2 y2; or centre and size */
  guint n_classes;
  gsize anchors;
} TrialLayout;

/* One image. Boxes overlap in part, within classes and across them; scores all differ. */
typedef struct {
  guint n, n_classes;
  float *boxes;                 /* [n][4] corners, in pixels */
  float *scores;                /* [n] of the best class */
  guint *classes;               /* [n] */
} Trial;

/* @active: how many of the anchors have a score to speak of; @size: the input's
 * longer side, pixels; *state: of the random numbers. */
Trial *yolo_trial_new (guint n, guint active, guint n_classes, float size, guint32 *state);
void yolo_trial_free (Trial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Trial, yolo_trial_free)

/* Writes a trial as image @image of a tensor of that layout. */
void yolo_trial_write (
    const Trial *trial, const TrialLayout *layout, guint image, guint32 *state, Tensor *to);

/* Whether these rows [n_rows][6] (x1 y1 x2 y2 score class, zeros behind the
 * last) are what a suppression gives of the trial by some threshold of the
 * score, some of the overlap and some limit. possible[0] is cleared if it does
 * not do so class by class, possible[1] if not across classes; FALSE: neither. */
gboolean yolo_trial_explains (
    const Trial *trial, const float *rows, gsize n_rows, gboolean *possible);

#endif
