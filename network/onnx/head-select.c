/* SPDX-License-Identifier: MIT */
/* What a file chooses among its decoded boxes, tried on made-up ones. */

#include "network/onnx/head-search.h"

/* How many anchors of a made-up picture have a score to speak of, in full and in almost
 * empty ones. More would only take time. */
#define MANY_ACTIVE 4096
#define FEW_ACTIVE 16

typedef struct {
  Trial **trials;               /* [images] */
  guint images;
  gboolean best;                /* the best pairs are sought, not what a suppression leaves */
  gboolean *possible;           /* as for yolo_trial_explains() */
  TensorScope *scope;
  Tensor *parts[HEAD_MAX_PIECES];      /* owned */
} Attempt;

/* Whether rows [images][rows][6 + n_other] are what we would keep. */
static gboolean
are_chosen (const Search *search, const Attempt *attempt, const Tensor *tensor)
{
  gsize rows, width = 6 + (gsize) search->layout.n_other;

  if (tensor->is_int || tensor->n_dims != 3 || tensor->dims[0] != attempt->images
      || tensor->dims[2] != (gint64) width)
    return FALSE;
  rows = (gsize) tensor->dims[1];
  for (guint b = 0; b < attempt->images; b++) {
    const float *first = tensor->f + b * rows * width;
    if (attempt->best ? !yolo_trial_is_best (attempt->trials[b], first, rows)
                      : !yolo_trial_explains (attempt->trials[b], first, rows, attempt->possible))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_explained (Search *search, guint value, const Tensor *tensor, gpointer data)
{
  Attempt *attempt = data;

  if (search->n_outputs == 1)
    return value == search->outputs[0] && are_chosen (search, attempt, tensor);
  if (!yolo_head_collect (search, value, tensor, attempt->parts))
    return FALSE;
  g_autoptr (Tensor) joined = yolo_head_join (search, attempt->scope, attempt->parts,
      yolo_head_orders[0], (gsize) attempt->parts[0]->dims[1], NULL);
  return joined != NULL && are_chosen (search, attempt, joined);
}

/* Gives one batch of made-up boxes to what follows the decode. */
static gboolean
try_choice (Search *search, TensorScope *scope, guint active, guint32 *state, gboolean *possible,
    const OnnxNode **last, GError **error)
{
  const TrialLayout *layout = &search->layout;
  guint images = (guint) CLAMP (scope->batch, 1, 64);
  gint64 features = 4 + (gint64) layout->n_classes + layout->n_other,
         anchors = (gint64) layout->anchors;
  gint64 dims[3] = { images, layout->exchanged ? anchors : features,
    layout->exchanged ? features : anchors };
  g_autoptr (GPtrArray) trials = g_ptr_array_new_with_free_func ((GDestroyNotify) yolo_trial_free);
  float size = (float) MAX (search->lowered->height, search->lowered->width);
  Attempt attempt = { NULL, images, search->best, possible, scope, { NULL } };
  gboolean explained;

  /* all images are there, so that shapes are taken as they are written */
  scope->batch = 1;
  search->trial = yolo_onnx_tensor_new (scope, FALSE, 3, dims, error);
  if (search->trial == NULL)
    return FALSE;
  for (guint b = 0; b < images; b++)
    g_ptr_array_add (trials, yolo_trial_new (layout, active, size, b, state, search->trial));
  attempt.trials = (Trial **) trials->pdata;
  explained = yolo_head_run (search, scope, is_explained, &attempt, last, error);
  g_clear_pointer (&search->trial, yolo_onnx_tensor_unref);
  for (guint k = 0; k < search->n_outputs; k++)
    g_clear_pointer (&attempt.parts[k], yolo_onnx_tensor_unref);
  return explained;
}

/* Full pictures, which a limit cuts short, and almost empty ones take turns. With few
 * anchors it is tried more often. */
static gboolean
run_rounds (Search *search, const TensorScope *limits, const OnnxNode **last, GError **error)
{
  guint rounds = (guint) CLAMP (1024 / search->layout.anchors, 2, 32);
  gboolean possible[2] = { TRUE, TRUE };
  guint32 state = 1;

  for (guint r = 0; r < rounds; r++) {
    TensorScope scope = *limits;
    gboolean tried = try_choice (
        search, &scope, r % 2 ? FEW_ACTIVE : MANY_ACTIVE, &state, possible, last, error);

    search->spent += limits->left - scope.left;
    if (!tried)
      return FALSE;
  }
  return TRUE;
}

gboolean
yolo_head_check_choice (
    Search *search, const TensorScope *limits, const OnnxNode **last, GError **error)
{
  /* a TopK may also find each box's best class, and a suppression sort by one */
  search->best = search->has_top_k && !search->has_nms;
  if (search->best && run_rounds (search, limits, last, NULL))
    return TRUE;
  search->best = FALSE;
  return run_rounds (search, limits, last, error);
}
