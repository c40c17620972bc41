/* SPDX-License-Identifier: MIT */
#include "network/compose.h"
#include "base/error.h"

#include <string.h>

#define MAX_NUMBERS ((gsize) 1 << 30)   /* weights of one convolution */

static const YoloConv one_pixel = {
  .groups = 1, .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }
};

/* How many channels a layer has, where @each weights for one of them can be made; else 0 with
 * @error. */
static gsize
count_channels (
    const YoloGraph *graph, const char *name, guint in, gsize each, GError **error)
{
  gsize channels = yolo_layer_at (graph->layers, in)->channels;

  if (each > 0 && each <= MAX_NUMBERS / channels)
    return channels;
  yolo_network_set_error (
      error, YOLO_NETWORK_ERROR_FORMAT, "node '%.100s' has an impossible size", name);
  return 0;
}

guint
yolo_compose_conv_transpose (YoloGraph *graph, const char *name, guint in, guint scale,
    guint channels, const float *weights, const float *bias, GError **error)
{
  gsize window = (gsize) scale * scale, out = (gsize) channels * window, from;
  YoloOpNumbers numbers = { .scale = scale };
  YoloConv conv = one_pixel;
  float *w, *b;

  if (scale < 1 || scale > YOLO_MAX_SCALE) {
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "node '%.100s' enlarges by a factor that is not supported", name);
    return YOLO_LAYER_NONE;
  }
  from = count_channels (graph, name, in, out, error);
  if (from == 0)
    return YOLO_LAYER_NONE;
  w = g_new (float, out * from);
  b = g_new0 (float, out);
  for (gsize o = 0; o < out; o++) {
    gsize pixel = o / channels, c = o % channels;

    for (gsize k = 0; k < from; k++)
      w[o * from + k] = weights[(k * channels + c) * window + pixel];
    b[o] = bias != NULL ? bias[c] : 0;
  }
  conv.in_channels = (guint) from;
  conv.out_channels = (guint) out;
  in = yolo_graph_conv (graph, name, in, &conv, w, b, NULL, error);
  return in != YOLO_LAYER_NONE
      ? yolo_graph_op (graph, name, YOLO_OP_SHUFFLE, &in, &numbers, error)
      : YOLO_LAYER_NONE;
}

guint
yolo_compose_average_pool (YoloGraph *graph, const char *name, guint in, guint kernel,
    guint stride, guint pad, GError **error)
{
  gsize window = (gsize) kernel * kernel;
  gsize channels = count_channels (graph, name, in, window, error);
  YoloConv conv = { .in_channels = (guint) channels, .out_channels = (guint) channels,
    .groups = (guint) channels, .kernel = { kernel, kernel }, .stride = { stride, stride },
    .pad = { pad, pad }, .dilation = { 1, 1 } };
  float *weights;

  if (channels == 0)
    return YOLO_LAYER_NONE;
  weights = g_new (float, window * channels);
  for (gsize i = 0; i < window * channels; i++)
    weights[i] = 1.f / (float) window;
  return yolo_graph_conv (
      graph, name, in, &conv, weights, g_new0 (float, channels), NULL, error);
}

guint
yolo_compose_linear (YoloGraph *graph, const char *name, guint in, guint channels,
    const float *weights, const float *bias, GError **error)
{
  const YoloLayer *layer = yolo_layer_at (graph->layers, in);
  gsize from = count_channels (graph, name, in, channels, error);
  YoloConv conv = one_pixel;

  if (from == 0)
    return YOLO_LAYER_NONE;
  if (layer->height != 1 || layer->width != 1) {
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
        "node '%.100s' connects all pixels of a map, which fits one size of input only and is "
        "not supported",
        name);
    return YOLO_LAYER_NONE;
  }
  conv.in_channels = (guint) from;
  conv.out_channels = channels;
  return yolo_graph_conv (graph, name, in, &conv,
      g_memdup2 (weights, from * channels * sizeof (float)),
      bias != NULL ? g_memdup2 (bias, channels * sizeof (float)) : g_new0 (float, channels), NULL,
      error);
}

guint
yolo_compose_prelu (
    YoloGraph *graph, const char *name, guint in, const float *slopes, GError **error)
{
  guint channels = yolo_layer_at (graph->layers, in)->channels, relu, part[2];
  YoloOpNumbers leaky = { .act = YOLO_ACT_LEAKY_RELU, .alpha = slopes[0] };
  gboolean same = TRUE;

  for (guint c = 1; c < channels; c++)
    same &= slopes[c] == slopes[0];
  if (same)
    return yolo_graph_op (graph, name, YOLO_OP_ACT, &in, &leaky, error);

  /* it is slope * x + (1 - slope) * max (x, 0) */
  relu = yolo_graph_act (graph, name, in, YOLO_ACT_RELU, error);
  if (relu == YOLO_LAYER_NONE)
    return YOLO_LAYER_NONE;
  for (guint k = 0; k < 2; k++) {
    float *scale = g_new (float, channels), *shift = g_new0 (float, channels);

    for (guint c = 0; c < channels; c++)
      scale[c] = k == 0 ? slopes[c] : 1 - slopes[c];
    part[k] = yolo_graph_affine (graph, name, k == 0 ? in : relu, scale, shift, error);
    if (part[k] == YOLO_LAYER_NONE)
      return YOLO_LAYER_NONE;
  }
  return yolo_graph_add (graph, name, part[0], part[1], error);
}
