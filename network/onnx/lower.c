/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/onnx/eval.h"
#include "network/onnx/image.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT

/* elements of the largest constant that is folded: the anchors of a large image */
#define MAX_CONST ((gsize) 1 << 22)

const Value *
yolo_lowered_value (const Lowered *lowered, const OnnxNode *node, guint k)
{
  return k < node->n_in && node->in[k] != ONNX_NONE ? &lowered->values[node->in[k]] : NULL;
}

gboolean
yolo_lowered_is_feature (const Lowered *lowered, const OnnxNode *node, guint k)
{
  const Value *value = yolo_lowered_value (lowered, node, k);
  return value != NULL && value->kind == VALUE_FEATURE;
}

YoloLayer *
yolo_lowered_feature (const Lowered *lowered, const OnnxNode *node, guint k)
{
  return yolo_layer_at (lowered->graph->layers, yolo_lowered_value (lowered, node, k)->layer);
}

Tensor *
yolo_lowered_constant (Lowered *lowered, guint id, GError **error)
{
  Value *value;
  const Onnx__TensorProto *proto;
  g_autofree char *what = NULL;

  if (id == ONNX_NONE)
    return NULL;
  value = &lowered->values[id];
  if (value->kind != VALUE_CONST)
    return NULL;
  proto = yolo_onnx_value (lowered->file, id)->initializer;
  if (value->tensor == NULL && proto != NULL && !(value->broken && error == NULL)) {
    what = g_strdup_printf ("initializer '%.80s'", proto->name);
    value->tensor = yolo_onnx_tensor_from_proto (proto, what, error);
    value->broken = value->tensor == NULL;
  }
  return value->tensor;
}

gboolean
yolo_lowered_parameter (
    Lowered *lowered, const OnnxNode *node, guint k, Tensor **tensor, GError **error)
{
  const Value *value = yolo_lowered_value (lowered, node, k);

  *tensor = NULL;
  if (value == NULL)
    return TRUE;
  if (value->kind != VALUE_CONST)
    return yolo_lower_refuse (node, "computes its parameters while running", error);
  *tensor = yolo_lowered_constant (lowered, node->in[k], error);
  return *tensor != NULL;
}

gint32
yolo_lowered_constant_type (const Lowered *lowered, guint id)
{
  const OnnxValue *value = yolo_onnx_value (lowered->file, id);
  const OnnxNode *producer;
  const Onnx__AttributeProto *attr;

  if (value->initializer != NULL)
    return value->initializer->data_type;
  producer = yolo_onnx_producer (lowered->file, id);
  attr = producer != NULL ? yolo_onnx_attr (producer, "value") : NULL;
  return attr != NULL && attr->t != NULL ? attr->t->data_type : 0;
}

gboolean
yolo_lowered_check_types (
    const Lowered *lowered, const OnnxNode *node, guint a, guint b, GError **error)
{
  gint32 x, y;

  if (MAX (a, b) >= node->n_in || node->in[a] == ONNX_NONE || node->in[b] == ONNX_NONE)
    return TRUE;
  x = yolo_lowered_constant_type (lowered, node->in[a]);
  y = yolo_lowered_constant_type (lowered, node->in[b]);
  if (x == 0 || y == 0 || x == y)
    return TRUE;
  return yolo_network_fail (error, FORMAT,
      ONNX_NODE_FORMAT " has inputs '%.80s' of type %s and '%.80s' of type %s, which "
                       "must be the same",
      ONNX_NODE_ARGS (node), yolo_onnx_value (lowered->file, node->in[a])->name,
      yolo_onnx_type_name (x), yolo_onnx_value (lowered->file, node->in[b])->name,
      yolo_onnx_type_name (y));
}

gboolean
yolo_lowered_take_numbers (Lowered *lowered, const OnnxNode *node, gsize n, GError **error)
{
  if (n > lowered->scope.left)
    return yolo_lower_refuse (
        node, "needs more numbers than the file's weights can stand for", error);
  lowered->scope.left -= n;
  return TRUE;
}

gboolean
yolo_lowered_set_layer (Lowered *lowered, const OnnxNode *node, guint k, guint layer)
{
  if (layer == YOLO_LAYER_NONE)
    return FALSE;
  if (node->out[k] != ONNX_NONE) {
    lowered->values[node->out[k]].kind = VALUE_FEATURE;
    lowered->values[node->out[k]].layer = layer;
  }
  return TRUE;
}

gboolean
yolo_lower_refuse_foreign (const OnnxNode *node, GError **error)
{
  const char *domain = node->proto->domain;

  if (g_str_has_prefix (domain, "com.microsoft"))
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        ONNX_NODE_FORMAT " is an operator of %.40s: ONNX Runtime has optimised "
                         "the file for itself; use the file that it was made of",
        ONNX_NODE_ARGS (node), domain);
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
      ONNX_NODE_FORMAT " is an operator of '%.40s', none of ONNX's own; export the model "
                       "with Ultralytics, YOLO('best.pt').export(format='onnx'), or give its .pt "
                       "file",
      ONNX_NODE_ARGS (node), domain);
}

gboolean
yolo_lower_casts_to_float (const OnnxNode *node)
{
  gint64 to = yolo_onnx_attr_int (node, "to", 0);

  if (strcmp (node->op, "Cast") != 0)
    return FALSE;
  return to == ONNX_FLOAT || to == ONNX_FLOAT16 || to == ONNX_BFLOAT16 || to == ONNX_DOUBLE;
}

/* The operators of the network's body, by the files that turn them into layers. */
static const LowerOperator *const body[] = { yolo_lower_activation_operators,
  yolo_lower_arithmetic_operators, yolo_lower_conv_operators, yolo_lower_quantize_operators,
  yolo_lower_shape_operators, yolo_lower_whole_operators };

/* The operator of a node, or NULL: the node belongs to the tail. */
static const LowerOperator *
find_operator (const OnnxNode *node)
{
  for (guint i = 0; i < G_N_ELEMENTS (body); i++) {
    for (const LowerOperator *o = body[i]; o->op != NULL; o++) {
      if (strcmp (node->op, o->op) == 0 && (o->applies == NULL || o->applies (node)))
        return o;
    }
  }
  return NULL;
}

static gboolean
check_inputs (const OnnxNode *node, guint min, guint max, GError **error)
{
  if (node->n_in >= min && node->n_in <= max)
    return TRUE;
  if (min == max)
    return yolo_network_fail (error, FORMAT,
        ONNX_NODE_FORMAT " has %u inputs, its operator takes %u", ONNX_NODE_ARGS (node), node->n_in,
        min);
  return yolo_network_fail (error, FORMAT,
      ONNX_NODE_FORMAT " has %u inputs, its operator takes %u to %u", ONNX_NODE_ARGS (node),
      node->n_in, min, max);
}

static void
mark_tail (Lowered *lowered, const OnnxNode *node)
{
  for (guint k = 0; k < node->n_out; k++) {
    if (node->out[k] != ONNX_NONE)
      lowered->values[node->out[k]].kind = VALUE_TAIL;
  }
}

static gboolean
fold_constant (Lowered *lowered, const OnnxNode *node, GError **error)
{
  g_autofree Tensor **in = g_new0 (Tensor *, MAX (node->n_in, 1));
  g_autofree Tensor **out = g_new0 (Tensor *, MAX (node->n_out, 1));
  g_autoptr (GError) reason = NULL;

  if (!yolo_eval_knows (node))
    return TRUE;
  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE)
      continue;
    in[k] = yolo_lowered_constant (lowered, node->in[k], error);
    if (in[k] == NULL)
      return FALSE;
  }
  if (strcmp (node->op, "DequantizeLinear") == 0)
    lowered->quantized = TRUE;
  if (!yolo_eval (&lowered->scope, node, in, out, &reason)) {
    /* This is only an error if the value is needed: the check of the head tells. */
    for (guint k = 0; k < node->n_out; k++)
      g_clear_pointer (&out[k], yolo_onnx_tensor_unref);
    if (strcmp (node->op, "Constant") == 0) {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
    return TRUE;
  }
  for (guint k = 0; k < node->n_out; k++) {
    if (node->out[k] == ONNX_NONE) {
      g_clear_pointer (&out[k], yolo_onnx_tensor_unref);
      continue;
    }
    lowered->values[node->out[k]].kind = out[k] != NULL ? VALUE_CONST : VALUE_TAIL;
    lowered->values[node->out[k]].tensor = out[k];
  }
  return TRUE;
}

static gboolean
lower_node (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gboolean any_feature = FALSE, any_tail = FALSE, any_image = FALSE, any_flat = FALSE, done;
  const LowerOperator *operator;

  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = yolo_lowered_value (lowered, node, k);
    any_feature |= value != NULL && value->kind == VALUE_FEATURE;
    any_flat |= value != NULL && value->kind == VALUE_FLAT;
    any_tail |= value != NULL && value->kind == VALUE_TAIL;
    any_image |= value != NULL && value->kind == VALUE_IMAGE;
  }
  /* All outputs count as tail until more is known of them, also those that the operator
   * should not have. */
  mark_tail (lowered, node);
  if (node->n_out == 0 || node->out[0] == ONNX_NONE)
    return TRUE;
  if (any_flat)
    return yolo_lower_follow_quantizers (lowered, node, error)
        && yolo_lower_flat (lowered, node, error);
  if (!any_feature && !any_tail && !any_image)
    return fold_constant (lowered, node, error);
  if (!yolo_lower_follow_quantizers (lowered, node, error)
      || !yolo_onnx_image_node (lowered, node, &done, error)
      || (!done && !yolo_lower_attention (lowered, node, &done, error))
      || (!done && !yolo_lower_stack (lowered, node, &done, error))
      || (!done && any_feature && any_tail
          && !yolo_lower_tail_product (lowered, node, &done, error)))
    return FALSE;
  if (done)
    return TRUE;
  any_feature |= any_image;
  operator = any_feature && !any_tail && node->standard ? find_operator (node) : NULL;
  if (operator == NULL || (!yolo_lowered_is_feature (lowered, node, 0) && !operator->either))
    return TRUE;
  if (!check_inputs (node, operator->min_in, operator->max_in, error)
      || !operator->lower (lowered, node, error))
    return FALSE;
  /* masks and statistics, which are not understood */
  for (guint k = 1; k < node->n_out; k++) {
    if (node->out[k] != ONNX_NONE && lowered->values[node->out[k]].kind == VALUE_UNKNOWN)
      lowered->values[node->out[k]].kind = VALUE_TAIL;
  }
  return TRUE;
}

/* Frees constants that no node will read any more, so that weights are not held twice. */
static void
drop_inputs (Lowered *lowered, const OnnxNode *node, guint *uses)
{
  for (guint k = 0; k < node->n_in; k++) {
    guint id = node->in[k];
    if (id != ONNX_NONE && --uses[id] == 0
        && yolo_onnx_value (lowered->file, id)->initializer != NULL)
      g_clear_pointer (&lowered->values[id].tensor, yolo_onnx_tensor_unref);
  }
}

/* How many elements the file holds: they are dequantised, and copied into layers. */
static gsize
stored_numbers (const OnnxFile *file)
{
  gsize stored = 0, n;

  for (guint i = 0; i < file->values->len; i++) {
    const Onnx__TensorProto *proto = yolo_onnx_value (file, i)->initializer;
    if (proto != NULL && yolo_onnx_check_proto (proto, proto->name, &n, NULL))
      stored += n;
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const Onnx__AttributeProto *attr = yolo_onnx_attr (yolo_onnx_node (file, i), "value");
    if (attr != NULL && yolo_onnx_check_proto (attr->t, attr->name, &n, NULL))
      stored += n;
  }
  return stored;
}

Lowered *
yolo_lower (const OnnxFile *file, guint height, guint width, GError **error)
{
  g_autoptr (Lowered) lowered = g_new0 (Lowered, 1);
  g_autofree guint *uses = g_new0 (guint, file->values->len);
  gsize stored = stored_numbers (file);

  lowered->file = file;
  lowered->scope = (TensorScope) {
    .file = file, .max_elements = MAX_CONST + stored, .left = 4 * MAX_CONST + 3 * stored,
    .batch = file->input_dims[0],
  };
  lowered->height = height;
  lowered->width = width;
  lowered->values = g_new0 (Value, file->values->len);
  lowered->graph = yolo_graph_new (yolo_onnx_value (file, file->input)->name, height, width);
  if (!yolo_onnx_image_start (lowered, error))
    return NULL;

  for (guint i = 0; i < file->values->len; i++) {
    if (yolo_onnx_value (file, i)->initializer != NULL)
      lowered->values[i].kind = VALUE_CONST;
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    for (guint k = 0; k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE)
        uses[node->in[k]]++;
    }
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = yolo_onnx_node (file, i);
    if (!lower_node (lowered, node, error))
      return NULL;
    drop_inputs (lowered, node, uses);
  }
  return g_steal_pointer (&lowered);
}

void
yolo_lowered_free (Lowered *lowered)
{
  if (lowered == NULL)
    return;
  for (guint i = 0; lowered->values != NULL && i < lowered->file->values->len; i++) {
    g_clear_pointer (&lowered->values[i].tensor, yolo_onnx_tensor_unref);
    g_free (lowered->values[i].arranged);
  }
  g_free (lowered->values);
  yolo_graph_free (lowered->graph);
  g_free (lowered);
}
