/* SPDX-License-Identifier: MIT */
#include "network/onnx/trial.h"
#include "network/onnx/eval.h"

#include <math.h>

/* Files move boxes apart by class and scale them before they compare them, in floats. */
#define OVERLAP_TOLERANCE 1e-3f
#define BOX_TOLERANCE 1e-3f     /* pixels */

static float
uniform (guint32 *state, float low, float high)
{
  *state = *state * 1664525u + 1013904223u;
  return low + (high - low) * (float) (*state >> 8) / (1 << 24);
}

/* Gives all anchors different scores in random order. The first and the last anchor get
 * the highest; all but the active ones get next to nothing. */
static void
fill_scores (Trial *trial, guint active, guint32 *state)
{
  guint n = trial->n;
  float low = n > active ? 1 - (float) active / n : 0;

  for (guint i = 0; i < n; i++)
    trial->scores[i] = ((float) i + .5f) / n;
  for (guint i = n - 1; i > 0; i--) {
    guint other = MIN ((guint) uniform (state, 0, (float) i + 1), i);
    float score = trial->scores[i];
    trial->scores[i] = trial->scores[other];
    trial->scores[other] = score;
  }
  for (guint i = 0; i < n; i++)
    trial->scores[i] =
        trial->scores[i] > low ? (trial->scores[i] - low) / (1 - low) : 1e-6f * trial->scores[i];
  trial->scores[0] = 1 - .25f / n;
  trial->scores[n - 1] = 1 - .125f / n;
}

Trial *
yolo_trial_new (guint n, guint active, guint n_classes, float size, guint32 *state)
{
  Trial *trial = g_new0 (Trial, 1);

  trial->n = n;
  trial->n_classes = n_classes;
  trial->boxes = g_new (float, 4 * (gsize) n);
  trial->scores = g_new (float, n);
  trial->classes = g_new (guint, n);
  fill_scores (trial, active, state);
  for (guint i = 0; i < n; i++) {
    float *box = trial->boxes + 4 * (gsize) i;
    /* some boxes reach beyond the picture, but not so far that they meet those of another
     * class, which a file moves to a square beside it */
    for (guint k = 0; k < 2; k++) {
      float centre = uniform (state, .12f, .88f), half = uniform (state, .135f, .165f);
      box[k] = size * (centre - half);
      box[k + 2] = size * (centre + half);
    }
    trial->classes[i] = MIN ((guint) uniform (state, 0, (float) n_classes), n_classes - 1);
  }
  return trial;
}

void
yolo_trial_free (Trial *trial)
{
  if (trial == NULL)
    return;
  g_free (trial->boxes);
  g_free (trial->scores);
  g_free (trial->classes);
  g_free (trial);
}

void
yolo_trial_write (
    const Trial *trial, const TrialLayout *layout, guint image, guint32 *state, Tensor *to)
{
  gsize features = 4 + (gsize) layout->n_classes;
  gsize feature_step = layout->exchanged ? 1 : layout->anchors;
  gsize anchor_step = layout->exchanged ? features : 1;

  for (guint i = 0; i < trial->n; i++) {
    const float *box = trial->boxes + 4 * (gsize) i;
    float *at = to->f + image * features * layout->anchors + i * anchor_step;

    for (guint k = 0; k < 2; k++) {
      at[k * feature_step] = layout->corners ? box[k] : (box[k] + box[k + 2]) / 2;
      at[(k + 2) * feature_step] = layout->corners ? box[k + 2] : box[k + 2] - box[k];
    }
    for (guint c = 0; c < layout->n_classes; c++)
      at[(4 + c) * feature_step] =
          trial->scores[i] * (c == trial->classes[i] ? 1 : uniform (state, 0, .9f));
  }
}

/* The anchor that a row of the output is, or trial->n. */
static guint
anchor_of (const Trial *trial, const float *row)
{
  for (guint i = 0; i < trial->n; i++) {
    const float *box = trial->boxes + 4 * (gsize) i;
    gboolean same = trial->scores[i] == row[4] && (float) trial->classes[i] == row[5];

    for (guint k = 0; k < 4; k++)
      same = same && fabsf (box[k] - row[k]) <= BOX_TOLERANCE;
    if (same)
      return i;
  }
  return trial->n;
}

/* What a file has kept of an image. */
typedef struct {
  const Trial *trial;
  GArray *kept;                 /* of guint: anchors */
  gboolean *is_kept;            /* [n] */
  float lowest;                 /* the lowest score among these */
} Outcome;

static gboolean
read_rows (Outcome *outcome, const float *rows, gsize n_rows)
{
  for (gsize r = 0; r < n_rows; r++) {
    const float *row = rows + 6 * r;
    guint anchor;

    if (row[0] == 0 && row[1] == 0 && row[2] == 0 && row[3] == 0 && row[4] == 0 && row[5] == 0)
      continue;
    anchor = anchor_of (outcome->trial, row);
    if (anchor == outcome->trial->n || outcome->is_kept[anchor])
      return FALSE;
    outcome->is_kept[anchor] = TRUE;
    outcome->lowest = MIN (outcome->lowest, row[4]);
    g_array_append_val (outcome->kept, anchor);
  }
  return outcome->kept->len > 0;
}

/* The largest overlap of an anchor with one that was kept and has a higher score, of its
 * own class or @across classes. */
static float
covered (const Outcome *outcome, guint anchor, gboolean across)
{
  const Trial *trial = outcome->trial;
  float most = 0;

  for (guint k = 0; k < outcome->kept->len; k++) {
    guint other = g_array_index (outcome->kept, guint, k);
    if (trial->scores[other] > trial->scores[anchor]
        && (across || trial->classes[other] == trial->classes[anchor]))
      most = MAX (most,
          yolo_eval_overlap (trial->boxes + 4 * (gsize) other, trial->boxes + 4 * (gsize) anchor));
  }
  return most;
}

/* Whether some threshold of the overlap explains the outcome: it is at least the overlap
 * of any two that were kept, and what was left out, although its score would do, overlaps
 * one that was kept by more. */
static gboolean
consistent (const Outcome *outcome, gboolean across)
{
  float threshold = 0;

  for (guint k = 0; k < outcome->kept->len; k++)
    threshold = MAX (threshold, covered (outcome, g_array_index (outcome->kept, guint, k), across));
  for (guint i = 0; i < outcome->trial->n; i++) {
    if (!outcome->is_kept[i] && outcome->trial->scores[i] > outcome->lowest
        && !(covered (outcome, i, across) > MAX (threshold - OVERLAP_TOLERANCE, 0)))
      return FALSE;
  }
  return TRUE;
}

gboolean
yolo_trial_explains (const Trial *trial, const float *rows, gsize n_rows, gboolean *possible)
{
  g_autoptr (GArray) kept = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree gboolean *is_kept = g_new0 (gboolean, trial->n);
  Outcome outcome = { trial, kept, is_kept, INFINITY };

  if (!read_rows (&outcome, rows, n_rows))
    return FALSE;
  for (guint across = 0; across < 2; across++)
    possible[across] = possible[across] && consistent (&outcome, across);
  return possible[0] || possible[1];
}
