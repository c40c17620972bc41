/* SPDX-License-Identifier: MIT */
#include "network/onnx/lower.h"
#include "base/error.h"
#include "network/onnx/eval.h"
#include "network/onnx/image.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define MAX_KERNEL 255
/* elements of a folded constant: anchors of a large image */
#define MAX_CONST ((gsize) 1 << 22)

static void
layer_clear (gpointer data)
{
  Layer *layer = data;

  g_free (layer->name);
  g_free (layer->in);
  g_free (layer->weights);
  g_free (layer->bias);
  g_free (layer->weight_scale);
  g_free (layer->scale);
  g_free (layer->shift);
}

GArray *
layers_new (void)
{
  GArray *layers = g_array_new (FALSE, TRUE, sizeof (Layer));
  g_array_set_clear_func (layers, layer_clear);
  return layers;
}

static gboolean
refuse (const OnnxNode *node, const char *what, GError **error)
{
  return yolo_network_fail (error, UNSUPPORTED, ONNX_NODE_FORMAT " %s, which is not supported; "
      "export a YOLOv8 detect model with Ultralytics", ONNX_NODE_ARGS (node), what);
}

static gboolean
window_size (guint in, guint kernel, guint stride, guint pad, guint dilation, guint *out)
{
  guint64 padded = (guint64) in + 2 * (guint64) pad, extent = (guint64) dilation * (kernel - 1) + 1;

  if (padded < extent)
    return FALSE;
  *out = (guint) ((padded - extent) / stride + 1);
  return TRUE;
}

gboolean
layer_size (const GArray *layers, guint index, GError **error)
{
  Layer *layer = layer_at (layers, index);
  const Layer *in = layer->n_in > 0 ? layer_at (layers, layer->in[0]) : NULL;
  const YoloConv *conv = &layer->conv;
  gboolean fits = TRUE;

  switch (layer->type) {
    case LAYER_INPUT:
      return TRUE;
    case LAYER_CONV:
      fits = window_size (in->height, conv->kernel[0], conv->stride[0], conv->pad[0],
                 conv->dilation[0], &layer->height)
          && window_size (in->width, conv->kernel[1], conv->stride[1], conv->pad[1],
              conv->dilation[1], &layer->width);
      break;
    case LAYER_MAX_POOL:
      fits = window_size (in->height, layer->kernel, layer->stride, layer->pad, 1, &layer->height)
          && window_size (in->width, layer->kernel, layer->stride, layer->pad, 1, &layer->width);
      break;
    case LAYER_UPSAMPLE:
      layer->height = in->height * layer->factor;
      layer->width = in->width * layer->factor;
      /* inputs are at most 8192, so more is no network of ours, and less keeps numbers small */
      fits = layer->height <= 65536 && layer->width <= 65536;
      break;
    default:
      layer->height = in->height;
      layer->width = in->width;
      for (guint k = 1; k < layer->n_in; k++) {
        const Layer *other = layer_at (layers, layer->in[k]);
        fits = fits && other->height == in->height && other->width == in->width;
      }
      break;
  }
  if (layer->residual != LAYER_NONE) {
    const Layer *other = layer_at (layers, layer->residual);
    fits = fits && other->height == layer->height && other->width == layer->width;
  }
  if (!fits)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
        "node '%.100s' does not fit an input of %ux%u "
        "(width x height): its own inputs are %ux%u",
        layer->name, layer_at (layers, 0)->width, layer_at (layers, 0)->height, in->width,
        in->height);
  return TRUE;
}

Layer *
lowered_add_layer (Lowered *lowered, LayerType type, const char *name, guint n_in, const guint *in)
{
  Layer *layer;

  g_array_set_size (lowered->layers, lowered->layers->len + 1);
  layer = layer_at (lowered->layers, lowered->layers->len - 1);
  layer->type = type;
  layer->name = g_strdup_printf ("%.200s", name);
  layer->n_in = n_in;
  layer->in = g_memdup2 (in, n_in * sizeof *in);
  layer->below =
      type == LAYER_QUANT ? layer_at (lowered->layers, in[0])->below : lowered->layers->len - 1;
  layer->residual = LAYER_NONE;
  layer->channels = layer_at (lowered->layers, in[0])->channels;
  return layer;
}

/* As above, for a node, which is finished by finish_layer(). */
static Layer *
add_layer (Lowered *lowered, LayerType type, const OnnxNode *node, guint n_in, const guint *in)
{
  return lowered_add_layer (lowered, type, node->name, n_in, in);
}

static void
set_feature (Lowered *lowered, guint value, guint layer)
{
  if (value == ONNX_NONE)
    return;
  lowered->values[value].kind = VALUE_FEATURE;
  lowered->values[value].layer = layer;
}

static gboolean
finish_layer (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint index = lowered->layers->len - 1;

  set_feature (lowered, node->out[0], index);
  return layer_size (lowered->layers, index, error);
}

static const Value *
value_of (const Lowered *lowered, const OnnxNode *node, guint k)
{
  return k < node->n_in && node->in[k] != ONNX_NONE ? &lowered->values[node->in[k]] : NULL;
}

static gboolean
is_feature (const Lowered *lowered, const OnnxNode *node, guint k)
{
  const Value *value = value_of (lowered, node, k);
  return value != NULL && value->kind == VALUE_FEATURE;
}

static Layer *
feature (const Lowered *lowered, const OnnxNode *node, guint k)
{
  return layer_at (lowered->layers, value_of (lowered, node, k)->layer);
}

Tensor *
lowered_constant (Lowered *lowered, guint id, GError **error)
{
  Value *value;
  const Onnx__TensorProto *proto;
  g_autofree char *what = NULL;

  if (id == ONNX_NONE)
    return NULL;
  value = &lowered->values[id];
  if (value->kind != VALUE_CONST)
    return NULL;
  proto = onnx_value (lowered->file, id)->initializer;
  if (value->tensor == NULL && proto != NULL && !(value->broken && error == NULL)) {
    what = g_strdup_printf ("initializer '%.80s'", proto->name);
    value->tensor = tensor_from_proto (proto, what, error);
    value->broken = value->tensor == NULL;
  }
  return value->tensor;
}

/* The constant of an input. *missing tells an input left out from one that is an error. */
static gboolean
constant (Lowered *lowered, const OnnxNode *node, guint k, Tensor **tensor, GError **error)
{
  const Value *value = value_of (lowered, node, k);

  *tensor = NULL;
  if (value == NULL)
    return TRUE;
  if (value->kind != VALUE_CONST)
    return refuse (node, "computes its parameters while running", error);
  *tensor = lowered_constant (lowered, node->in[k], error);
  return *tensor != NULL;
}

/* The element type of a constant, 0 where that takes more than a look. */
static gint32
constant_type (const Lowered *lowered, guint id)
{
  const OnnxValue *value = onnx_value (lowered->file, id);
  const Onnx__AttributeProto *attr;

  if (value->initializer != NULL)
    return value->initializer->data_type;
  attr = value->producer != ONNX_NONE
      ? onnx_attr (onnx_node (lowered->file, value->producer), "value")
      : NULL;
  return attr != NULL && attr->t != NULL ? attr->t->data_type : 0;
}

/* Whether two constants of a node may be of one type, as the standard wants. */
static gboolean
check_types (const Lowered *lowered, const OnnxNode *node, guint a, guint b, GError **error)
{
  gint32 x, y;

  if (MAX (a, b) >= node->n_in || node->in[a] == ONNX_NONE || node->in[b] == ONNX_NONE)
    return TRUE;
  x = constant_type (lowered, node->in[a]);
  y = constant_type (lowered, node->in[b]);
  if (x == 0 || y == 0 || x == y)
    return TRUE;
  return yolo_network_fail (error, FORMAT,
      ONNX_NODE_FORMAT " has inputs '%.80s' of type %s and '%.80s' of type %s, which "
                       "must be the same",
      ONNX_NODE_ARGS (node), onnx_value (lowered->file, node->in[a])->name, onnx_type_name (x),
      onnx_value (lowered->file, node->in[b])->name, onnx_type_name (y));
}

/* Two numbers, or the default for both. */
static gboolean
attr_pair (const OnnxNode *node, const char *name, gint64 otherwise, gint64 min, gint64 max,
    guint *pair, GError **error)
{
  gsize n;
  const gint64 *values = onnx_attr_ints (node, name, &n);

  if (values != NULL && n != 2)
    return refuse (node, "does not work on two dimensions", error);
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

/* Allows a layer n numbers of its own: many layers may share the file's, or have
 * as many as channels were joined. */
static gboolean
take_numbers (Lowered *lowered, const OnnxNode *node, gsize n, GError **error)
{
  if (n > lowered->scope.left)
    return refuse (node, "needs more numbers than the file's weights can stand for", error);
  lowered->scope.left -= n;
  return TRUE;
}

/* Symmetric padding of a window. */
static gboolean
attr_pads (const OnnxNode *node, const guint *kernel, const guint *stride, const guint *dilation,
    guint *pad, GError **error)
{
  gsize n;
  const gint64 *pads = onnx_attr_ints (node, "pads", &n);

  if (pads != NULL && !onnx_attr_is (node, "auto_pad", "NOTSET", "NOTSET"))
    return onnx_bad (node, "has both pads and auto_pad, which exclude each other", error);
  if (onnx_attr_is (node, "auto_pad", "SAME_UPPER", "NOTSET")
      || onnx_attr_is (node, "auto_pad", "SAME_LOWER", "NOTSET")) {
    for (int d = 0; d < 2; d++) {
      if (stride[d] != 1 || kernel[d] % 2 == 0)
        return refuse (node, "pads its two sides differently", error);
      pad[d] = dilation[d] * (kernel[d] - 1) / 2;
    }
    return TRUE;
  }
  if (!onnx_attr_is (node, "auto_pad", "VALID", "NOTSET")
      && !onnx_attr_is (node, "auto_pad", "NOTSET", "NOTSET"))
    return refuse (node, "has an unknown auto_pad", error);
  if (pads != NULL && n != 4)
    return refuse (node, "does not work on two dimensions", error);
  for (int d = 0; d < 2; d++) {
    gint64 value = pads != NULL ? pads[d] : 0;
    if (pads != NULL && pads[d + 2] != value)
      return refuse (node, "pads its two sides differently", error);
    if (value < 0 || value > MAX_KERNEL)
      return onnx_bad (node, "its padding is impossible", error);
    pad[d] = (guint) value;
  }
  return TRUE;
}

/* Weights as floats: a copy of the layer's own, with ConvInteger's zero points taken off. */
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

/* The scale of weights that the file holds as int8, one a channel, or NULL: for
 * weights that are floats, and for those on a grid that int8 does not have. */
static float *
weight_scale (Lowered *lowered, const OnnxNode *node, const Tensor *weights)
{
  const OnnxValue *value = onnx_value (lowered->file, node->in[1]);
  const OnnxNode *from =
      value->producer != ONNX_NONE ? onnx_node (lowered->file, value->producer) : NULL;
  gsize channels = (gsize) weights->dims[0], per_channel = weights->n / channels;
  g_autofree float *scales = NULL;
  Tensor *scale;

  if (from == NULL || strcmp (from->op, "DequantizeLinear") != 0)
    return NULL;
  if (!constant (lowered, from, 1, &scale, NULL) || scale == NULL
      || (scale->n != 1 && scale->n != channels))
    return NULL;
  scales = g_new (float, channels);
  for (gsize c = 0; c < channels; c++) {
    scales[c] = scale->f[scale->n == 1 ? 0 : c];
    for (gsize i = c * per_channel; i < (c + 1) * per_channel; i++) {
      float q = rintf (weights->f[i] / scales[c]);
      /* also where the scale belongs to another axis */
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
  const Layer *in = feature (lowered, node, 0);
  Tensor *weights, *bias = NULL, *zero = NULL;
  gint64 groups = onnx_attr_int (node, "group", 1);
  guint kernel[2], in_layer = value_of (lowered, node, 0)->layer;
  YoloConv conv;
  Layer *layer;

  if (!constant (lowered, node, 1, &weights, error)
      || !constant (lowered, node, integer ? 3 : 2, integer ? &zero : &bias, error))
    return FALSE;
  if (weights == NULL || weights->is_int != integer || weights->n_dims != 4 || weights->n == 0)
    return refuse (
        node, "has weights that are no [out, in, rows, columns] of the right type", error);
  if (integer) {
    const OnnxValue *from = onnx_value (lowered->file, node->in[0]);
    if (from->producer == ONNX_NONE
        || strcmp (onnx_node (lowered->file, from->producer)->op, "DynamicQuantizeLinear") != 0)
      return refuse (node, "reads integers that no DynamicQuantizeLinear made", error);
    lowered->quantized = TRUE;
  }
  if (groups < 1 || groups > weights->dims[0] || weights->dims[0] % groups != 0
      || weights->dims[1] * groups != in->channels)
    return onnx_bad (node, "its weights do not fit its input's channels", error);
  if (weights->dims[2] > MAX_KERNEL || weights->dims[3] > MAX_KERNEL)
    return refuse (node, "has a kernel that is too large", error);
  conv = (YoloConv) {
    .in_channels = in->channels, .out_channels = (guint) weights->dims[0], .groups = (guint) groups,
    .kernel = { (guint) weights->dims[2], (guint) weights->dims[3] },
  };
  for (int d = 0; d < 2; d++) {
    guint own[2] = { conv.kernel[0], conv.kernel[1] };
    if (!attr_pair (node, "kernel_shape", own[d], 1, MAX_KERNEL, kernel, error))
      return FALSE;
    if (kernel[d] != conv.kernel[d])
      return onnx_bad (node, "its kernel_shape is not its weights'", error);
  }
  if (!attr_pair (node, "strides", 1, 1, MAX_KERNEL, conv.stride, error)
      || !attr_pair (node, "dilations", 1, 1, MAX_KERNEL, conv.dilation, error)
      || !attr_pads (node, conv.kernel, conv.stride, conv.dilation, conv.pad, error))
    return FALSE;
  if (bias != NULL && (bias->is_int || bias->n != conv.out_channels))
    return onnx_bad (node, "its bias has the wrong type or length", error);
  if ((bias != NULL && !check_types (lowered, node, 1, 2, error))
      || !take_numbers (lowered, node, weights->n + 2 * (gsize) conv.out_channels, error))
    return FALSE;
  if (zero != NULL && (!zero->is_int || (zero->n != 1 && zero->n != conv.out_channels)))
    return onnx_bad (node, "its weights' zero point has the wrong type or length", error);

  layer = add_layer (lowered, LAYER_CONV, node, 1, &in_layer);
  layer->channels = conv.out_channels;
  layer->weights = copy_weights (weights, zero);
  layer->bias = bias != NULL ? g_memdup2 (bias->f, bias->n * sizeof (float))
                             : g_new0 (float, conv.out_channels);
  layer->conv = conv;
  layer->conv.weights = layer->weights;
  layer->conv.bias = layer->bias;
  if (!integer)
    layer->conv.weight_scale = layer->weight_scale = weight_scale (lowered, node, weights);
  return finish_layer (lowered, node, error);
}

static gboolean
lower_act (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer;

  add_layer (lowered, LAYER_ACT, node, 1, &in)->act =
      strcmp (node->op, "Relu") == 0 ? YOLO_ACT_RELU : YOLO_ACT_SIGMOID;
  return finish_layer (lowered, node, error);
}

/* One number a channel out of a constant that is broadcast to [N, C, H, W]. */
static gboolean
channel_constant (
    const OnnxNode *node, const Tensor *constant, guint channels, float *values, GError **error)
{
  gboolean fits = !constant->is_int
      && (constant->n == 1
          || (constant->n == channels && constant->n_dims >= 3 && constant->n_dims <= 4
              && constant->dims[constant->n_dims - 3] == channels));

  if (!fits)
    return refuse (
        node, "combines a feature map with a constant that is not one number a channel", error);
  for (guint c = 0; c < channels; c++)
    values[c] = constant->f[constant->n == 1 ? 0 : c];
  return TRUE;
}

/* Add, Sub, Mul, Div of a feature map and a constant. */
static gboolean
lower_affine (Lowered *lowered, const OnnxNode *node, guint which, GError **error)
{
  guint in = value_of (lowered, node, which)->layer;
  guint channels = layer_at (lowered->layers, in)->channels;
  char op = strcmp (node->op, "Sub") == 0 ? '-' : strcmp (node->op, "Mul") == 0 ? '*'
      : strcmp (node->op, "Div") == 0 ? '/' : '+';
  g_autofree float *values = NULL;
  Tensor *tensor;
  Layer *layer;

  if (op == '/' && which == 1)
    return refuse (node, "divides by a feature map", error);
  if (!constant (lowered, node, 1 - which, &tensor, error))
    return FALSE;
  if (tensor == NULL)
    return onnx_bad (node, "lacks an input", error);
  if (!take_numbers (lowered, node, 3 * (gsize) channels, error))
    return FALSE;
  values = g_new (float, channels);
  if (!channel_constant (node, tensor, channels, values, error))
    return FALSE;
  layer = add_layer (lowered, LAYER_AFFINE, node, 1, &in);
  layer->scale = g_new (float, channels);
  layer->shift = g_new (float, channels);
  for (guint c = 0; c < channels; c++) {
    layer->scale[c] = op == '*'   ? values[c]
        : op == '/'               ? 1 / values[c]
        : op == '-' && which == 1 ? -1
                                  : 1;
    layer->shift[c] = op == '+' ? values[c] : op == '-' ? (which == 1 ? values[c] : -values[c]) : 0;
    if (!isfinite (layer->scale[c]))
      return onnx_bad (node, "divides by zero", error);
  }
  return finish_layer (lowered, node, error);
}

static gboolean
lower_arithmetic (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in[2], silu;
  const Layer *a, *b;

  if (!is_feature (lowered, node, 0) || !is_feature (lowered, node, 1))
    return lower_affine (lowered, node, is_feature (lowered, node, 0) ? 0 : 1, error);

  for (guint k = 0; k < 2; k++)
    in[k] = value_of (lowered, node, k)->layer;
  a = layer_at (lowered->layers, in[0]);
  b = layer_at (lowered->layers, in[1]);
  if (strcmp (node->op, "Add") == 0) {
    if (a->channels != b->channels)
      return refuse (node, "adds feature maps of different shapes", error);
    add_layer (lowered, LAYER_ADD, node, 2, in);
    return finish_layer (lowered, node, error);
  }
  if (strcmp (node->op, "Mul") == 0) {
    for (guint k = 0; k < 2; k++) {
      /* SiLU is one operation, also with a quantiser inside. */
      const Layer *sigmoid = layer_at (lowered->layers, layer_at (lowered->layers, in[k])->below);
      if (sigmoid->type == LAYER_ACT && sigmoid->act == YOLO_ACT_SIGMOID
          && layer_at (lowered->layers, sigmoid->in[0])->below
              == layer_at (lowered->layers, in[1 - k])->below) {
        const Layer *factor = layer_at (lowered->layers, in[k]);
        YoloGrid grid = factor->grid;   /* none if it is the sigmoid itself */
        Layer *layer;

        silu = in[1 - k];
        layer = add_layer (lowered, LAYER_ACT, node, 1, &silu);
        layer->act = YOLO_ACT_SILU;
        layer->sigmoid_grid = grid;
        return finish_layer (lowered, node, error);
      }
    }
  }
  return refuse (node, "combines two feature maps in a way that is no SiLU and no residual", error);
}

static gboolean
lower_batch_norm (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer,
        channels = layer_at (lowered->layers, in)->channels;
  float epsilon = onnx_attr_float (node, "epsilon", 1e-5f);
  Tensor *parts[4];             /* scale, bias, mean, variance */
  Layer *layer;

  if (onnx_attr_int (node, "training_mode", 0) != 0)
    return refuse (node, "is in training mode", error);
  for (guint k = 0; k < 4; k++) {
    if (!constant (lowered, node, k + 1, &parts[k], error))
      return FALSE;
    if (parts[k] == NULL || parts[k]->is_int || parts[k]->n != channels)
      return onnx_bad (node, "its parameters have the wrong type or length", error);
  }
  if (!check_types (lowered, node, 1, 2, error) || !check_types (lowered, node, 3, 4, error)
      || !take_numbers (lowered, node, 2 * (gsize) channels, error))
    return FALSE;
  layer = add_layer (lowered, LAYER_AFFINE, node, 1, &in);
  layer->scale = g_new (float, channels);
  layer->shift = g_new (float, channels);
  for (guint c = 0; c < channels; c++) {
    double scale = parts[0]->f[c] / sqrt ((double) parts[3]->f[c] + epsilon);
    if (!isfinite (scale))
      return onnx_bad (node, "its variance is negative", error);
    layer->scale[c] = (float) scale;
    layer->shift[c] = (float) (parts[1]->f[c] - parts[2]->f[c] * scale);
  }
  return finish_layer (lowered, node, error);
}

static gboolean
lower_max_pool (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer, kernel[2], stride[2], pad[2], dilation[2];
  Layer *layer;

  if (onnx_attr (node, "kernel_shape") == NULL)
    return onnx_bad (node, "has no kernel_shape", error);
  if (!attr_pair (node, "kernel_shape", 1, 1, MAX_KERNEL, kernel, error)
      || !attr_pair (node, "strides", 1, 1, MAX_KERNEL, stride, error)
      || !attr_pair (node, "dilations", 1, 1, MAX_KERNEL, dilation, error)
      || !attr_pads (node, kernel, stride, dilation, pad, error))
    return FALSE;
  if (kernel[0] != kernel[1] || stride[0] != stride[1] || pad[0] != pad[1] || pad[0] >= kernel[0]
      || dilation[0] != 1 || dilation[1] != 1 || node->n_out != 1
      || onnx_attr_int (node, "ceil_mode", 0) != 0)
    return refuse (node, "pools in an unusual way", error);
  layer = add_layer (lowered, LAYER_MAX_POOL, node, 1, &in);
  layer->kernel = kernel[0];
  layer->stride = stride[0];
  layer->pad = pad[0];
  return finish_layer (lowered, node, error);
}

/* Source row of an upsampled one. Source: ONNX, docs/Operators.md, Resize. */
static int
nearest_source (const OnnxNode *node, int x, int scale)
{
  double at;

  if (onnx_attr_is (node, "coordinate_transformation_mode", "asymmetric", "half_pixel"))
    at = (double) x / scale;
  else if (onnx_attr_is (node, "coordinate_transformation_mode", "half_pixel", "half_pixel")
      || onnx_attr_is (node, "coordinate_transformation_mode", "pytorch_half_pixel", "half_pixel"))
    at = (x + 0.5) / scale - 0.5;
  else if (onnx_attr_is (
               node, "coordinate_transformation_mode", "tf_half_pixel_for_nn", "half_pixel"))
    at = (x + 0.5) / scale;
  else
    return -1;
  if (onnx_attr_is (node, "nearest_mode", "floor", "round_prefer_floor"))
    at = floor (at);
  else if (onnx_attr_is (node, "nearest_mode", "ceil", "round_prefer_floor"))
    at = ceil (at);
  else if (onnx_attr_is (node, "nearest_mode", "round_prefer_ceil", "round_prefer_floor"))
    at = floor (at + 0.5);
  else
    at = ceil (at - 0.5);
  return (int) MAX (at, 0);
}

static gboolean
lower_resize (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in_layer = value_of (lowered, node, 0)->layer;
  const Layer *in = layer_at (lowered->layers, in_layer);
  Tensor *scales, *sizes;
  double by[2];
  guint factor;

  if (!onnx_attr_is (node, "mode", "nearest", "nearest") || onnx_attr (node, "axes") != NULL)
    return refuse (node, "resizes in another way than to the nearest", error);
  if (!constant (lowered, node, 2, &scales, error) || !constant (lowered, node, 3, &sizes, error))
    return FALSE;
  if (sizes != NULL && sizes->n == 4 && sizes->is_int) {
    by[0] = (double) sizes->i[2] / in->height;
    by[1] = (double) sizes->i[3] / in->width;
    if (sizes->i[1] != in->channels)
      return refuse (node, "resizes the channels", error);
  } else if (scales != NULL && scales->n == 4 && !scales->is_int) {
    by[0] = scales->f[2];
    by[1] = scales->f[3];
    if (scales->f[0] != 1 || scales->f[1] != 1)
      return refuse (node, "resizes the channels", error);
  } else {
    return onnx_bad (node, "has neither scales nor sizes", error);
  }
  if (by[0] != by[1] || by[0] < 1 || by[0] > 16 || by[0] != floor (by[0]))
    return refuse (node, "does not enlarge by a whole number", error);
  factor = (guint) by[0];
  for (int x = 0; x < 4 * (int) factor; x++) {
    if (nearest_source (node, x, (int) factor) != x / (int) factor)
      return refuse (node, "does not repeat each pixel", error);
  }
  add_layer (lowered, LAYER_UPSAMPLE, node, 1, &in_layer)->factor = factor;
  return finish_layer (lowered, node, error);
}

/* All inputs are feature maps and the axis is the channels'; otherwise it belongs to the tail. */
static gboolean
lower_concat (Lowered *lowered, const OnnxNode *node, GError **error)
{
  g_autofree guint *in = g_new (guint, node->n_in);
  guint64 channels = 0;

  for (guint k = 0; k < node->n_in; k++) {
    if (!is_feature (lowered, node, k))
      return refuse (node, "joins a feature map with something else", error);
    in[k] = value_of (lowered, node, k)->layer;
    channels += feature (lowered, node, k)->channels;
  }
  if (channels > G_MAXINT32)
    return onnx_bad (node, "has too many channels", error);
  add_layer (lowered, LAYER_CONCAT, node, node->n_in, in)->channels = (guint) channels;
  return finish_layer (lowered, node, error);
}

static void
add_slice (
    Lowered *lowered, const OnnxNode *node, guint in, guint out, gint64 begin, gint64 channels)
{
  Layer *layer = add_layer (lowered, LAYER_SLICE, node, 1, &in);

  layer->begin = (guint) begin;
  layer->channels = (guint) channels;
  layer_size (lowered->layers, lowered->layers->len - 1, NULL);
  set_feature (lowered, node->out[out], lowered->layers->len - 1);
}

static gboolean
lower_split (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer;
  gint64 total = layer_at (lowered->layers, in)->channels, begin = 0, chunk;
  const gint64 *sizes;
  Tensor *tensor;
  gsize n;

  if (node->n_out == 0 || !constant (lowered, node, 1, &tensor, error))
    return node->n_out == 0 ? onnx_bad (node, "has no output", error) : FALSE;
  if (tensor != NULL && !tensor->is_int)
    return onnx_bad (node, "its sizes are no integers", error);
  sizes = tensor != NULL ? tensor->i : onnx_attr_ints (node, "split", &n);
  n = tensor != NULL ? tensor->n : sizes != NULL ? n : node->n_out;
  if (n != node->n_out)
    return onnx_bad (node, "it has not one size for each output", error);
  chunk = (total + node->n_out - 1) / node->n_out;
  for (guint k = 0; k < node->n_out; k++) {
    gint64 size = sizes != NULL ? sizes[k] : MIN (chunk, total - begin);
    if (size < 1 || size > total - begin)
      return onnx_bad (node, "its sizes do not fit its input's channels", error);
    add_slice (lowered, node, in, k, begin, size);
    begin += size;
  }
  return begin == total || onnx_bad (node, "its sizes do not fit its input's channels", error);
}

static gboolean
lower_slice (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer;
  gint64 total = layer_at (lowered->layers, in)->channels, bound[2];
  Tensor *parts[5] = { NULL };

  for (guint k = 1; k < 5; k++) {
    if (!constant (lowered, node, k, &parts[k], error))
      return FALSE;
    if (parts[k] != NULL ? !parts[k]->is_int || parts[k]->n != 1 : k < 4)
      return refuse (node, "cuts along more than the channels", error);
  }
  if ((parts[3]->i[0] != 1 && parts[3]->i[0] != -3) || (parts[4] != NULL && parts[4]->i[0] != 1))
    return refuse (node, "cuts along something else than the channels", error);
  for (guint k = 0; k < 2; k++) {
    gint64 value = parts[k + 1]->i[0];
    bound[k] = CLAMP (value < 0 ? value + total : value, 0, total);
  }
  if (bound[0] >= bound[1])
    return onnx_bad (node, "cuts out nothing", error);
  add_slice (lowered, node, in, 0, bound[0], bound[1] - bound[0]);
  return TRUE;
}

static gboolean
lower_same (Lowered *lowered, const OnnxNode *node, GError **error)
{
  set_feature (lowered, node->out[0], value_of (lowered, node, 0)->layer);
  return TRUE;
}

/* What QuantizeLinear writes, by its zero point. */
static gint32
quantized_type (const Lowered *lowered, const OnnxNode *node)
{
  if (node->n_in > 2 && node->in[2] != ONNX_NONE)
    return constant_type (lowered, node->in[2]);
  return (gint32) onnx_attr_int (node, "output_dtype", ONNX_UINT8);
}

gboolean
lowered_grid (Lowered *lowered, const OnnxNode *node, YoloGrid *grid)
{
  gint32 type = quantized_type (lowered, node);
  Tensor *scale, *zero;

  if ((type != ONNX_UINT8 && type != ONNX_INT8) || !constant (lowered, node, 1, &scale, NULL)
      || !constant (lowered, node, 2, &zero, NULL) || scale == NULL || scale->is_int
      || scale->n != 1 || !(scale->f[0] > 0) || (zero != NULL && (!zero->is_int || zero->n != 1)))
    return FALSE;
  *grid = (YoloGrid){ scale->f[0],
    (gint32) ((zero != NULL ? zero->i[0] : 0) - (type == ONNX_INT8 ? G_MININT8 : 0)) };
  return TRUE;
}

/* A layer of its own, which only an int8 model knows; a grid of more than 8 bits is none. */
static gboolean
lower_quantize (Lowered *lowered, const OnnxNode *node, GError **error)
{
  guint in = value_of (lowered, node, 0)->layer;
  gint32 type = quantized_type (lowered, node);
  gint64 lowest = type == ONNX_INT8 ? G_MININT8 : type == ONNX_INT16 ? G_MININT16 : 0, at = 0;
  Layer *layer = feature (lowered, node, 0);
  Tensor *scale, *zero;
  YoloGrid grid;

  lowered->quantized = TRUE;
  if (!constant (lowered, node, 1, &scale, error) || !constant (lowered, node, 2, &zero, error))
    return FALSE;
  if (zero != NULL && (!zero->is_int || zero->n != 1))
    return refuse (node, "quantises activations channel by channel", error);
  at = zero != NULL ? zero->i[0] : 0;
  layer->from_zero = layer->type == LAYER_CONV && at == lowest;
  if (scale != NULL && !scale->is_int && scale->n == 1 && !(scale->f[0] > 0))
    return onnx_bad (node, "its scale is not above 0", error);
  if (!lowered_grid (lowered, node, &grid))
    return lower_same (lowered, node, error);
  add_layer (lowered, LAYER_QUANT, node, 1, &in)->grid = grid;
  return finish_layer (lowered, node, error);
}

/* Whether parameter k of two quantisers, one number or one a channel, is the
 * same; a zero point that is left out is 0. */
static gboolean
same_parameter (Lowered *lowered, const OnnxNode *a, const OnnxNode *b, guint k)
{
  Tensor *x, *y;

  if (k < a->n_in && k < b->n_in && a->in[k] == b->in[k])
    return TRUE;
  if (!constant (lowered, a, k, &x, NULL) || !constant (lowered, b, k, &y, NULL))
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

static gboolean
same_grid (Lowered *lowered, const OnnxNode *a, const OnnxNode *b)
{
  return same_parameter (lowered, a, b, 1) && same_parameter (lowered, a, b, 2);
}

/* Whether a node reads the bytes of an input of uint8, which no node has made. */
static gboolean
is_whole_image (const Lowered *lowered, const OnnxNode *node)
{
  const Value *value = value_of (lowered, node, 0);

  return value != NULL && value->kind == VALUE_IMAGE && value->tensor->is_int;
}

/* Quantising counts as the identity here, which it is if the whole numbers come
 * back by the scale that made them, and nothing computes with them before. */
static gboolean
follow_quantizers (Lowered *lowered, const OnnxNode *node, GError **error)
{
  static const char *const movers[] = { "Concat", "Flatten", "Gather", "Identity", "MaxPool",
    "Reshape", "Resize", "Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", NULL };
  const OnnxNode *quantizer = NULL;

  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = value_of (lowered, node, k);
    if (value == NULL || value->quantizer == NULL)
      continue;
    if (quantizer != NULL && quantizer != value->quantizer
        && !same_grid (lowered, quantizer, value->quantizer))
      return refuse (node, "joins whole numbers of different scales", error);
    quantizer = value->quantizer;
  }
  if (strcmp (node->op, "DequantizeLinear") == 0) {
    if (is_whole_image (lowered, node))
      return TRUE;
    if (quantizer == NULL)
      return refuse (node, "dequantises what no QuantizeLinear made", error);
    return same_grid (lowered, quantizer, node)
        || refuse (node, "dequantises with another scale than its input was quantised with", error);
  }
  if (quantizer != NULL && !g_strv_contains (movers, node->op))
    return refuse (node, "computes with the whole numbers of a quantiser", error);
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
  /* The value itself with scale 1 and zero point 0: what follows folds to a plain convolution. */
  for (guint k = 1; k < MIN (node->n_out, 3); k++) {
    if (node->out[k] == ONNX_NONE)
      continue;
    Value *value = &lowered->values[node->out[k]];
    value->kind = VALUE_CONST;
    value->tensor = tensor_new (&lowered->scope, k == 2, 0, NULL, error);
    if (value->tensor == NULL)
      return FALSE;
    if (k == 1)
      value->tensor->f[0] = 1;
  }
  return lower_same (lowered, node, error);
}

static gboolean
lower_shape (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const Layer *in = feature (lowered, node, 0);
  gint64 dims[4] = { 1, in->channels, in->height, in->width };
  Value *out = &lowered->values[node->out[0]];

  out->kind = VALUE_CONST;
  out->tensor = tensor_shape (&lowered->scope, node, 4, dims, error);
  return out->tensor != NULL;
}

static gboolean
casts_to_float (const OnnxNode *node)
{
  gint64 to = onnx_attr_int (node, "to", 0);
  return to == ONNX_FLOAT || to == ONNX_FLOAT16 || to == ONNX_BFLOAT16 || to == ONNX_DOUBLE;
}

static gboolean
axis_is_channels (const OnnxNode *node)
{
  gint64 axis = onnx_attr_int (node, "axis", 0);
  return axis == 1 || axis == -3;
}

/* Operators of the network's body, by their first feature input, with the
 * numbers of inputs that the standard gives them in operator sets 11 and on. A
 * node that `applies` denies belongs to the tail. */
static const struct {
  const char *op;
    gboolean (*lower) (Lowered *lowered, const OnnxNode *node, GError **error);
    gboolean (*applies) (const OnnxNode *node);
  guint min_in, max_in;
} body[] = {
  { "Add", lower_arithmetic, NULL, 2, 2 },
  { "BatchNormalization", lower_batch_norm, NULL, 5, 5 },
  { "Cast", lower_same, casts_to_float, 1, 1 },
  { "Concat", lower_concat, axis_is_channels, 1, G_MAXUINT },
  { "Conv", lower_conv, NULL, 2, 3 },
  { "ConvInteger", lower_conv, NULL, 2, 4 },
  { "DequantizeLinear", lower_same, NULL, 2, 3 },
  { "Div", lower_arithmetic, NULL, 2, 2 },
  { "Dropout", lower_same, NULL, 1, 3 },
  { "DynamicQuantizeLinear", lower_dynamic_quantize, NULL, 1, 1 },
  { "Identity", lower_same, NULL, 1, 1 },
  { "MaxPool", lower_max_pool, NULL, 1, 1 },
  { "Mul", lower_arithmetic, NULL, 2, 2 },
  { "QuantizeLinear", lower_quantize, NULL, 2, 3 },
  { "Relu", lower_act, NULL, 1, 1 },
  { "Resize", lower_resize, NULL, 1, 4 },
  { "Shape", lower_shape, NULL, 1, 1 },
  { "Sigmoid", lower_act, NULL, 1, 1 },
  { "Slice", lower_slice, NULL, 3, 5 },
  { "Split", lower_split, axis_is_channels, 1, 2 },
  { "Sub", lower_arithmetic, NULL, 2, 2 },
};

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

  if (!tensor_can_eval (node))
    return TRUE;
  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] == ONNX_NONE)
      continue;
    in[k] = lowered_constant (lowered, node->in[k], error);
    if (in[k] == NULL)
      return FALSE;
  }
  if (strcmp (node->op, "DequantizeLinear") == 0)
    lowered->quantized = TRUE;
  if (!tensor_eval (&lowered->scope, node, in, out, &reason)) {
    /* Only an error if it is needed: the head's check then tells. */
    for (guint k = 0; k < node->n_out; k++)
      g_clear_pointer (&out[k], tensor_unref);
    if (strcmp (node->op, "Constant") == 0) {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
    return TRUE;
  }
  for (guint k = 0; k < node->n_out; k++) {
    if (node->out[k] == ONNX_NONE) {
      g_clear_pointer (&out[k], tensor_unref);
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
  gboolean any_feature = FALSE, any_tail = FALSE, any_image = FALSE, done;

  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = value_of (lowered, node, k);
    any_feature |= value != NULL && value->kind == VALUE_FEATURE;
    any_tail |= value != NULL && value->kind == VALUE_TAIL;
    any_image |= value != NULL && value->kind == VALUE_IMAGE;
  }
  /* Until it is known better, also of outputs that the operator should not have. */
  mark_tail (lowered, node);
  if (node->n_out == 0 || node->out[0] == ONNX_NONE)
    return TRUE;
  if (!any_feature && !any_tail && !any_image)
    return fold_constant (lowered, node, error);
  if (!follow_quantizers (lowered, node, error) || !image_node (lowered, node, &done, error))
    return FALSE;
  if (done)
    return TRUE;
  any_feature |= any_image;
  for (guint i = 0; any_feature && !any_tail && node->standard && i < G_N_ELEMENTS (body); i++) {
    if (strcmp (node->op, body[i].op) != 0 || (body[i].applies != NULL && !body[i].applies (node)))
      continue;
    if (!is_feature (lowered, node, 0) && body[i].lower != lower_arithmetic)
      break;
    if (!check_inputs (node, body[i].min_in, body[i].max_in, error)
        || !body[i].lower (lowered, node, error))
      return FALSE;
    /* a mask, statistics: nothing that is understood */
    for (guint k = 1; k < node->n_out; k++) {
      if (node->out[k] != ONNX_NONE && lowered->values[node->out[k]].kind == VALUE_UNKNOWN)
        lowered->values[node->out[k]].kind = VALUE_TAIL;
    }
    return TRUE;
  }
  return TRUE;
}

/* Constants that no node will read any more, so that weights are not held twice. */
static void
drop_inputs (Lowered *lowered, const OnnxNode *node, guint *uses)
{
  for (guint k = 0; k < node->n_in; k++) {
    guint id = node->in[k];
    if (id != ONNX_NONE && --uses[id] == 0 && onnx_value (lowered->file, id)->initializer != NULL)
      g_clear_pointer (&lowered->values[id].tensor, tensor_unref);
  }
}

/* Elements that the file holds: weights, which are dequantised, and copied into layers. */
static gsize
stored_numbers (const OnnxFile *file)
{
  gsize stored = 0, n;

  for (guint i = 0; i < file->values->len; i++) {
    const Onnx__TensorProto *proto = onnx_value (file, i)->initializer;
    if (proto != NULL && onnx_tensor_check (proto, proto->name, &n, NULL))
      stored += n;
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const Onnx__AttributeProto *attr = onnx_attr (onnx_node (file, i), "value");
    if (attr != NULL && onnx_tensor_check (attr->t, attr->name, &n, NULL))
      stored += n;
  }
  return stored;
}

Lowered *
lower (const OnnxFile *file, guint height, guint width, GError **error)
{
  g_autoptr (Lowered) lowered = g_new0 (Lowered, 1);
  g_autofree guint *uses = g_new0 (guint, file->values->len);
  gsize stored = stored_numbers (file);
  Layer *input;

  lowered->file = file;
  lowered->scope = (TensorScope) {
    .file = file, .max_elements = MAX_CONST + stored, .left = 4 * MAX_CONST + 3 * stored,
    .batch = file->input_dims[0],
  };
  lowered->height = height;
  lowered->width = width;
  lowered->values = g_new0 (Value, file->values->len);
  lowered->layers = layers_new ();

  g_array_set_size (lowered->layers, 1);
  input = layer_at (lowered->layers, 0);
  input->type = LAYER_INPUT;
  input->name = g_strdup_printf ("%.200s", onnx_value (file, file->input)->name);
  input->residual = LAYER_NONE;
  input->channels = 3;
  input->height = height;
  input->width = width;
  if (!image_start (lowered, error))
    return NULL;

  for (guint i = 0; i < file->values->len; i++) {
    if (onnx_value (file, i)->initializer != NULL)
      lowered->values[i].kind = VALUE_CONST;
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = onnx_node (file, i);
    for (guint k = 0; k < node->n_in; k++) {
      if (node->in[k] != ONNX_NONE)
        uses[node->in[k]]++;
    }
  }
  for (guint i = 0; i < file->nodes->len; i++) {
    const OnnxNode *node = onnx_node (file, i);
    if (!lower_node (lowered, node, error))
      return NULL;
    drop_inputs (lowered, node, uses);
  }
  return g_steal_pointer (&lowered);
}

void
lowered_free (Lowered *lowered)
{
  if (lowered == NULL)
    return;
  for (guint i = 0; lowered->values != NULL && i < lowered->file->values->len; i++)
    g_clear_pointer (&lowered->values[i].tensor, tensor_unref);
  g_free (lowered->values);
  if (lowered->layers != NULL)
    g_array_unref (lowered->layers);
  g_free (lowered);
}
