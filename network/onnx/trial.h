/* SPDX-License-Identifier: MIT */
/* Made-up boxes and scores, by which a file's own non-maximum suppression is tried:
 * whether it does what ours does, but for the thresholds. */

#ifndef YOLO_ONNX_TRIAL_H
#define YOLO_ONNX_TRIAL_H

#include "network/onnx/tensor.h"

/* How a tensor holds decoded boxes: [images][4 + classes][anchors], or exchanged,
 * [images][anchors][4 + classes]. */
typedef struct {
  gboolean exchanged;
  gboolean corners;             /* boxes are x1 y1 x2 y2; FALSE: centre and size */
  guint n_classes;
  gsize anchors;
} TrialLayout;

/* One image: boxes that overlap in part, within classes and across them, with scores that
 * all differ. */
typedef struct {
  guint n, n_classes;
  float *boxes;                 /* [n][4] corners, in pixels */
  float *scores;                /* [n]: of the best class */
  guint *classes;               /* [n] */
} Trial;

/* Makes a trial. @active: how many of the anchors have a score to speak of; @size: the
 * longer side of the input, pixels; *state: of the random numbers. */
Trial *yolo_trial_new (guint n, guint active, guint n_classes, float size, guint32 *state);
void yolo_trial_free (Trial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Trial, yolo_trial_free)

/* Writes a trial as image @image of a tensor that has this layout. */
void yolo_trial_write (
    const Trial *trial, const TrialLayout *layout, guint image, guint32 *state, Tensor *to);

/* Whether these rows [n_rows][6] (x1 y1 x2 y2 score class; rows of zeros fill the rest)
 * are what a suppression leaves of the trial by some threshold of the score, some
 * threshold of the overlap and some limit. possible[0] is cleared if none does class by
 * class, possible[1] if none does across classes; FALSE: neither does. */
gboolean yolo_trial_explains (
    const Trial *trial, const float *rows, gsize n_rows, gboolean *possible);

#endif
