/* SPDX-License-Identifier: MIT */
/* Made-up boxes and scores, by which a file's own non-maximum suppression is tried:
 * whether it does what ours does, but for the thresholds. */

#ifndef YOLO_ONNX_TRIAL_H
#define YOLO_ONNX_TRIAL_H

#include "network/onnx/tensor.h"

/* How a tensor holds decoded boxes: [images][features][anchors], or exchanged,
 * [images][anchors][features]. The features are a box, the scores of the classes and what a
 * task has beside them. */
typedef struct {
  gboolean exchanged;
  gboolean corners;             /* boxes are x1 y1 x2 y2; FALSE: centre and size */
  gboolean turned;              /* boxes have an angle: no row has corners */
  guint n_classes, n_other;
  gsize anchors;
} TrialLayout;

/* One image: boxes that overlap in part, within classes and across them, with scores that
 * all differ. */
typedef struct {
  TrialLayout layout;
  guint n;                      /* anchors */
  float *boxes;                 /* [n][4] corners, in pixels */
  float *scores;                /* [n]: of the best class */
  guint *classes;               /* [n] */
  const float *features;        /* of the image in the tensor, which is not owned */
} Trial;

/* Makes a trial and writes it as image @image of a tensor that has this layout and outlives
 * it. @active: how many of the anchors have a score to speak of; @size: the longer side of
 * the input, pixels; *state: of the random numbers. */
Trial *yolo_trial_new (const TrialLayout *layout, guint active, float size, guint image,
    guint32 *state, Tensor *to);
void yolo_trial_free (Trial *trial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Trial, yolo_trial_free)

/* Whether these rows [n_rows][6 + n_other] (x1 y1 x2 y2, or the box as the tensor
 * has it; score; class; the rest; rows with a score of 0 fill what is left) are what a suppression
 * leaves of the trial by some threshold of the score, some threshold of the overlap and some
 * limit. possible[0] is cleared if none does class by class, possible[1] if none does across
 * classes; FALSE: neither does. */
gboolean yolo_trial_explains (
    const Trial *trial, const float *rows, gsize n_rows, gboolean *possible);

/* Whether the rows are the n_rows pairs of anchor and class that have the highest scores, the
 * highest first. */
gboolean yolo_trial_is_best (const Trial *trial, const float *rows, gsize n_rows);

#endif
