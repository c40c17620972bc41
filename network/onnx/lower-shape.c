/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"

#include <math.h>

/* The row of the input that row @x of the enlarged one is copied of, -1 if that is not
 * known. Source: ONNX, docs/Operators.md, Resize. */
static int
nearest_source (const OnnxNode *node, int x, int scale)
{
  double at;

  if (yolo_onnx_attr_is (node, "coordinate_transformation_mode", "asymmetric", "half_pixel"))
    at = (double) x / scale;
  else if (yolo_onnx_attr_is (node, "coordinate_transformation_mode", "half_pixel", "half_pixel")
      || yolo_onnx_attr_is (
          node, "coordinate_transformation_mode", "pytorch_half_pixel", "half_pixel"))
    at = (x + 0.5) / scale - 0.5;
  else if (yolo_onnx_attr_is (
               node, "coordinate_transformation_mode", "tf_half_pixel_for_nn", "half_pixel"))
    at = (x + 0.5) / scale;
  else
    return -1;
  if (yolo_onnx_attr_is (node, "nearest_mode", "floor", "round_prefer_floor"))
    at = floor (at);
  else if (yolo_onnx_attr_is (node, "nearest_mode", "ceil", "round_prefer_floor"))
    at = ceil (at);
  else if (yolo_onnx_attr_is (node, "nearest_mode", "round_prefer_ceil", "round_prefer_floor"))
    at = floor (at + 0.5);
  else
    at = ceil (at - 0.5);
  return (int) MAX (at, 0);
}

static gboolean
lower_resize (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const YoloLayer *in = yolo_lowered_feature (lowered, node, 0);
  Tensor *scales, *sizes;
  double by[2];
  guint factor;

  if (!yolo_onnx_attr_is (node, "mode", "nearest", "nearest")
      || yolo_onnx_attr (node, "axes") != NULL)
    return yolo_lower_refuse (node, "resizes in another way than to the nearest", error);
  if (!yolo_lowered_parameter (lowered, node, 2, &scales, error)
      || !yolo_lowered_parameter (lowered, node, 3, &sizes, error))
    return FALSE;
  if (sizes != NULL && sizes->n == 4 && sizes->is_int) {
    by[0] = (double) sizes->i[2] / in->height;
    by[1] = (double) sizes->i[3] / in->width;
    if (sizes->i[1] != in->channels)
      return yolo_lower_refuse (node, "resizes the channels", error);
  } else if (scales != NULL && scales->n == 4 && !scales->is_int) {
    by[0] = scales->f[2];
    by[1] = scales->f[3];
    if (scales->f[0] != 1 || scales->f[1] != 1)
      return yolo_lower_refuse (node, "resizes the channels", error);
  } else {
    return yolo_onnx_bad (node, "has neither scales nor sizes", error);
  }
  if (by[0] != by[1] || by[0] < 1 || by[0] > 16 || by[0] != floor (by[0]))
    return yolo_lower_refuse (node, "does not enlarge by a whole number", error);
  factor = (guint) by[0];
  for (int x = 0; x < 4 * (int) factor; x++) {
    if (nearest_source (node, x, (int) factor) != x / (int) factor)
      return yolo_lower_refuse (node, "does not repeat each pixel", error);
  }
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_upsample (
          lowered->graph, node->name, yolo_lowered_value (lowered, node, 0)->layer, factor, error));
}

/* The axis is that of the channels here: other nodes belong to the tail. */
static gboolean
lower_concat (Lowered *lowered, const OnnxNode *node, GError **error)
{
  g_autofree guint *in = g_new (guint, node->n_in);
  guint64 channels = 0;

  for (guint k = 0; k < node->n_in; k++) {
    if (!yolo_lowered_is_feature (lowered, node, k))
      return yolo_lower_refuse (node, "joins a feature map with something else", error);
    in[k] = yolo_lowered_value (lowered, node, k)->layer;
    channels += yolo_lowered_feature (lowered, node, k)->channels;
  }
  if (channels > G_MAXINT32)
    return yolo_onnx_bad (node, "has too many channels", error);
  return yolo_lowered_set_layer (
      lowered, node, 0, yolo_graph_concat (lowered->graph, node->name, node->n_in, in, error));
}

/* Makes channels [begin, begin + channels) of the first input output @out. */
static gboolean
add_slice (Lowered *lowered, const OnnxNode *node, guint out, gint64 begin, gint64 channels,
    GError **error)
{
  return yolo_lowered_set_layer (lowered, node, out,
      yolo_graph_slice (lowered->graph, node->name, yolo_lowered_value (lowered, node, 0)->layer,
          (guint) begin, (guint) channels, error));
}

static gboolean
lower_split (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gint64 total = yolo_lowered_feature (lowered, node, 0)->channels, begin = 0, chunk;
  const gint64 *sizes;
  Tensor *tensor;
  gsize n;

  if (node->n_out == 0 || !yolo_lowered_parameter (lowered, node, 1, &tensor, error))
    return node->n_out == 0 ? yolo_onnx_bad (node, "has no output", error) : FALSE;
  if (tensor != NULL && !tensor->is_int)
    return yolo_onnx_bad (node, "its sizes are no integers", error);
  sizes = tensor != NULL ? tensor->i : yolo_onnx_attr_ints (node, "split", &n);
  n = tensor != NULL ? tensor->n : sizes != NULL ? n : node->n_out;
  if (n != node->n_out)
    return yolo_onnx_bad (node, "it has not one size for each output", error);
  chunk = (total + node->n_out - 1) / node->n_out;
  for (guint k = 0; k < node->n_out; k++) {
    gint64 size = sizes != NULL ? sizes[k] : MIN (chunk, total - begin);
    if (size < 1 || size > total - begin)
      return yolo_onnx_bad (node, "its sizes do not fit its input's channels", error);
    if (!add_slice (lowered, node, k, begin, size, error))
      return FALSE;
    begin += size;
  }
  return begin == total || yolo_onnx_bad (node, "its sizes do not fit its input's channels", error);
}

static gboolean
lower_slice (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gint64 total = yolo_lowered_feature (lowered, node, 0)->channels, bound[2];
  Tensor *parts[5] = { NULL };

  for (guint k = 1; k < 5; k++) {
    if (!yolo_lowered_parameter (lowered, node, k, &parts[k], error))
      return FALSE;
    if (parts[k] != NULL ? !parts[k]->is_int || parts[k]->n != 1 : k < 4)
      return yolo_lower_refuse (node, "cuts along more than the channels", error);
  }
  if ((parts[3]->i[0] != 1 && parts[3]->i[0] != -3) || (parts[4] != NULL && parts[4]->i[0] != 1))
    return yolo_lower_refuse (node, "cuts along something else than the channels", error);
  for (guint k = 0; k < 2; k++) {
    gint64 value = parts[k + 1]->i[0];
    bound[k] = CLAMP (value < 0 ? value + total : value, 0, total);
  }
  if (bound[0] >= bound[1])
    return yolo_onnx_bad (node, "cuts out nothing", error);
  return add_slice (lowered, node, 0, bound[0], bound[1] - bound[0], error);
}

static gboolean
lower_same (Lowered *lowered, const OnnxNode *node, GError **error)
{
  return yolo_lowered_set_layer (lowered, node, 0, yolo_lowered_value (lowered, node, 0)->layer);
}

static gboolean
lower_shape (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const YoloLayer *in = yolo_lowered_feature (lowered, node, 0);
  gint64 dims[4] = { 1, in->channels, in->height, in->width };
  Value *out = &lowered->values[node->out[0]];

  out->kind = VALUE_CONST;
  out->tensor = yolo_onnx_tensor_shape (&lowered->scope, node, 4, dims, error);
  return out->tensor != NULL;
}

static gboolean
axis_is_channels (const OnnxNode *node)
{
  gint64 axis = yolo_onnx_attr_int (node, "axis", 0);
  return axis == 1 || axis == -3;
}

const LowerOperator yolo_lower_shape_operators[] = {
  { "Cast", lower_same, yolo_lower_casts_to_float, 1, 1, FALSE },
  { "Concat", lower_concat, axis_is_channels, 1, G_MAXUINT, FALSE },
  { "DequantizeLinear", lower_same, NULL, 2, 3, FALSE },
  { "Dropout", lower_same, NULL, 1, 3, FALSE },
  { "Identity", lower_same, NULL, 1, 1, FALSE },
  { "Resize", lower_resize, NULL, 1, 4, FALSE },
  { "Shape", lower_shape, NULL, 1, 1, FALSE },
  { "Slice", lower_slice, NULL, 3, 5, FALSE },
  { "Split", lower_split, axis_is_channels, 1, 2, FALSE },
  { NULL },
};
