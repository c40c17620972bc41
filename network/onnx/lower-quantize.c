/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/onnx/eval.h"

#include <string.h>

/* The type that QuantizeLinear writes, which is that of its zero point. */
static gint32
quantized_type (const Lowered *lowered, const OnnxNode *node)
{
  if (node->n_in > 2 && node->in[2] != ONNX_NONE)
    return yolo_lowered_constant_type (lowered, node->in[2]);
  return (gint32) yolo_onnx_attr_int (node, "output_dtype", ONNX_UINT8);
}

gboolean
yolo_lowered_grid (Lowered *lowered, const OnnxNode *node, YoloGrid *grid)
{
  gint32 type = quantized_type (lowered, node);
  Tensor *scale, *zero;

  if ((type != ONNX_UINT8 && type != ONNX_INT8)
      || !yolo_lowered_parameter (lowered, node, 1, &scale, NULL)
      || !yolo_lowered_parameter (lowered, node, 2, &zero, NULL) || scale == NULL || scale->is_int
      || scale->n != 1 || !(scale->f[0] > 0) || (zero != NULL && (!zero->is_int || zero->n != 1)))
    return FALSE;
  *grid = (YoloGrid){ scale->f[0],
    (gint32) ((zero != NULL ? zero->i[0] : 0) - (type == ONNX_INT8 ? G_MININT8 : 0)) };
  return TRUE;
}

/* A quantiser of 8 bits becomes a layer, which only an int8 model knows; one of more bits
 * is left out. */
static gboolean
lower_quantize (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gint32 type = quantized_type (lowered, node);
  gint64 lowest = type == ONNX_INT8 ? G_MININT8 : type == ONNX_INT16 ? G_MININT16 : 0, at = 0;
  YoloLayer *layer = yolo_lowered_feature (lowered, node, 0);
  Tensor *scale, *zero;
  YoloGrid grid;

  lowered->quantized = TRUE;
  if (!yolo_lowered_parameter (lowered, node, 1, &scale, error)
      || !yolo_lowered_parameter (lowered, node, 2, &zero, error))
    return FALSE;
  if (zero != NULL && (!zero->is_int || zero->n != 1))
    return yolo_lower_refuse (node, "quantises activations channel by channel", error);
  at = zero != NULL ? zero->i[0] : 0;
  layer->from_zero = layer->type == YOLO_LAYER_CONV && at == lowest;
  if (scale != NULL && !scale->is_int && scale->n == 1 && !(scale->f[0] > 0))
    return yolo_onnx_bad (node, "its scale is not above 0", error);
  if (!yolo_lowered_grid (lowered, node, &grid))
    return yolo_lowered_set_layer (
        lowered, node, 0, yolo_lowered_value (lowered, node, 0)->layer);
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_quant (
          lowered->graph, node->name, yolo_lowered_value (lowered, node, 0)->layer, grid, error));
}

/* Whether input k, a scale or a zero point, is the same in two quantisers. A zero point
 * that is left out is 0. */
static gboolean
same_parameter (Lowered *lowered, const OnnxNode *a, const OnnxNode *b, guint k)
{
  Tensor *x, *y;

  if (k < a->n_in && k < b->n_in && a->in[k] == b->in[k])
    return TRUE;
  if (!yolo_lowered_parameter (lowered, a, k, &x, NULL)
      || !yolo_lowered_parameter (lowered, b, k, &y, NULL))
    return FALSE;
  if (x == NULL || y == NULL) {
    const Tensor *zero = x != NULL ? x : y;
    for (gsize i = 0; zero != NULL && i < zero->n; i++) {
      if (!zero->is_int || zero->i[i] != 0)
        return FALSE;
    }
    return TRUE;
  }
  return x->n == y->n && x->is_int == y->is_int
      && (x->is_int ? memcmp (x->i, y->i, x->n * sizeof *x->i)
                    : memcmp (x->f, y->f, x->n * sizeof *x->f))
      == 0;
}

/* Whether two quantisers have zero points of the same type, as far as both say it. */
static gboolean
same_type (const Lowered *lowered, const OnnxNode *a, const OnnxNode *b)
{
  gint32 x, y;

  if (MIN (a->n_in, b->n_in) < 3 || a->in[2] == ONNX_NONE || b->in[2] == ONNX_NONE)
    return TRUE;
  x = yolo_lowered_constant_type (lowered, a->in[2]);
  y = yolo_lowered_constant_type (lowered, b->in[2]);
  return x == 0 || y == 0 || x == y;
}

static gboolean
same_grid (Lowered *lowered, const OnnxNode *a, const OnnxNode *b)
{
  return same_parameter (lowered, a, b, 1) && same_parameter (lowered, a, b, 2)
      && same_type (lowered, a, b);
}

/* The producer of a value, if it is ONNX's own operator @op; else NULL. */
static const OnnxNode *
made_by (const Lowered *lowered, guint value, const char *op)
{
  const OnnxNode *node = value != ONNX_NONE ? yolo_onnx_producer (lowered->file, value) : NULL;

  return node != NULL && node->standard && strcmp (node->op, op) == 0 ? node : NULL;
}

gboolean
yolo_lowered_weights (
    Lowered *lowered, const OnnxNode *node, guint k, Tensor **weights, GError **error)
{
  const OnnxNode *back, *quantizer;
  Tensor *in[3] = { NULL }, *rounded = NULL;
  gint32 type;

  if (!yolo_lowered_parameter (lowered, node, k, weights, error))
    return FALSE;
  back = *weights != NULL ? made_by (lowered, node->in[k], "DequantizeLinear") : NULL;
  quantizer = back != NULL ? made_by (lowered, back->in[0], "QuantizeLinear") : NULL;
  if (quantizer == NULL)
    return TRUE;
  type = quantized_type (lowered, quantizer);
  if (type != ONNX_UINT8 && type != ONNX_INT8)
    return TRUE;
  if (!same_grid (lowered, quantizer, back)
      || yolo_onnx_attr_int (quantizer, "axis", 1) != yolo_onnx_attr_int (back, "axis", 1))
    return yolo_lower_refuse (
        back, "dequantises with another scale than its input was quantised with", error);
  in[0] = *weights;
  if (!yolo_lowered_parameter (lowered, quantizer, 1, &in[1], error)
      || !yolo_lowered_parameter (lowered, quantizer, 2, &in[2], error)
      || !yolo_eval_round (&lowered->scope, quantizer, in, type == ONNX_INT8 ? G_MININT8 : 0,
          type == ONNX_INT8 ? G_MAXINT8 : G_MAXUINT8, &rounded, error)) {
    g_clear_pointer (&rounded, yolo_onnx_tensor_unref);
    return FALSE;
  }
  /* Whoever reads them next rounds them again, which changes nothing. */
  yolo_onnx_tensor_unref (lowered->values[node->in[k]].tensor);
  *weights = lowered->values[node->in[k]].tensor = rounded;
  return TRUE;
}

/* Whether a node reads the whole numbers of an input of uint8, which no node has made. */
static gboolean
is_whole_image (const Lowered *lowered, const OnnxNode *node)
{
  const Value *value = yolo_lowered_value (lowered, node, 0);

  return value != NULL && value->kind == VALUE_IMAGE && value->tensor->is_int;
}

gboolean
yolo_lower_follow_quantizers (Lowered *lowered, const OnnxNode *node, GError **error)
{
  static const char *const movers[] = { "Concat", "Flatten", "Gather", "Identity", "MaxPool",
    "Reshape", "Resize", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", NULL };
  const OnnxNode *quantizer = NULL;

  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = yolo_lowered_value (lowered, node, k);
    if (value == NULL || value->quantizer == NULL)
      continue;
    if (!node->standard)
      return yolo_lower_refuse_foreign (node, error);
    if (quantizer != NULL && quantizer != value->quantizer
        && !same_grid (lowered, quantizer, value->quantizer))
      return yolo_lower_refuse (node, "joins whole numbers of different scales", error);
    quantizer = value->quantizer;
  }
  if (strcmp (node->op, "DequantizeLinear") == 0) {
    if (is_whole_image (lowered, node))
      return TRUE;
    if (quantizer == NULL)
      return yolo_lower_refuse (node, "dequantises what no QuantizeLinear made", error);
    return same_grid (lowered, quantizer, node)
        || yolo_lower_refuse (
            node, "dequantises with another scale than its input was quantised with", error);
  }
  if (quantizer != NULL && !g_strv_contains (movers, node->op))
    return yolo_lower_refuse (node, "computes with the whole numbers of a quantiser", error);
  if (strcmp (node->op, "QuantizeLinear") == 0)
    quantizer = node;
  for (guint k = 0; quantizer != NULL && k < node->n_out; k++) {
    if (node->out[k] != ONNX_NONE && strcmp (node->op, "Shape") != 0)
      lowered->values[node->out[k]].quantizer = quantizer;
  }
  return TRUE;
}

static gboolean
lower_dynamic_quantize (Lowered *lowered, const OnnxNode *node, GError **error)
{
  /* The outputs are the input itself, a scale of 1 and a zero point of 0, so that what
   * follows folds to a plain convolution. */
  for (guint k = 1; k < MIN (node->n_out, 3); k++) {
    if (node->out[k] == ONNX_NONE)
      continue;
    Value *value = &lowered->values[node->out[k]];
    value->kind = VALUE_CONST;
    value->tensor = yolo_onnx_tensor_new (&lowered->scope, k == 2, 0, NULL, error);
    if (value->tensor == NULL)
      return FALSE;
    if (k == 1)
      value->tensor->f[0] = 1;
  }
  return yolo_lowered_set_layer (lowered, node, 0, yolo_lowered_value (lowered, node, 0)->layer);
}

const LowerOperator yolo_lower_quantize_operators[] = {
  { "DynamicQuantizeLinear", lower_dynamic_quantize, NULL, 1, 1, FALSE },
  { "QuantizeLinear", lower_quantize, NULL, 2, 3, FALSE },
  { NULL },
};
