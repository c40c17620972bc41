/* SPDX-License-Identifier: MIT */
#include "network/onnx/image.h"
#include "base/error.h"
#include "network/onnx/eval.h"

#include <math.h>
#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* The picture has sizes that no number of channels has. Its first pixel is black; in the
 * next three one channel each is at its largest; all others are random. */
#define HEIGHT 5
#define WIDTH 7
#define PIXELS (HEIGHT * WIDTH)
#define LARGEST 255.f

static gboolean
refuse (const OnnxNode *node, const char *what, GError **error)
{
  return yolo_network_fail (error, UNSUPPORTED,
      ONNX_NODE_FORMAT " %s, which is not supported in front of the first "
                       "convolution; there may be a scale and an offset of each channel, their "
                       "order reversed, a change of layout, "
                       "and casts",
      ONNX_NODE_ARGS (node), what);
}

static float
sample (guint pixel, guint channel)
{
  guint32 x = (pixel * 3 + channel + 1) * 2654435761u;

  if (pixel < 4)
    return pixel == channel + 1 ? LARGEST : 0;
  return (float) (x >> 24);
}

gboolean
yolo_onnx_image_start (Lowered *lowered, GError **error)
{
  const OnnxFile *file = lowered->file;
  Value *value = &lowered->values[file->input];
  gint64 first[4] = { 1, 3, HEIGHT, WIDTH }, last[4] = { 1, HEIGHT, WIDTH, 3 };
  gboolean whole = file->input_type == ONNX_UINT8;

  value->kind = VALUE_IMAGE;
  value->tensor =
      yolo_onnx_tensor_new (&lowered->scope, whole, 4, file->channels_last ? last : first, error);
  if (value->tensor == NULL)
    return FALSE;
  for (guint p = 0; p < PIXELS; p++) {
    for (guint c = 0; c < 3; c++) {
      gsize at = file->channels_last ? p * 3 + c : c * PIXELS + p;
      if (whole)
        value->tensor->i[at] = (gint64) sample (p, c);
      else
        value->tensor->f[at] = sample (p, c);
    }
  }
  return TRUE;
}

/* Finds factors [channels][3] and offsets [channels] by which a tensor was made of the
 * picture. FALSE: it was made in another way. */
static gboolean
fit (const Tensor *x, float *factors, float *offsets)
{
  float largest = 0;

  for (gsize i = 0; i < x->n; i++)
    largest = MAX (largest, fabsf (x->f[i]));
  if (!isfinite (largest))
    return FALSE;
  for (gint64 c = 0; c < x->dims[1]; c++) {
    const float *plane = x->f + c * PIXELS;
    offsets[c] = plane[0];
    for (guint k = 0; k < 3; k++)
      factors[3 * c + k] = (plane[k + 1] - plane[0]) / LARGEST;
    for (guint p = 4; p < PIXELS; p++) {
      float expected = offsets[c];
      for (guint k = 0; k < 3; k++)
        expected += factors[3 * c + k] * sample (p, k);
      if (!(fabsf (expected - plane[p]) <= 1e-5f * largest))
        return FALSE;
    }
  }
  return TRUE;
}

/* Makes a layer of a value that @node is about to read. */
static gboolean
make_layer (Lowered *lowered, guint id, const OnnxNode *node, GError **error)
{
  Value *value = &lowered->values[id];
  const Tensor *x = value->tensor;
  const OnnxNode *producer = yolo_onnx_producer (lowered->file, id);
  const char *name =
      producer != NULL ? producer->name : yolo_onnx_value (lowered->file, id)->name;
  guint layer;
  g_autofree float *factors = NULL, *offsets = NULL;

  if (x->is_int)
    return refuse (node, "reads the input's whole numbers, not cast to floats before", error);
  if (x->n_dims != 4 || x->dims[0] != 1 || x->dims[2] != HEIGHT || x->dims[3] != WIDTH)
    return refuse (node, "reads an image that is not [N, channels, height, width]", error);
  factors = g_new (float, 3 * (gsize) x->dims[1]);
  offsets = g_new (float, (gsize) x->dims[1]);
  if (!fit (x, factors, offsets))
    return refuse (producer != NULL ? producer : node,
        "makes of the input something that is no scale and offset of its channels", error);
  layer = yolo_graph_image (lowered->graph, name, (guint) x->dims[1],
      lowered->file->input_type == ONNX_UINT8, g_steal_pointer (&factors),
      g_steal_pointer (&offsets), error);
  if (layer != YOLO_LAYER_NONE && value->grid.scale != 0)
    layer = yolo_graph_quant (lowered->graph, name, layer, value->grid, error);
  value->kind = VALUE_FEATURE;
  value->layer = layer;
  return layer != YOLO_LAYER_NONE;
}

/* Whether a node's operator computes pixel by pixel, or moves pixels. */
static gboolean
is_front (const OnnxNode *node)
{
  static const char *const ops[] = { "Add", "BatchNormalization", "Cast", "Concat",
    "DequantizeLinear", "Div", "Dropout", "Gather", "Identity", "Mul", "QuantizeLinear", "Reshape",
    "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", NULL };

  return node->standard && g_strv_contains (ops, node->op);
}

/* Whether a value is made of the picture. It still is where a layer has been made of it,
 * since other nodes may go on from the picture. */
static gboolean
is_image (const Value *value)
{
  return value->kind == VALUE_IMAGE || (value->kind == VALUE_FEATURE && value->tensor != NULL);
}

/* Gives the shape that a value has in the file: the input's size where the picture has its
 * own. */
static gboolean
image_shape (Lowered *lowered, const OnnxNode *node, GError **error)
{
  const Tensor *x = lowered->values[node->in[0]].tensor;
  Value *out = &lowered->values[node->out[0]];
  gint64 dims[TENSOR_MAX_DIMS];

  for (guint d = 0; d < x->n_dims; d++)
    dims[d] = x->dims[d] == HEIGHT ? lowered->height
        : x->dims[d] == WIDTH      ? lowered->width
                                   : x->dims[d];
  out->kind = VALUE_CONST;
  out->tensor = yolo_onnx_tensor_shape (&lowered->scope, node, x->n_dims, dims, error);
  return out->tensor != NULL;
}

static gboolean
run (Lowered *lowered, const OnnxNode *node, GError **error)
{
  g_autofree Tensor **in = g_new0 (Tensor *, MAX (node->n_in, 1));
  g_autofree Tensor **out = g_new0 (Tensor *, MAX (node->n_out, 1));
  YoloGrid grid = { 0 };

  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = node->in[k] != ONNX_NONE ? &lowered->values[node->in[k]] : NULL;
    if (value == NULL)
      continue;
    in[k] = is_image (value) ? value->tensor : yolo_lowered_constant (lowered, node->in[k], error);
    if (in[k] == NULL)
      return FALSE;
    if (value->quantizer != NULL)
      grid = value->grid;
  }
  if (strcmp (node->op, "QuantizeLinear") == 0) {
    lowered->quantized = TRUE;
    if (!yolo_lowered_grid (lowered, node, &grid))
      grid.scale = 0;
  }
  if (!yolo_eval (&lowered->scope, node, in, out, error)) {
    for (guint k = 0; k < node->n_out; k++)
      g_clear_pointer (&out[k], yolo_onnx_tensor_unref);
    return FALSE;
  }
  for (guint k = 0; k < node->n_out; k++) {
    Value *value;
    if (node->out[k] == ONNX_NONE) {
      g_clear_pointer (&out[k], yolo_onnx_tensor_unref);
      continue;
    }
    value = &lowered->values[node->out[k]];
    value->kind = VALUE_IMAGE;
    value->tensor = out[k];
    value->grid = grid;
  }
  return TRUE;
}

gboolean
yolo_onnx_image_node (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
{
  gboolean any = FALSE, others = FALSE;

  *done = FALSE;
  for (guint k = 0; k < node->n_in; k++) {
    const Value *value = node->in[k] != ONNX_NONE ? &lowered->values[node->in[k]] : NULL;
    any |= value != NULL && is_image (value);
    others |= value != NULL && !is_image (value) && value->kind != VALUE_CONST;
  }
  if (!any)
    return TRUE;
  if (node->standard && strcmp (node->op, "Shape") == 0 && node->n_out > 0 && node->n_in == 1) {
    *done = TRUE;
    return image_shape (lowered, node, error);
  }
  if (!others && is_front (node)) {
    *done = TRUE;
    return run (lowered, node, error);
  }
  for (guint k = 0; k < node->n_in; k++) {
    if (node->in[k] != ONNX_NONE && lowered->values[node->in[k]].kind == VALUE_IMAGE
        && !make_layer (lowered, node->in[k], node, error))
      return FALSE;
  }
  return TRUE;
}
