/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

gboolean
yolo_lower_channel_constant (
    const OnnxNode *node, const Tensor *constant, guint channels, float *values, GError **error)
{
  gboolean fits = !constant->is_int
      && (constant->n == 1
          || (constant->n == channels && constant->n_dims >= 3 && constant->n_dims <= 4
              && constant->dims[constant->n_dims - 3] == channels));

  if (!fits)
    return yolo_lower_refuse (
        node, "combines a feature map with a constant that is not one number a channel", error);
  for (guint c = 0; c < channels; c++)
    values[c] = constant->f[constant->n == 1 ? 0 : c];
  return TRUE;
}

/* Add, Sub, Mul or Div of a feature map, input @which, and a constant. */
static gboolean
lower_affine (Lowered *lowered, const OnnxNode *node, guint which, GError **error)
{
  guint in = yolo_lowered_value (lowered, node, which)->layer;
  guint channels = yolo_lowered_feature (lowered, node, which)->channels;
  char op = strcmp (node->op, "Sub") == 0 ? '-'
      : strcmp (node->op, "Mul") == 0     ? '*'
      : strcmp (node->op, "Div") == 0     ? '/'
                                          : '+';
  g_autofree float *values = NULL, *scale = NULL, *shift = NULL;
  Tensor *tensor;

  if (op == '/' && which == 1)
    return yolo_lower_refuse (node, "divides by a feature map", error);
  if (!yolo_lowered_parameter (lowered, node, 1 - which, &tensor, error))
    return FALSE;
  if (tensor == NULL)
    return yolo_onnx_bad (node, "lacks an input", error);
  if (!yolo_lowered_take_numbers (lowered, node, 3 * (gsize) channels, error))
    return FALSE;
  values = g_new (float, channels);
  if (!yolo_lower_channel_constant (node, tensor, channels, values, error))
    return FALSE;
  scale = g_new (float, channels);
  shift = g_new (float, channels);
  for (guint c = 0; c < channels; c++) {
    scale[c] = op == '*' ? values[c] : op == '/' ? 1 / values[c] : op == '-' && which == 1 ? -1 : 1;
    shift[c] = op == '+' ? values[c] : op == '-' ? (which == 1 ? values[c] : -values[c]) : 0;
    if (!isfinite (scale[c]))
      return yolo_onnx_bad (node, "divides by zero", error);
  }
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_affine (lowered->graph, node->name, in, g_steal_pointer (&scale),
          g_steal_pointer (&shift), error));
}

static gboolean
lower_arithmetic (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in[2];
  const YoloLayer *a, *b;

  if (!yolo_lowered_is_feature (lowered, node, 0) || !yolo_lowered_is_feature (lowered, node, 1))
    return lower_affine (lowered, node, yolo_lowered_is_feature (lowered, node, 0) ? 0 : 1, error);

  for (guint k = 0; k < 2; k++)
    in[k] = yolo_lowered_value (lowered, node, k)->layer;
  a = yolo_layer_at (lowered->graph->layers, in[0]);
  b = yolo_layer_at (lowered->graph->layers, in[1]);
  if (strcmp (node->op, "Add") == 0) {
    if (a->channels != b->channels)
      return yolo_lower_refuse (node, "adds feature maps of different shapes", error);
    return yolo_lowered_set_layer (
        lowered, node, 0, yolo_graph_add (lowered->graph, node->name, in[0], in[1], error));
  }
  if (strcmp (node->op, "Mul") == 0) {
    gboolean done;

    if (!yolo_lower_product (lowered, node, &done, error))
      return FALSE;
    /* a square may be a part of an activation, as the nodes behind it tell */
    if (done || in[0] == in[1])
      return TRUE;
  }
  return yolo_lower_refuse (
      node, "combines two feature maps in a way that is no activation and no residual", error);
}

static gboolean
lower_batch_norm (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint channels = yolo_lowered_feature (lowered, node, 0)->channels;
  float epsilon = yolo_onnx_attr_float (node, "epsilon", 1e-5f);
  g_autofree float *scale = NULL, *shift = NULL;
  Tensor *parts[4];             /* scale, bias, mean, variance */

  if (yolo_onnx_attr_int (node, "training_mode", 0) != 0)
    return yolo_lower_refuse (node, "is in training mode", error);
  for (guint k = 0; k < 4; k++) {
    if (!yolo_lowered_parameter (lowered, node, k + 1, &parts[k], error))
      return FALSE;
    if (parts[k] == NULL || parts[k]->is_int || parts[k]->n != channels)
      return yolo_onnx_bad (node, "its parameters have the wrong type or length", error);
  }
  if (!yolo_lowered_check_types (lowered, node, 1, 2, error)
      || !yolo_lowered_check_types (lowered, node, 3, 4, error)
      || !yolo_lowered_take_numbers (lowered, node, 2 * (gsize) channels, error))
    return FALSE;
  scale = g_new (float, channels);
  shift = g_new (float, channels);
  for (guint c = 0; c < channels; c++) {
    double factor = parts[0]->f[c] / sqrt ((double) parts[3]->f[c] + epsilon);
    if (!isfinite (factor))
      return yolo_onnx_bad (node, "its variance is negative", error);
    scale[c] = (float) factor;
    shift[c] = (float) (parts[1]->f[c] - parts[2]->f[c] * factor);
  }
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_affine (lowered->graph, node->name, yolo_lowered_value (lowered, node, 0)->layer,
          g_steal_pointer (&scale), g_steal_pointer (&shift), error));
}

const LowerOperator yolo_lower_arithmetic_operators[] = {
  { "Add", lower_arithmetic, NULL, 2, 2, TRUE },
  { "BatchNormalization", lower_batch_norm, NULL, 5, 5, FALSE },
  { "Div", lower_arithmetic, NULL, 2, 2, TRUE },
  { "Mul", lower_arithmetic, NULL, 2, 2, TRUE },
  { "Sub", lower_arithmetic, NULL, 2, 2, TRUE },
  { NULL },
};
