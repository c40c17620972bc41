/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/compose.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT

#define MAX_KERNEL 255

/* Reads an attribute of two numbers, [0] rows and [1] columns; @otherwise is what both are
 * where it is missing. */
static gboolean
attr_pair (const OnnxNode *node, const char *name, gint64 otherwise, gint64 min, gint64 max,
    guint *pair, GError **error)
{
  gsize n;
  const gint64 *values = yolo_onnx_attr_ints (node, name, &n);

  if (values != NULL && n != 2)
    return yolo_lower_refuse (node, "does not work on two dimensions", error);
  for (int d = 0; d < 2; d++) {
    gint64 value = values != NULL ? values[d] : otherwise;
    if (value < min || value > max)
      return yolo_network_fail (error, FORMAT,
          ONNX_NODE_FORMAT ": %s of %" G_GINT64_FORMAT " is impossible", ONNX_NODE_ARGS (node),
          name, value);
    pair[d] = (guint) value;
  }
  return TRUE;
}

/* Reads the padding of a window, which must be the same on both sides. */
static gboolean
attr_pads (const OnnxNode *node, const guint *kernel, const guint *stride, const guint *dilation,
    guint *pad, GError **error)
{
  gsize n;
  const gint64 *pads = yolo_onnx_attr_ints (node, "pads", &n);

  if (pads != NULL && !yolo_onnx_attr_is (node, "auto_pad", "NOTSET", "NOTSET"))
    return yolo_onnx_bad (node, "has both pads and auto_pad, which exclude each other", error);
  if (yolo_onnx_attr_is (node, "auto_pad", "SAME_UPPER", "NOTSET")
      || yolo_onnx_attr_is (node, "auto_pad", "SAME_LOWER", "NOTSET")) {
    for (int d = 0; d < 2; d++) {
      if (stride[d] != 1 || kernel[d] % 2 == 0)
        return yolo_lower_refuse (node, "pads its two sides differently", error);
      pad[d] = dilation[d] * (kernel[d] - 1) / 2;
    }
    return TRUE;
  }
  if (!yolo_onnx_attr_is (node, "auto_pad", "VALID", "NOTSET")
      && !yolo_onnx_attr_is (node, "auto_pad", "NOTSET", "NOTSET"))
    return yolo_lower_refuse (node, "has an unknown auto_pad", error);
  if (pads != NULL && n != 4)
    return yolo_lower_refuse (node, "does not work on two dimensions", error);
  for (int d = 0; d < 2; d++) {
    gint64 value = pads != NULL ? pads[d] : 0;
    if (pads != NULL && pads[d + 2] != value)
      return yolo_lower_refuse (node, "pads its two sides differently", error);
    if (value < 0 || value > MAX_KERNEL)
      return yolo_onnx_bad (node, "its padding is impossible", error);
    pad[d] = (guint) value;
  }
  return TRUE;
}

/* A copy of weights as floats, with ConvInteger's zero points taken off. */
static float *
copy_weights (const Tensor *weights, const Tensor *zero)
{
  gsize per_channel = weights->n / (gsize) weights->dims[0];
  float *copy = g_new (float, weights->n);

  for (gsize i = 0; i < weights->n; i++) {
    if (!weights->is_int)
      copy[i] = weights->f[i];
    else
      copy[i] = (float) (weights->i[i]
          - (zero != NULL ? zero->i[zero->n == 1 ? 0 : i / per_channel] : 0));
  }
  return copy;
}

/* The scales, one for each output channel, of weights that the file holds as int8; NULL
 * for weights that are floats, and for those on a grid that int8 does not have. */
static float *
weight_scale (Lowered *lowered, const OnnxNode *node, const Tensor *weights)
{
  const OnnxNode *from = yolo_onnx_producer (lowered->file, node->in[1]);
  gsize channels = (gsize) weights->dims[0], per_channel = weights->n / channels;
  g_autofree float *scales = NULL;
  Tensor *scale;

  if (from == NULL || strcmp (from->op, "DequantizeLinear") != 0)
    return NULL;
  if (!yolo_lowered_parameter (lowered, from, 1, &scale, NULL) || scale == NULL
      || (scale->n != 1 && scale->n != channels))
    return NULL;
  scales = g_new (float, channels);
  for (gsize c = 0; c < channels; c++) {
    scales[c] = scale->f[scale->n == 1 ? 0 : c];
    for (gsize i = c * per_channel; i < (c + 1) * per_channel; i++) {
      float q = rintf (weights->f[i] / scales[c]);
      /* the scale may also belong to another axis */
      if (!(q >= -128 && q <= 127)
          || fabsf (q * scales[c] - weights->f[i]) > 1e-3f * fabsf (scales[c]))
        return NULL;
    }
  }
  return g_steal_pointer (&scales);
}

static gboolean
lower_conv (Lowered *lowered, const OnnxNode *node, GError **error)
{
  gboolean integer = strcmp (node->op, "ConvInteger") == 0;
  const YoloLayer *in = yolo_lowered_feature (lowered, node, 0);
  Tensor *weights, *bias = NULL, *zero = NULL;
  gint64 groups = yolo_onnx_attr_int (node, "group", 1);
  guint kernel[2];
  YoloConv conv;

  if (!yolo_lowered_weights (lowered, node, 1, &weights, error)
      || !yolo_lowered_parameter (lowered, node, integer ? 3 : 2, integer ? &zero : &bias, error))
    return FALSE;
  if (weights == NULL || weights->is_int != integer || weights->n_dims != 4 || weights->n == 0)
    return yolo_lower_refuse (
        node, "has weights that are no [out, in, rows, columns] of the right type", error);
  if (integer) {
    const OnnxNode *from = yolo_onnx_producer (lowered->file, node->in[0]);
    if (from == NULL || strcmp (from->op, "DynamicQuantizeLinear") != 0)
      return yolo_lower_refuse (node, "reads integers that no DynamicQuantizeLinear made", error);
    lowered->quantized = TRUE;
  }
  if (groups < 1 || groups > weights->dims[0] || weights->dims[0] % groups != 0
      || weights->dims[1] * groups != in->channels)
    return yolo_onnx_bad (node, "its weights do not fit its input's channels", error);
  if (weights->dims[2] > MAX_KERNEL || weights->dims[3] > MAX_KERNEL)
    return yolo_lower_refuse (node, "has a kernel that is too large", error);
  conv = (YoloConv){
    .in_channels = in->channels,
    .out_channels = (guint) weights->dims[0],
    .groups = (guint) groups,
    .kernel = { (guint) weights->dims[2], (guint) weights->dims[3] },
  };
  for (int d = 0; d < 2; d++) {
    guint own[2] = { conv.kernel[0], conv.kernel[1] };
    if (!attr_pair (node, "kernel_shape", own[d], 1, MAX_KERNEL, kernel, error))
      return FALSE;
    if (kernel[d] != conv.kernel[d])
      return yolo_onnx_bad (node, "its kernel_shape is not its weights'", error);
  }
  if (!attr_pair (node, "strides", 1, 1, MAX_KERNEL, conv.stride, error)
      || !attr_pair (node, "dilations", 1, 1, MAX_KERNEL, conv.dilation, error)
      || !attr_pads (node, conv.kernel, conv.stride, conv.dilation, conv.pad, error))
    return FALSE;
  if (bias != NULL && (bias->is_int || bias->n != conv.out_channels))
    return yolo_onnx_bad (node, "its bias has the wrong type or length", error);
  if ((bias != NULL && !yolo_lowered_check_types (lowered, node, 1, 2, error))
      || !yolo_lowered_take_numbers (
          lowered, node, weights->n + 2 * (gsize) conv.out_channels, error))
    return FALSE;
  if (zero != NULL && (!zero->is_int || (zero->n != 1 && zero->n != conv.out_channels)))
    return yolo_onnx_bad (node, "its weights' zero point has the wrong type or length", error);
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_graph_conv (lowered->graph, node->name, yolo_lowered_value (lowered, node, 0)->layer,
          &conv, copy_weights (weights, zero),
          bias != NULL ? g_memdup2 (bias->f, bias->n * sizeof (float))
                       : g_new0 (float, conv.out_channels),
          integer ? NULL : weight_scale (lowered, node, weights), error));
}

/* Whether an attribute is there whose numbers are not all 0. */
static gboolean
attr_any (const OnnxNode *node, const char *name)
{
  gsize n;
  const gint64 *values = yolo_onnx_attr_ints (node, name, &n);

  for (gsize k = 0; k < n; k++) {
    if (values[k] != 0)
      return TRUE;
  }
  return FALSE;
}

static gboolean
lower_conv_transpose (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const YoloLayer *in = yolo_lowered_feature (lowered, node, 0);
  Tensor *weights, *bias;
  guint kernel[2], stride[2], dilation[2], scale;

  if (!yolo_lowered_weights (lowered, node, 1, &weights, error)
      || !yolo_lowered_parameter (lowered, node, 2, &bias, error))
    return FALSE;
  if (weights == NULL || weights->is_int || weights->n_dims != 4 || weights->n == 0)
    return yolo_lower_refuse (
        node, "has weights that are no floats [in, out, rows, columns]", error);
  if (weights->dims[0] != in->channels || weights->dims[1] > G_MAXINT32
      || (bias != NULL && (bias->is_int || bias->n != (gsize) weights->dims[1])))
    return yolo_onnx_bad (node, "its weights or its bias do not fit its input's channels", error);
  if (weights->dims[2] > MAX_KERNEL || weights->dims[2] != weights->dims[3])
    return yolo_lower_refuse (node, "has a kernel that is no small square", error);
  scale = (guint) weights->dims[2];
  if (!attr_pair (node, "kernel_shape", scale, 1, MAX_KERNEL, kernel, error)
      || !attr_pair (node, "strides", 1, 1, MAX_KERNEL, stride, error)
      || !attr_pair (node, "dilations", 1, 1, MAX_KERNEL, dilation, error))
    return FALSE;
  if (kernel[0] != scale || kernel[1] != scale)
    return yolo_onnx_bad (node, "its kernel_shape is not its weights'", error);
  if (stride[0] != scale || stride[1] != scale || dilation[0] != 1 || dilation[1] != 1
      || yolo_onnx_attr_int (node, "group", 1) != 1 || attr_any (node, "pads")
      || attr_any (node, "output_padding") || yolo_onnx_attr (node, "output_shape") != NULL
      || !(yolo_onnx_attr_is (node, "auto_pad", "NOTSET", "NOTSET")
          || yolo_onnx_attr_is (node, "auto_pad", "VALID", "NOTSET")))
    return yolo_lower_refuse (node, "enlarges by windows that overlap or leave gaps", error);
  if (!yolo_lowered_take_numbers (lowered, node,
          weights->n + 2 * (gsize) weights->dims[1] * scale * scale, error))
    return FALSE;
  return yolo_lowered_set_layer (lowered, node, 0,
      yolo_compose_conv_transpose (lowered->graph, node->name,
          yolo_lowered_value (lowered, node, 0)->layer, scale, (guint) weights->dims[1],
          weights->f, bias != NULL ? bias->f : NULL, error));
}

/* Reads the square window of a pooling, and refuses one that works in another way than ours. */
static gboolean
read_window (const OnnxNode *node, guint *kernel, guint *stride, guint *pad, GError **error)
{
  guint k[2], s[2], p[2], dilation[2];

  if (yolo_onnx_attr (node, "kernel_shape") == NULL)
    return yolo_onnx_bad (node, "has no kernel_shape", error);
  if (!attr_pair (node, "kernel_shape", 1, 1, MAX_KERNEL, k, error)
      || !attr_pair (node, "strides", 1, 1, MAX_KERNEL, s, error)
      || !attr_pair (node, "dilations", 1, 1, MAX_KERNEL, dilation, error)
      || !attr_pads (node, k, s, dilation, p, error))
    return FALSE;
  if (k[0] != k[1] || s[0] != s[1] || p[0] != p[1] || p[0] >= k[0] || dilation[0] != 1
      || dilation[1] != 1 || node->n_out != 1 || yolo_onnx_attr_int (node, "ceil_mode", 0) != 0)
    return yolo_lower_refuse (node, "pools in an unusual way", error);
  *kernel = k[0];
  *stride = s[0];
  *pad = p[0];
  return TRUE;
}

static gboolean
lower_max_pool (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = yolo_lowered_value (lowered, node, 0)->layer, kernel, stride, pad;

  return read_window (node, &kernel, &stride, &pad, error)
      && yolo_lowered_set_layer (lowered, node, 0,
          yolo_graph_max_pool (lowered->graph, node->name, in, kernel, stride, pad, error));
}

static gboolean
lower_average_pool (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = yolo_lowered_value (lowered, node, 0)->layer, kernel, stride, pad;
  gsize channels = yolo_layer_at (lowered->graph->layers, in)->channels;

  if (!read_window (node, &kernel, &stride, &pad, error))
    return FALSE;
  if (pad > 0 && yolo_onnx_attr_int (node, "count_include_pad", 0) == 0)
    return yolo_lower_refuse (node, "takes means without the padding", error);
  return yolo_lowered_take_numbers (
             lowered, node, channels * ((gsize) kernel * kernel + 2), error)
      && yolo_lowered_set_layer (lowered, node, 0,
          yolo_compose_average_pool (
              lowered->graph, node->name, in, kernel, stride, pad, error));
}

const LowerOperator yolo_lower_conv_operators[] = {
  { "AveragePool", lower_average_pool, NULL, 1, 1, FALSE },
  { "Conv", lower_conv, NULL, 2, 3, FALSE },
  { "ConvInteger", lower_conv, NULL, 2, 4, FALSE },
  { "ConvTranspose", lower_conv_transpose, NULL, 2, 3, FALSE },
  { "MaxPool", lower_max_pool, NULL, 1, 1, FALSE },
  { NULL },
};
