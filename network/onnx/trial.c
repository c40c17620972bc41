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

/* Where a feature of an anchor is in the tensor. */
static gsize
feature_at (const TrialLayout *layout, gsize anchor, gsize feature)
{
  gsize features = 4 + (gsize) layout->n_classes + layout->n_other;

  return layout->exchanged ? anchor * features + feature : feature * layout->anchors + anchor;
}

static float
feature_of (const Trial *trial, gsize anchor, gsize feature)
{
  return trial->features[feature_at (&trial->layout, anchor, feature)];
}

static void
fill_boxes (Trial *trial, float size, guint32 *state)
{
  for (guint i = 0; i < trial->n; i++) {
    float *box = trial->boxes + 4 * (gsize) i;
    /* some boxes reach beyond the picture, but not so far that they meet those of another
     * class, which a file moves to a square beside it */
    for (guint k = 0; k < 2; k++) {
      float centre = uniform (state, .12f, .88f), half = uniform (state, .135f, .165f);
      if (trial->layout.turned && k == 1)
        half *= .4f;            /* longer than high, so that angles matter */
      box[k] = size * (centre - half);
      box[k + 2] = size * (centre + half);
    }
  }
}

/* Writes one anchor's features. */
static void
write_anchor (const Trial *trial, guint anchor, guint32 *state, float *to)
{
  const TrialLayout *layout = &trial->layout;
  const float *box = trial->boxes + 4 * (gsize) anchor;
  gsize feature = 4;

  for (guint k = 0; k < 2; k++) {
    to[feature_at (layout, anchor, k)] = layout->corners ? box[k] : (box[k] + box[k + 2]) / 2;
    to[feature_at (layout, anchor, k + 2)] =
        layout->corners ? box[k + 2] : box[k + 2] - box[k];
  }
  for (guint c = 0; c < layout->n_classes; c++)
    to[feature_at (layout, anchor, feature++)] =
        trial->scores[anchor] * (c == trial->classes[anchor] ? 1 : uniform (state, 0, .9f));
  for (guint c = 0; c < layout->n_other; c++)
    to[feature_at (layout, anchor, feature++)] = uniform (state, -4, 4);
}

Trial *
yolo_trial_new (const TrialLayout *layout, guint active, float size, guint image, guint32 *state,
    Tensor *to)
{
  guint n = (guint) layout->anchors;
  Trial *trial = g_new0 (Trial, 1);
  float *features = to->f + image * n * (4 + (gsize) layout->n_classes + layout->n_other);

  trial->layout = *layout;
  trial->n = n;
  trial->boxes = g_new (float, 4 * (gsize) n);
  trial->scores = g_new (float, n);
  trial->classes = g_new (guint, n);
  trial->features = features;
  fill_scores (trial, active, state);
  fill_boxes (trial, size, state);
  for (guint i = 0; i < n; i++) {
    trial->classes[i] =
        MIN ((guint) uniform (state, 0, (float) layout->n_classes), layout->n_classes - 1);
    write_anchor (trial, i, state, features);
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

/* Whether a row has the anchor's box, as corners or as the tensor has it, and what comes
 * behind score and class. */
static gboolean
is_row_of (const Trial *trial, guint anchor, const float *row)
{
  const TrialLayout *layout = &trial->layout;
  const float *box = trial->boxes + 4 * (gsize) anchor;
  gboolean corners = !layout->turned, same = TRUE;

  for (guint k = 0; k < 4; k++) {
    corners = corners && fabsf (box[k] - row[k]) <= BOX_TOLERANCE;
    same = same && fabsf (feature_of (trial, anchor, k) - row[k]) <= BOX_TOLERANCE;
  }
  if (!corners && !same)
    return FALSE;
  for (guint c = 0; c < layout->n_other; c++) {
    if (row[6 + c] != feature_of (trial, anchor, 4 + (gsize) layout->n_classes + c))
      return FALSE;
  }
  return TRUE;
}

/* The anchor that a row of the output is, with its best class, or trial->n. */
static guint
anchor_of (const Trial *trial, const float *row)
{
  for (guint i = 0; i < trial->n; i++) {
    if (trial->scores[i] == row[4] && (float) trial->classes[i] == row[5]
        && is_row_of (trial, i, row))
      return i;
  }
  return trial->n;
}

/* A turned box as a normal distribution: its middle, and its covariance [[a, c], [c, b]]. */
typedef struct {
  float x, y, a, b, c;
} Normal;

/* What a file has kept of an image. */
typedef struct {
  const Trial *trial;
  GArray *kept;                 /* of guint: anchors */
  gboolean *is_kept;            /* [n] */
  Normal *normals;              /* [n], where boxes are turned */
  float lowest;                 /* the lowest score among these */
} Outcome;

static gboolean
read_rows (Outcome *outcome, const float *rows, gsize n_rows)
{
  gsize width = 6 + (gsize) outcome->trial->layout.n_other;

  for (gsize r = 0; r < n_rows; r++) {
    const float *row = rows + width * r;
    guint anchor;

    /* rows that fill the rest, which may have the box of an anchor below the threshold */
    if (row[4] == 0)
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

static Normal
normal_of (const Trial *trial, guint anchor)
{
  float w = feature_of (trial, anchor, 2), h = feature_of (trial, anchor, 3);
  float angle = feature_of (trial, anchor, 4 + (gsize) trial->layout.n_classes);
  float along = w * w / 12, across = h * h / 12, cosine = cosf (angle), sine = sinf (angle);

  return (Normal) { feature_of (trial, anchor, 0), feature_of (trial, anchor, 1),
    along * cosine * cosine + across * sine * sine, along * sine * sine + across * cosine * cosine,
    (along - across) * cosine * sine };
}

/* How much two turned boxes overlap. Sources: Llerena et al. 2021, Gaussian Bounding Boxes and
 * Probabilistic Intersection-over-Union; Ultralytics utils/metrics.py, batch_probiou. */
static float
turned_overlap (const Normal *p, const Normal *q)
{
  const float eps = 1e-7f;
  float a = p->a + q->a, b = p->b + q->b, c = p->c + q->c, dx = p->x - q->x, dy = p->y - q->y;
  float det = a * b - c * c, own = MAX (p->a * p->b - p->c * p->c, 0)
      * MAX (q->a * q->b - q->c * q->c, 0);
  float distance = (a * dy * dy + b * dx * dx) / (det + eps) / 4 - c * dx * dy / (det + eps) / 2
      + logf (det / (4 * sqrtf (own) + eps) + eps) / 2;

  return 1 - sqrtf (1 - expf (-CLAMP (distance, eps, 100)) + eps);
}

/* The largest overlap of an anchor with one that has a higher score, of its own class or
 * @across classes. One that was suppressed itself suppresses others where boxes are turned
 * (Ultralytics utils/nms.py, fast_nms), and nowhere else. */
static float
covered (const Outcome *outcome, guint anchor, gboolean across)
{
  const Trial *trial = outcome->trial;
  const float *box = trial->boxes + 4 * (gsize) anchor;
  gboolean turned = trial->layout.turned;
  float most = 0;

  for (guint k = 0; k < (turned ? trial->n : outcome->kept->len); k++) {
    guint other = turned ? k : g_array_index (outcome->kept, guint, k);

    if (trial->scores[other] <= trial->scores[anchor]
        || (!across && trial->classes[other] != trial->classes[anchor]))
      continue;
    most = MAX (most,
        turned ? turned_overlap (&outcome->normals[other], &outcome->normals[anchor])
               : yolo_eval_overlap (trial->boxes + 4 * (gsize) other, box));
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
  g_autofree Normal *normals = g_new (Normal, trial->layout.turned ? trial->n : 1);
  Outcome outcome = { trial, kept, is_kept, normals, INFINITY };

  if (!read_rows (&outcome, rows, n_rows))
    return FALSE;
  for (guint i = 0; i < trial->n && trial->layout.turned; i++)
    normals[i] = normal_of (trial, i);
  for (guint across = 0; across < 2; across++)
    possible[across] = possible[across] && consistent (&outcome, across);
  return possible[0] || possible[1];
}

/* How many pairs of anchor and class have a score above a threshold. */
static gsize
count_above (const Trial *trial, float threshold)
{
  gsize n = 0;

  for (guint i = 0; i < trial->n; i++) {
    for (guint c = 0; c < trial->layout.n_classes; c++)
      n += feature_of (trial, i, 4 + (gsize) c) > threshold;
  }
  return n;
}

/* The anchor whose score of the row's class is the row's, if that pair is not taken yet, or
 * trial->n. */
static guint
take_pair (const Trial *trial, const float *row, gboolean *taken)
{
  guint n_classes = trial->layout.n_classes, class;

  if (!(row[5] >= 0 && row[5] < (float) n_classes))
    return trial->n;
  class = (guint) row[5];
  for (guint i = 0; i < trial->n && (float) class == row[5]; i++) {
    gboolean *pair = &taken[(gsize) i * n_classes + class];
    if (!*pair && feature_of (trial, i, 4 + (gsize) class) == row[4]
        && is_row_of (trial, i, row)) {
      *pair = TRUE;
      return i;
    }
  }
  return trial->n;
}

gboolean
yolo_trial_is_best (const Trial *trial, const float *rows, gsize n_rows)
{
  gsize width = 6 + (gsize) trial->layout.n_other, above = 0;
  g_autofree gboolean *taken = g_new0 (gboolean, (gsize) trial->n * trial->layout.n_classes);
  float lowest = INFINITY;

  for (gsize r = 0; r < n_rows; r++) {
    if (take_pair (trial, rows + width * r, taken) == trial->n || rows[width * r + 4] > lowest)
      return FALSE;
    lowest = rows[width * r + 4];
  }
  for (gsize r = 0; r < n_rows; r++)
    above += rows[width * r + 4] > lowest;
  return n_rows > 0 && count_above (trial, lowest) == above;
}
