/* SPDX-License-Identifier: MIT */
#include "network/onnx/image.h"
#include "base/error.h"
#include "network/onnx/eval.h"

#include <math.h>
#include <string.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* The picture: sizes that no number of channels has. Its first pixels are black,
 * then each channel alone at its largest, the rest are random. */
#define HEIGHT 5
#define WIDTH 7
#define PIXELS (HEIGHT * WIDTH)
#define LARGEST 255.f

#define MAX_IMAGES 16           /* made of the input; each is looked for in all layers */

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
image_start (Lowered *lowered, GError **error)
{
  const OnnxFile *file = lowered->file;
  Value *value = &lowered->values[file->input];
  gint64 first[4] = { 1, 3, HEIGHT, WIDTH }, last[4] = { 1, HEIGHT, WIDTH, 3 };
  gboolean whole = file->input_type == ONNX_UINT8;

  value->kind = VALUE_IMAGE;
  value->tensor = tensor_new (&lowered->scope, whole, 4, file->channels_last ? last : first, error);
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

/* The value as channels * 3 factors and an offset each; FALSE: it is nothing of the kind. */
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

/* Gives a value a layer of its own, which node is about to read. */
static gboolean
make_layer (Lowered *lowered, guint id, const OnnxNode *node, GError **error)
{
  Value *value = &lowered->values[id];
  const Tensor *x = value->tensor;
  guint producer = onnx_value (lowered->file, id)->producer, layer;
  const char *name = producer != ONNX_NONE ? onnx_node (lowered->file, producer)->name
                                           : onnx_value (lowered->file, id)->name;
  g_autofree float *factors = NULL, *offsets = NULL;

  if (x->is_int)
    return refuse (node, "reads the input's whole numbers, not cast to floats before", error);
  if (x->n_dims != 4 || x->dims[0] != 1 || x->dims[2] != HEIGHT || x->dims[3] != WIDTH)
    return refuse (node, "reads an image that is not [N, channels, height, width]", error);
  factors = g_new (float, 3 * (gsize) x->dims[1]);
  offsets = g_new (float, (gsize) x->dims[1]);
  if (!fit (x, factors, offsets))
    return refuse (producer != ONNX_NONE ? onnx_node (lowered->file, producer) : node,
        "makes of the input something that is no scale and offset of its channels", error);
  layer = yolo_graph_image (lowered->graph, name, (guint) x->dims[1],
      lowered->file->input_type == ONNX_UINT8, g_steal_pointer (&factors),
      g_steal_pointer (&offsets), error);
  if (layer != LAYER_NONE && value->grid.scale != 0)
    layer = yolo_graph_quant (lowered->graph, name, layer, value->grid, error);
  value->kind = VALUE_FEATURE;
  value->layer = layer;
  return layer != LAYER_NONE;
}

/* Operators that compute pixel by pixel, or move pixels. */
static gboolean
is_front (const OnnxNode *node)
{
  static const char *const ops[] = { "Add", "BatchNormalization", "Cast", "Concat",
    "DequantizeLinear", "Div", "Dropout", "Gather", "Identity", "Mul", "QuantizeLinear", "Reshape",
    "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", NULL };

  return node->standard && g_strv_contains (ops, node->op);
}

/* Also where a layer was made of it: others may go on from the picture. */
static gboolean
is_image (const Value *value)
{
  return value->kind == VALUE_IMAGE || (value->kind == VALUE_FEATURE && value->tensor != NULL);
}

/* Its size in the file: where the picture has its own, the input's. */
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
  out->tensor = tensor_shape (&lowered->scope, node, x->n_dims, dims, error);
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
    in[k] = is_image (value) ? value->tensor : lowered_constant (lowered, node->in[k], error);
    if (in[k] == NULL)
      return FALSE;
    if (value->quantizer != NULL)
      grid = value->grid;
  }
  if (strcmp (node->op, "QuantizeLinear") == 0) {
    lowered->quantized = TRUE;
    if (!lowered_grid (lowered, node, &grid))
      grid.scale = 0;
  }
  if (!tensor_eval (&lowered->scope, node, in, out, error))
    return FALSE;
  for (guint k = 0; k < node->n_out; k++) {
    Value *value;
    if (node->out[k] == ONNX_NONE) {
      g_clear_pointer (&out[k], tensor_unref);
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
image_node (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error)
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

/* What the numbers of the file's input are. */
typedef enum { RANGE_OPEN, RANGE_UNIT, RANGE_GREY } Range;

/* By what a channel's constants make of them, since networks are trained on
 * numbers of about 1: one that divides by 16 or more, or takes off a mean of more
 * than 1, wants 0 to 255; one that leaves them nearly as they are or spreads
 * them wants 0 to 1, as Ultralytics' files do. */
static Range
channel_range (float factor, float offset)
{
  float size = fabsf (factor);

  if (size <= 1.f / 16 || fabsf (offset) > size)
    return RANGE_GREY;
  return size >= .5f ? RANGE_UNIT : RANGE_OPEN;
}

/* What the input is and in which order its channels are. A file that reverses
 * them wants pictures as OpenCV has them, B G R: its first convolution then gets
 * R G B, on which Ultralytics trains. Either way channel c of the layer is made
 * of our channel c; *unit is what a grey level is in the file's input. */
static gboolean
settle (const Layer *layer, float *unit, GError **error)
{
  Range range = RANGE_OPEN;
  gboolean reversed = layer->channels == 3 && layer->weights[2] != 0;

  for (guint c = 0; c < layer->channels; c++) {
    guint from = reversed ? 2 - c : c;
    Range own;

    for (guint k = 0; k < 3; k++) {
      if (layer->channels != 3 || (layer->weights[3 * c + k] != 0) != (k == from))
        return yolo_network_fail (error, UNSUPPORTED,
            "node '%.100s' makes %u channels of the input that are neither "
            "R, G, B nor B, G, R; export a YOLOv8 detect model with Ultralytics",
            layer->name, layer->channels);
    }
    own = layer->whole ? RANGE_GREY : channel_range (layer->weights[3 * c + from], layer->bias[c]);
    if (own == RANGE_OPEN || (c > 0 && own != range))
      return yolo_network_fail (error, UNSUPPORTED,
          "node '%.100s' scales the input by %g in a way that does not tell "
          "whether it is 0 to 1 or 0 to 255; divide by 255 there, or leave the input as it is",
          layer->name, layer->weights[3 * c + from]);
    range = own;
  }
  *unit = range == RANGE_GREY ? 1 : 1 / 255.f;
  return TRUE;
}

/* What our grey levels are divided by, and what is added then. */
typedef struct {
  float divisor[3], offset[3];
  gboolean plain;               /* one divisor, nothing added */
} Affine;

static gboolean
affine_of (const Layer *layer, Affine *affine, GError **error)
{
  gboolean reversed = layer->channels == 3 && layer->weights[2] != 0;
  float unit;

  if (!settle (layer, &unit, error))
    return FALSE;
  affine->plain = TRUE;
  for (guint c = 0; c < 3; c++) {
    float factor = layer->weights[3 * c + (reversed ? 2 - c : c)];
    /* 255 itself where the file has the numbers of Ultralytics' */
    affine->divisor[c] = unit == 1 ? 1 / factor : 255 / factor;
    affine->offset[c] = layer->bias[c];
    affine->plain = affine->plain && affine->offset[c] == 0
        && fabsf (affine->divisor[c] - affine->divisor[0]) <= 1e-6f * affine->divisor[0];
  }
  return TRUE;
}

static gboolean
reads (const Layer *layer, guint index)
{
  for (guint k = 0; k < layer->n_in; k++) {
    if (layer->in[k] == index)
      return TRUE;
  }
  return layer->residual == index;
}

/* Whether all that reads a layer can take grey levels in its place. */
static gboolean
can_fold (const GArray *layers, guint index, const Affine *affine)
{
  for (guint i = index + 1; i < layers->len; i++) {
    const Layer *layer = layer_at (layers, i);
    const YoloConv *conv = &layer->conv;

    if (layer->uses == 0 || !reads (layer, index))
      continue;
    if (layer->type == LAYER_QUANT) {
      if (!affine->plain || affine->divisor[0] < 0 || !can_fold (layers, i, affine))
        return FALSE;
    } else if (layer->type != LAYER_CONV || layer->residual == index
        || (!affine->plain
            && (conv->groups != 1 || conv->weight_scale != NULL
                || layer_at (layers, index)->type == LAYER_QUANT))) {
      return FALSE;
    }
    for (guint c = 0; layer->type == LAYER_CONV && c < 3; c++) {
      if (affine->offset[c] != 0 && (conv->pad[0] > 0 || conv->pad[1] > 0))
        return FALSE;
    }
  }
  return TRUE;
}

/* Weights for grey levels in the place of what the file makes of them. */
static void
fold_conv (Layer *layer, const Affine *affine)
{
  gsize taps = (gsize) layer->conv.kernel[0] * layer->conv.kernel[1];
  guint n = layer->conv.in_channels / layer->conv.groups;       /* all alike in groups */

  for (guint o = 0; o < layer->channels; o++) {
    double sum = layer->bias[o];
    for (guint c = 0; c < n; c++) {
      float *weights = layer->weights + (o * n + c) * taps;
      for (gsize k = 0; k < taps; k++) {
        sum += (double) weights[k] * affine->offset[c];
        weights[k] /= affine->divisor[affine->plain ? 0 : c];
      }
    }
    layer->bias[o] = (float) sum;
    if (layer->weight_scale != NULL)
      layer->weight_scale[o] /= affine->divisor[0];
  }
}

static void
fold_readers (GArray *layers, guint index, const Affine *affine)
{
  for (guint i = index + 1; i < layers->len; i++) {
    Layer *layer = layer_at (layers, i);

    if (layer->uses == 0 || !reads (layer, index))
      continue;
    if (layer->type == LAYER_QUANT) {
      layer->grid.scale *= affine->divisor[0];
      fold_readers (layers, i, affine);
    } else {
      fold_conv (layer, affine);
    }
    if (layer_at (layers, index)->type == LAYER_IMAGE) {
      layer->in[0] = 0;
      layer_at (layers, 0)->uses++;
      layer_at (layers, index)->uses--;
    }
  }
}

static void
make_conv (Layer *layer, const Affine *affine)
{
  for (guint c = 0; c < 3; c++)
    layer->weights[c] = 1 / affine->divisor[c];
  layer->type = LAYER_CONV;
  layer->conv = (YoloConv){
    .in_channels = 3,
    .out_channels = 3,
    .groups = 3,
    .kernel = { 1, 1 },
    .stride = { 1, 1 },
    .dilation = { 1, 1 },
    .weights = layer->weights,
    .bias = layer->bias,
  };
}

gboolean
image_fold (GArray *layers, GError **error)
{
  guint n = 0;

  for (guint i = 1; i < layers->len; i++) {
    Layer *layer = layer_at (layers, i);
    Affine affine;

    if (layer->uses == 0 || layer->type != LAYER_IMAGE)
      continue;
    if (++n > MAX_IMAGES)
      return yolo_network_fail (error, UNSUPPORTED,
          "node '%.100s' makes something else of the input once more, which no "
          "YOLO does %d times",
          layer->name, MAX_IMAGES);
    if (!affine_of (layer, &affine, error))
      return FALSE;
    if (can_fold (layers, i, &affine))
      fold_readers (layers, i, &affine);
    else
      make_conv (layer, &affine);
  }
  return TRUE;
}
