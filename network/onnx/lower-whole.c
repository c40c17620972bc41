/* SPDX-License-Identifier: MIT */
/* What classifying networks end in: the mean over the whole map, flattened to [1][channels],
 * and a fully connected layer. In the graph these numbers stay maps of one pixel. */

#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/compose.h"

#include <string.h>

static gboolean
lower_global_pool (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = yolo_lowered_value (lowered, node, 0)->layer;

  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_op (lowered->graph, node->name, YOLO_OP_GLOBAL_POOL, &in,
          &(YoloOpNumbers) { 0 }, error));
}

static void
set_flat (Lowered *lowered, const OnnxNode *node, guint layer)
{
  lowered->values[node->out[0]].kind = VALUE_FLAT;
  lowered->values[node->out[0]].layer = layer;
}

/* Maps of more than one pixel that are flattened belong to the tail. */
static gboolean
lower_flatten (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const YoloLayer *in = yolo_lowered_feature (lowered, node, 0);
  gint64 axis = yolo_onnx_attr_int (node, "axis", 1);

  if (in->height == 1 && in->width == 1 && (axis == 1 || axis == -3))
    set_flat (lowered, node, yolo_lowered_value (lowered, node, 0)->layer);
  return TRUE;
}

/* Weights [in][out] as [out][in]. */
static float *
exchange (const Tensor *weights)
{
  gsize rows = (gsize) weights->dims[0], columns = (gsize) weights->dims[1];
  float *out = g_new (float, weights->n);

  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < columns; c++)
      out[c * rows + r] = weights->f[r * columns + c];
  return out;
}

static gboolean
lower_gemm (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = yolo_lowered_value (lowered, node, 0)->layer, layer;
  guint channels = yolo_layer_at (lowered->graph->layers, in)->channels;
  gboolean exchanged = yolo_onnx_attr_int (node, "transB", 0) != 0;
  Tensor *weights, *bias;
  g_autofree float *copy = NULL;
  gint64 out;

  if (!yolo_lowered_weights (lowered, node, 1, &weights, error)
      || !yolo_lowered_parameter (lowered, node, 2, &bias, error))
    return FALSE;
  if (yolo_onnx_attr_int (node, "transA", 0) != 0 || yolo_onnx_attr_float (node, "alpha", 1) != 1
      || yolo_onnx_attr_float (node, "beta", 1) != 1)
    return yolo_lower_refuse (node, "scales or exchanges what it multiplies", error);
  if (weights == NULL || weights->is_int || weights->n_dims != 2 || weights->n == 0
      || weights->dims[exchanged ? 1 : 0] != channels)
    return yolo_onnx_bad (node, "its weights do not fit its input's channels", error);
  out = weights->dims[exchanged ? 0 : 1];
  if (out > G_MAXINT32 || (bias != NULL && (bias->is_int || bias->n != (gsize) out)))
    return yolo_onnx_bad (node, "its bias has the wrong type or length", error);
  if (!yolo_lowered_take_numbers (lowered, node, 2 * weights->n + 2 * (gsize) out, error))
    return FALSE;
  copy = exchanged ? NULL : exchange (weights);
  layer = yolo_compose_linear (lowered->graph, node->name, in, (guint) out,
      exchanged ? weights->f : copy, bias != NULL ? bias->f : NULL, error);
  if (layer == YOLO_LAYER_NONE)
    return FALSE;
  set_flat (lowered, node, layer);
  return TRUE;
}

gboolean
yolo_lower_flat (Lowered *lowered, const OnnxNode *node, GError **error)
{
  static const char *const same[] = { "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear",
    NULL };
  const Value *in = yolo_lowered_value (lowered, node, 0);

  if (!node->standard || in == NULL || in->kind != VALUE_FLAT)
    return TRUE;
  if (strcmp (node->op, "Gemm") == 0 && node->n_in >= 2 && node->n_in <= 3)
    return lower_gemm (lowered, node, error);
  if (g_strv_contains (same, node->op) || yolo_lower_casts_to_float (node))
    set_flat (lowered, node, in->layer);
  return TRUE;
}

const LowerOperator yolo_lower_whole_operators[] = {
  { "Flatten", lower_flatten, NULL, 1, 1, FALSE },
  { "GlobalAveragePool", lower_global_pool, NULL, 1, 1, FALSE },
  { NULL },
};
