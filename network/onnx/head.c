/* SPDX-License-Identifier: MIT */
#include "network/onnx/head.h"
#include "base/error.h"
#include "network/onnx/head-search.h"

#include <math.h>
#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* The most nodes of a tail, which is run over and over: several times those of a tail with
 * non-maximum suppression and quantisers. */
#define MAX_TAIL 1000
/* How many elements may be computed to find which node of a tail is wrong: a dozen runs at
 * 640x640. A file must not make us compute for hours to refuse it. */
#define MAX_BLAME ((gsize) 1 << 28)

/* Elements that a suppression of turned boxes computes: 1500 candidates at most, as Ultralytics'
 * exporter leaves them, each with each, in 60 tensors. */
#define TURNED_NMS ((gsize) 60 * 1500 * 1500)
/* How many images a file may do that for, each by nodes of its own: the batch that it was exported
 * for, also where it leaves that open. */
#define MAX_IMAGES 8u

#define ADVICE \
  "export the model with Ultralytics, YOLO('best.pt').export(format='onnx'), or give its .pt file"

gboolean
yolo_head_refuse (const Search *search, const OnnxNode *node, const char *what, GError **error)
{
  const char *task = search->task;

  if (node != NULL)
    yolo_network_set_error (error, UNSUPPORTED,
        ONNX_NODE_FORMAT " %s (task of the file: %.40s); " ADVICE, ONNX_NODE_ARGS (node), what,
        task != NULL ? task : "not given");
  else
    yolo_network_set_error (error, UNSUPPORTED, "%s (task of the file: %.40s); " ADVICE, what,
        task != NULL ? task : "not given");
  return FALSE;
}

/* What a run of the tail hands to those who look at its values. */
typedef struct {
  TensorScope *scope;
  Tensor *parts[HEAD_MAX_PIECES];      /* owned */
} Run;

/* Whether the outputs, in some order, are the decode. */
static gboolean
is_decode_apart (Search *search, Run *run)
{
  gboolean found = FALSE;

  for (guint k = 0; k < (search->n_outputs == 2 ? 2 : G_N_ELEMENTS (yolo_head_orders)) && !found;
       k++) {
    g_autoptr (Tensor) joined = yolo_head_join (
        search, run->scope, run->parts, yolo_head_orders[k], yolo_head_anchors (search), NULL);
    found = joined != NULL && yolo_head_is_decode (search, joined);
  }
  return found;
}

static gboolean
is_decode (Search *search, guint value, const Tensor *tensor, gpointer data)
{
  gboolean chosen = search->has_nms || search->has_top_k || search->has_arg_max,
           one = search->n_outputs == 1;

  /* a value on the way to the output can be the decode only if boxes are chosen behind it */
  if ((chosen || (one && value == search->outputs[0])) && yolo_head_is_decode (search, tensor)) {
    search->decoded = value;
    return TRUE;
  }
  return !one && yolo_head_collect (search, value, tensor, ((Run *) data)->parts)
      && is_decode_apart (search, data);
}

/* Source: Ultralytics nn/modules/head.py, Classify: the softmax of the logits. */
static gboolean
is_softmax (Search *search, guint value, const Tensor *tensor, gpointer data)
{
  const Tensor *logits = search->flat;
  float max = -INFINITY, sum = 0;

  (void) data;
  if (value != search->outputs[0] || tensor->is_int || tensor->n_dims != 2
      || tensor->dims[0] != 1 || tensor->n != logits->n)
    return FALSE;
  for (gsize c = 0; c < logits->n; c++)
    max = MAX (max, logits->f[c]);
  for (gsize c = 0; c < logits->n; c++)
    sum += expf (logits->f[c] - max);
  for (gsize c = 0; c < logits->n; c++) {
    if (!(fabsf (tensor->f[c] - expf (logits->f[c] - max) / sum) <= 1e-5f))
      return FALSE;
  }
  return TRUE;
}

/* Whether the tail computes what it should. */
static gboolean
run_all (Search *search, const TensorScope *limits, const OnnxNode **last, GError **error)
{
  TensorScope scope = *limits;
  Run run = { .scope = &scope };
  gboolean classifies = search->logits != YOLO_LAYER_NONE, found;

  search->decoded = ONNX_NONE;
  search->best = FALSE;
  found = yolo_head_run (search, &scope, classifies ? is_softmax : is_decode, &run, last, error);
  for (guint k = 0; k < search->n_outputs; k++)
    g_clear_pointer (&run.parts[k], yolo_onnx_tensor_unref);
  search->spent += limits->left - scope.left;
  return found
      && (search->decoded == ONNX_NONE || yolo_head_is_output (search, search->decoded)
          || yolo_head_check_choice (search, limits, last, error));
}

/* The node without which the tail would compute what it should, or NULL. Such a node does
 * arithmetic that is no part of a head. */
static const OnnxNode *
find_culprit (Search *search, const TensorScope *limits)
{
  static const char *const suspects[] = { "Add", "Cos", "Div", "Max", "Min", "Mul", "Sigmoid",
    "Sin", "Slice", "Sub", NULL };
  const OnnxFile *file = search->lowered->file;
  const OnnxNode *last;

  search->spent = 0;
  for (guint i = 0; i < file->nodes->len && search->spent < MAX_BLAME; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);

    if (!search->needed[i] || !g_strv_contains (suspects, node->op) || node->n_out != 1
        || yolo_head_variable_input (search, node) == ONNX_NONE)
      continue;
    search->left_out = i;
    if (run_all (search, limits, &last, NULL))
      return node;
  }
  return NULL;
}

static gboolean
check_tail (Search *search, const TensorScope *limits, GError **error)
{
  const OnnxNode *last = NULL, *culprit;
  g_autoptr (GError) reason = NULL;

  if (run_all (search, limits, &last, &reason))
    return TRUE;
  culprit = find_culprit (search, limits);
  if (culprit != NULL)
    return yolo_head_refuse (
        search, culprit, "changes what the head gives, which no head of a YOLO does", error);
  if (reason != NULL) {
    g_propagate_error (error, g_steal_pointer (&reason));
    return FALSE;
  }
  if (search->n_outputs > 1)
    return yolo_head_refuse_outputs (search, error);
  return yolo_head_refuse (search, last,
      search->levels.n_maps == HEAD_MAX_MAPS && search->prototypes == YOLO_LAYER_NONE
          ? "is where the head ends, but it does not compute what the head of a YOLO does; one "
            "that makes masks has their prototypes as a second output"
          : "is where the head ends, but it does not compute what the head of a YOLO does",
      error);
}

/* Runs the tail on random maps, and so learns what they are. */
static gboolean
prove (Search *search, GError **error)
{
  const GArray *layers = search->lowered->graph->layers;
  TensorScope scope = search->lowered->scope;
  gsize n = 0;

  for (guint i = 0; i < search->leaves->len; i++) {
    const YoloLayer *layer =
        yolo_layer_at (layers, g_array_index (search->leaves, Leaf, i).layer);
    n += (gsize) layer->channels * layer->height * layer->width;
  }
  if (search->logits != YOLO_LAYER_NONE)
    n += yolo_layer_at (layers, search->logits)->channels;
  scope.max_elements = MAX (scope.max_elements, n);
  scope.left = 64 * n + scope.max_elements + TURNED_NMS * MIN (search->n_pairs, MAX_IMAGES);
  return yolo_head_make_maps (search, &scope, error) && check_tail (search, &scope, error);
}

static gboolean
check_needed (Search *search, GError **error)
{
  yolo_head_mark (search);
  if (search->unknown != NULL && !search->unknown->standard)
    return yolo_lower_refuse_foreign (search->unknown, error);
  if (search->n_needed > MAX_TAIL)
    return yolo_head_refuse (
        search, NULL, "the model's head ends in more nodes than any YOLO's", error);
  if (search->unknown != NULL)
    return yolo_head_refuse (search, search->unknown, "is not supported", error);
  return TRUE;
}

static gboolean
declare_classes (Search *search, GError **error)
{
  YoloGraph *graph = search->lowered->graph;

  if (search->prototypes != YOLO_LAYER_NONE || search->n_outputs > 1)
    return yolo_head_refuse (
        search, NULL, "the model gives more than numbers for the whole image", error);
  graph->task = "classify";
  graph->form = (YoloHeadForm) { .end_to_end = TRUE };
  return yolo_graph_output (graph, YOLO_MAP_LOGIT, 0, search->logits, error);
}

static gboolean
declare_boxes (Search *search, GError **error)
{
  YoloGraph *graph = search->lowered->graph;
  const YoloMapRole roles[] = { YOLO_MAP_BOX, YOLO_MAP_CLASS, search->kind->other };

  graph->task = search->kind->task;
  graph->form = search->kind->form;
  if (graph->form.dimensions > 0)
    graph->form.keypoints = search->n_other / graph->form.dimensions;
  graph->form.end_to_end = search->best;
  for (guint l = 0; l < search->levels.n; l++) {
    for (guint k = 0; k < search->levels.n_maps; k++) {
      if (!yolo_graph_output (graph, roles[k], l, search->layers[k][l], error))
        return FALSE;
    }
  }
  return search->prototypes == YOLO_LAYER_NONE
      || yolo_graph_output (graph, YOLO_MAP_PROTOTYPE, 0, search->prototypes, error);
}

/* The numbers of the body are an output as they are. They are classes if the file says so. */
static gboolean
find_bare_logits (Search *search, GError **error)
{
  const Lowered *lowered = search->lowered;

  search->logits = yolo_layer_at (
      lowered->graph->layers, lowered->values[search->outputs[0]].layer)->below;
  if (yolo_onnx_metadata (lowered->file, "names") == NULL && g_strcmp0 (search->task, "classify"))
    return yolo_head_refuse (search, NULL,
        "the model gives numbers for the whole image that no softmax makes probabilities and "
        "that the file has no names for: features, as of a backbone alone, are no classes",
        error);
  return TRUE;
}

static gboolean
find (Search *search, GError **error)
{
  const Lowered *lowered = search->lowered;

  if (!yolo_head_find_outputs (search, error) || !check_needed (search, error))
    return FALSE;
  if (search->n_outputs > HEAD_MAX_PIECES)
    return yolo_head_refuse_outputs (search, error);
  if (search->raw)
    return yolo_head_find_raw (search, error) && declare_boxes (search, error);
  if (lowered->values[search->outputs[0]].kind == VALUE_FLAT)
    return find_bare_logits (search, error) && declare_classes (search, error);
  if (!yolo_head_find_maps (search, error))
    return FALSE;
  if (search->logits == YOLO_LAYER_NONE && search->levels.n == 0)
    return yolo_head_refuse (search, NULL,
        "the model has no head: its outputs do not come from boxes and classes "
        "at several scales",
        error);
  if (search->levels.n_maps == HEAD_MAX_MAPS - 1 && search->prototypes != YOLO_LAYER_NONE)
    return yolo_head_refuse (search, NULL,
        "the model gives a map beside its boxes, but no coefficients to make masks of it", error);
  if (!prove (search, error))
    return FALSE;
  return search->logits != YOLO_LAYER_NONE ? declare_classes (search, error)
                                           : declare_boxes (search, error);
}

/* Finds what a quantised file, and so its own runtime, rounds in the mean over the bins of
 * a side. The tail has been checked: its convolution is that mean. */
static void
find_rounding (Search *search, guint reg_max)
{
  const OnnxFile *file = search->lowered->file;
  YoloBoxRounding *rounding = &search->lowered->graph->rounding;

  for (guint k = 0; k < reg_max; k++)
    rounding->bins[k] = (float) k;
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i), *from;
    Tensor *weights;

    if (!search->needed[i])
      continue;
    if (strcmp (node->op, "Conv") == 0 && node->n_in > 1
        && (weights = yolo_lowered_constant (search->lowered, node->in[1], NULL)) != NULL
        && !weights->is_int && weights->n == reg_max)
      memcpy (rounding->bins, weights->f, weights->n * sizeof (float));
    if (strcmp (node->op, "QuantizeLinear") != 0 || node->n_in == 0
        || (from = yolo_onnx_producer (file, node->in[0])) == NULL)
      continue;
    if (strcmp (from->op, "Softmax") == 0)
      yolo_lowered_grid (search->lowered, node, &rounding->softmax);
    else if (strcmp (from->op, "Conv") == 0)
      yolo_lowered_grid (search->lowered, node, &rounding->distance);
  }
}

gboolean
yolo_head_find (Lowered *lowered, const char *task, GError **error)
{
  Search search = {
    .lowered = lowered,
    .task = task,
    .needed = g_new0 (gboolean, lowered->file->nodes->len),
    .prototypes = YOLO_LAYER_NONE, .logits = YOLO_LAYER_NONE,
    .leaves = g_array_new (FALSE, FALSE, sizeof (Leaf)),
    .maps = g_new0 (Tensor *, lowered->graph->layers->len),
    .decoded = ONNX_NONE, .left_out = ONNX_NONE,
  };
  gboolean found = find (&search, error);

  if (found && search.reg_max > 1 && !search.raw)
    find_rounding (&search, search.reg_max);
  for (guint i = 0; i < lowered->graph->layers->len; i++)
    g_clear_pointer (&search.maps[i], yolo_onnx_tensor_unref);
  g_clear_pointer (&search.flat, yolo_onnx_tensor_unref);
  g_free (search.maps);
  g_array_unref (search.leaves);
  g_free (search.needed);
  return found;
}
