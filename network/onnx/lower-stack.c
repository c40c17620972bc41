/* SPDX-License-Identifier: MIT */
/* Maps that are stacked along a dimension of its own and added up, as YOLOv9e does it:
 * Unsqueeze of each, Concat, ReduceSum. In the graph they are added one after the other. */

#include "network/onnx/lower.h"

#include <string.h>

/* Whether the node's axes are the first dimension alone. */
static gboolean
is_along_first (Lowered *lowered, const OnnxNode *node)
{
  Tensor *input = node->n_in > 1 ? yolo_lowered_constant (lowered, node->in[1], NULL) : NULL;
  const gint64 *axes;
  gsize n;

  return yolo_onnx_tensor_ints (node, input, "axes", &axes, &n, NULL) && axes != NULL && n == 1
      && axes[0] == 0;
}

/* Whether input k of a Concat is a map with one more dimension in front. */
static gboolean
is_stacked_map (Lowered *lowered, const OnnxNode *concat, guint k)
{
  const OnnxNode *node = yolo_onnx_producer (lowered->file, concat->in[k]);

  return node != NULL && strcmp (node->op, "Unsqueeze") == 0
      && yolo_lowered_is_feature (lowered, node, 0) && is_along_first (lowered, node);
}

static guint
map_of (Lowered *lowered, const OnnxNode *concat, guint k)
{
  const OnnxNode *node = yolo_onnx_producer (lowered->file, concat->in[k]);
  return yolo_lowered_value (lowered, node, 0)->layer;
}

gboolean
yolo_lower_stack (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
{
  const OnnxNode *concat;
  guint sum;

  *done = FALSE;
  if (strcmp (node->op, "ReduceSum") != 0 || !node->standard || node->n_in == 0
      || yolo_onnx_attr_int (node, "keepdims", 1) != 0 || !is_along_first (lowered, node))
    return TRUE;
  concat = yolo_onnx_producer (lowered->file, node->in[0]);
  if (concat == NULL || strcmp (concat->op, "Concat") != 0 || concat->n_in == 0
      || yolo_onnx_attr_int (concat, "axis", 1) != 0)
    return TRUE;
  for (guint k = 0; k < concat->n_in; k++) {
    if (!is_stacked_map (lowered, concat, k))
      return TRUE;
  }
  sum = map_of (lowered, concat, 0);
  for (guint k = 1; k < concat->n_in && sum != YOLO_LAYER_NONE; k++)
    sum = yolo_graph_add (lowered->graph, node->name, sum, map_of (lowered, concat, k), error);
  *done = TRUE;
  return yolo_lowered_set_layer (lowered, node, 0, sum);
}
