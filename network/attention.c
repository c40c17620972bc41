/* SPDX-License-Identifier: MIT */
#include "network/attention.h"
#include "base/error.h"

#include <string.h>

/* Which channel of a file's, whose heads stand one after the other with @each channels, is
 * channel @at of all queries, all keys and all values. */
static guint
file_channel (guint at, guint heads, guint key, guint each)
{
  guint value = each - 2 * key, keys = heads * key;

  if (at < keys)
    return at / key * each + at % key;
  at -= keys;
  if (at < keys)
    return at / key * each + key + at % key;
  at -= keys;
  return at / value * each + 2 * key + at % value;
}

/* A copy of @n numbers for each channel of a layer, in the order of the operation. */
static float *
reorder (const YoloLayer *layer, const float *numbers, gsize n, guint heads, guint key)
{
  float *copy = g_new (float, layer->channels * n);

  for (guint c = 0; c < layer->channels; c++) {
    guint from = file_channel (c, heads, key, layer->channels / heads);

    memcpy (copy + c * n, numbers + from * n, n * sizeof (float));
  }
  return copy;
}

/* The layer itself, or, since the operation reads floats and a quantiser in front of it would
 * round for nobody, the one that a quantiser reads. */
static const YoloLayer *
below_quants (const YoloGraph *graph, guint index)
{
  const YoloLayer *layer = yolo_layer_at (graph->layers, index);

  while (layer->type == YOLO_LAYER_QUANT)
    layer = yolo_layer_at (graph->layers, layer->in[0]);
  return layer;
}

static guint
copy_conv (YoloGraph *graph, const char *name, const YoloLayer *old, guint heads, guint key,
    GError **error)
{
  const YoloConv conv = old->conv;
  gsize taps = (gsize) conv.in_channels * conv.kernel[0] * conv.kernel[1];
  gboolean from_zero = old->from_zero;
  guint copy;

  if (old->type != YOLO_LAYER_CONV || conv.groups != 1 || conv.act != YOLO_ACT_NONE) {
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "node '%.100s' takes queries, keys and values from '%.100s', which is not supported: "
        "it must be a convolution without groups or activation",
        name, old->name);
    return YOLO_LAYER_NONE;
  }
  copy = yolo_graph_conv (graph, name, old->in[0], &conv,
      reorder (old, old->weights, taps, heads, key), reorder (old, old->bias, 1, heads, key),
      old->weight_scale != NULL ? reorder (old, old->weight_scale, 1, heads, key) : NULL, error);
  if (copy != YOLO_LAYER_NONE)
    yolo_layer_at (graph->layers, copy)->from_zero = from_zero;
  return copy;
}

guint
yolo_attention_order (
    YoloGraph *graph, const char *name, guint in, guint heads, guint key, GError **error)
{
  const YoloLayer *layer = below_quants (graph, in);
  g_autofree float *scale = NULL, *shift = NULL;
  guint copy;

  if (heads < 1 || key < 1 || layer->channels % heads != 0
      || layer->channels / heads / 2 < key || layer->channels / heads == 2 * key) {
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_FORMAT,
        "node '%.100s' has heads that do not fit its input's channels", name);
    return YOLO_LAYER_NONE;
  }
  if (layer->type != YOLO_LAYER_AFFINE)
    return copy_conv (graph, name, layer, heads, key, error);
  scale = reorder (layer, layer->scale, 1, heads, key);
  shift = reorder (layer, layer->shift, 1, heads, key);
  copy = copy_conv (graph, name, below_quants (graph, layer->in[0]), heads, key, error);
  return copy == YOLO_LAYER_NONE
      ? YOLO_LAYER_NONE
      : yolo_graph_affine (
          graph, name, copy, g_steal_pointer (&scale), g_steal_pointer (&shift), error);
}

guint
yolo_attention_values (
    YoloGraph *graph, const char *name, guint ordered, guint heads, guint key, GError **error)
{
  guint begin = 2 * heads * key;

  return yolo_graph_slice (graph, name, ordered, begin,
      yolo_layer_at (graph->layers, ordered)->channels - begin, error);
}

/* Multiplies the first channels of a layer. */
static void
multiply (YoloLayer *layer, guint channels, float factor)
{
  gsize taps = layer->type == YOLO_LAYER_CONV
      ? (gsize) layer->conv.in_channels * layer->conv.kernel[0] * layer->conv.kernel[1]
      : 0;

  for (guint c = 0; c < channels; c++) {
    if (layer->type == YOLO_LAYER_AFFINE) {
      layer->scale[c] *= factor;
      layer->shift[c] *= factor;
      continue;
    }
    for (gsize k = 0; k < taps; k++)
      layer->weights[c * taps + k] *= factor;
    layer->bias[c] *= factor;
    if (layer->weight_scale != NULL)
      layer->weight_scale[c] *= factor;
  }
}

guint
yolo_attention_finish (YoloGraph *graph, const char *name, guint ordered,
    const YoloOpNumbers *numbers, float factor, GError **error)
{
  for (guint i = ordered; i < graph->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (graph->layers, i);

    if (yolo_layer_is (layer, YOLO_OP_ATTENTION) && layer->in[0] == ordered) {
      yolo_network_set_error (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
          "node '%.100s' makes a second attention of the same queries and keys, which is not "
          "supported",
          name);
      return YOLO_LAYER_NONE;
    }
  }
  multiply (yolo_layer_at (graph->layers, ordered), numbers->heads * numbers->key, factor);
  return yolo_graph_op (graph, name, YOLO_OP_ATTENTION, &ordered, numbers, error);
}
