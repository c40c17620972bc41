/* SPDX-License-Identifier: MIT */
/* Running what a file computes behind its maps: the tail. */

#include "network/onnx/head-search.h"
#include "network/onnx/eval.h"

#include <string.h>

/* Whether a node of the tail is a convolution of a body, behind something that was not
 * understood. The tail's own convolution has one output, the mean of a box's distribution. */
static gboolean
belongs_to_body (const Search *search, const OnnxNode *node)
{
  const Tensor *weights;

  if (strcmp (node->op, "Conv") != 0 && strcmp (node->op, "ConvInteger") != 0)
    return FALSE;
  weights = node->n_in > 1 ? yolo_lowered_constant (search->lowered, node->in[1], NULL) : NULL;
  return weights == NULL || weights->n_dims != 4 || weights->dims[0] != 1;
}

void
yolo_head_mark (Search *search)
{
  const OnnxFile *file = search->lowered->file;
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (guint));
  const OnnxNode *first = NULL;

  g_array_append_vals (stack, search->outputs, search->n_outputs);
  while (stack->len > 0) {
    guint value = g_array_index (stack, guint, stack->len - 1), producer;

    g_array_set_size (stack, stack->len - 1);
    if (search->lowered->values[value].kind != VALUE_TAIL)
      continue;
    producer = yolo_onnx_value (file, value)->producer;
    if (producer == ONNX_NONE || search->needed[producer])
      continue;
    search->needed[producer] = TRUE;
    search->n_needed++;
    for (guint k = 0; k < yolo_onnx_node (file, producer)->n_in; k++) {
      if (yolo_onnx_node (file, producer)->in[k] != ONNX_NONE)
        g_array_append_val (stack, yolo_onnx_node (file, producer)->in[k]);
    }
  }

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (!search->needed[i])
      continue;
    if (first == NULL)
      first = node;
    if (search->unknown == NULL && !yolo_eval_knows (node))
      search->unknown = node;
    search->has_nms |= strcmp (node->op, "NonMaxSuppression") == 0;
    search->has_top_k |= strcmp (node->op, "TopK") == 0;
    search->has_arg_max |= strcmp (node->op, "ArgMax") == 0;
    search->rounded |= strstr (node->op, "QuantizeLinear") != NULL;
    search->n_pairs += strcmp (node->op, "Trilu") == 0;
    search->body_goes_on |= belongs_to_body (search, node);
  }
  if (search->body_goes_on && search->unknown == NULL)
    search->unknown = first;
}

/* The tensor that a node of the tail reads, or NULL where it is not known. While a
 * choice is tried, only what comes of the decoded boxes is known, and not the maps. */
static Tensor *
tail_input (Search *search, Tensor **tensors, guint value)
{
  Lowered *lowered = search->lowered;
  const Value *known = &lowered->values[value];

  switch (known->kind) {
    case VALUE_CONST:
      return yolo_lowered_constant (lowered, value, NULL);
    case VALUE_FEATURE:
      if (search->trial != NULL)
        return NULL;
      return search->maps[yolo_layer_at (lowered->graph->layers, known->layer)->below];
    case VALUE_FLAT:
      return search->flat;
    case VALUE_UNKNOWN:
    case VALUE_IMAGE:
    case VALUE_TAIL:
      return search->trial != NULL && value == search->decoded ? search->trial : tensors[value];
  }
  g_assert_not_reached ();
}

guint
yolo_head_variable_input (const Search *search, const OnnxNode *node)
{
  guint found = ONNX_NONE;

  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE || search->lowered->values[node->in[k]].kind == VALUE_CONST)
      continue;
    if (found != ONNX_NONE)
      return ONNX_NONE;
    found = node->in[k];
  }
  return found;
}

/* Runs one node of the tail where all its inputs are known. */
static gboolean
run_node (Search *search, TensorScope *scope, guint index, Tensor **tensors, GError **error)
{
  const OnnxNode *node = yolo_onnx_node (search->lowered->file, index);
  g_autofree Tensor **in = g_new0 (Tensor *, MAX (node->n_in, 1));
  g_autofree Tensor **out = g_new0 (Tensor *, MAX (node->n_out, 1));
  gboolean known = yolo_eval_knows (node), done = TRUE;

  for (guint k = 0; known && k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE)
      continue;
    in[k] = tail_input (search, tensors, node->in[k]);
    known = in[k] != NULL;
  }
  if (!known)
    return TRUE;
  if (index == search->left_out)
    out[0] = yolo_onnx_tensor_ref (
        tail_input (search, tensors, yolo_head_variable_input (search, node)));
  else
    done = yolo_eval (scope, node, in, out, error);
  for (guint k = 0; k < node->n_out; k++) {
    if (done && node->out[k] != ONNX_NONE)
      tensors[node->out[k]] = out[k];
    else if (out[k] != NULL)
      yolo_onnx_tensor_unref (out[k]);
  }
  return done;
}

/* How often the needed nodes read each value. */
static guint *
count_reads (const Search *search)
{
  const OnnxFile *file = search->lowered->file;
  guint *reads = g_new0 (guint, file->values->len);

  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    for (guint k = 0; search->needed[i] && k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE)
        reads[node->in[k]]++;
    }
  }
  return reads;
}

gboolean
yolo_head_run (Search *search, TensorScope *scope, VisitFunc visit, gpointer data,
    const OnnxNode **last, GError **error)
{
  const OnnxFile *file = search->lowered->file;
  g_autofree Tensor **tensors = g_new0 (Tensor *, file->values->len);
  g_autofree guint *reads = count_reads (search);
  gboolean found = FALSE, failed = FALSE;

  for (guint i = 0; i < file->nodes->len && !found && !failed; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);

    if (!search->needed[i])
      continue;
    failed = !run_node (search, scope, i, tensors, error);
    for (guint k = 0; k < node->n_out && !found; k++) {
      guint value = node->out[k];
      if (value == ONNX_NONE || tensors[value] == NULL)
        continue;
      *last = node;
      found = visit (search, value, tensors[value], data);
      if (reads[value] == 0)
        g_clear_pointer (&tensors[value], yolo_onnx_tensor_unref);
    }
    for (guint k = 0; k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE && --reads[node->in[k]] == 0)
        g_clear_pointer (&tensors[node->in[k]], yolo_onnx_tensor_unref);
    }
  }
  for (guint i = 0; i < file->values->len; i++)
    g_clear_pointer (&tensors[i], yolo_onnx_tensor_unref);
  return found;
}
