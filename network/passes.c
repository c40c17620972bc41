/* SPDX-License-Identifier: MIT */
#include "network/passes.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* Limits of one network, many times what the largest YOLO has. Plans and 8-bit models take
 * time by the square of the number of layers, and memory by the channels. */
#define MAX_LAYERS 10000
#define MAX_INPUTS 40000        /* sum over all layers */
#define MAX_CHANNELS ((guint64) 1 << 24)        /* sum over all layers */

typedef struct {
  GArray *layers;               /* of YoloLayer: the graph's */
  YoloOutput *outputs;          /* the graph's */
  guint n_outputs;
  /* [layers]: the layer that stands for each now, itself where nothing does */
  guint *replaced;
} Passes;

static void
use (Passes *passes, guint *layer, gint by)
{
  *layer = passes->replaced[*layer];
  yolo_layer_at (passes->layers, *layer)->uses += by;
}

/* Counts the uses of all layers anew, from the outputs back. A layer without uses is dead. */
static void
count_uses (Passes *passes)
{
  for (guint i = 0; i < passes->layers->len; i++)
    yolo_layer_at (passes->layers, i)->uses = 0;
  for (guint k = 0; k < passes->n_outputs; k++)
    use (passes, &passes->outputs[k].layer, 1);
  for (guint i = passes->layers->len; i-- > 0;) {
    YoloLayer *layer = yolo_layer_at (passes->layers, i);

    if (layer->uses == 0)
      continue;
    for (guint k = 0; k < layer->n_in; k++)
      use (passes, &layer->in[k], 1);
    if (layer->residual != YOLO_LAYER_NONE)
      use (passes, &layer->residual, 1);
  }
}

/* The convolution that makes input k of a layer, if nothing else reads it and it has no
 * residual; else NULL. */
static YoloLayer *
plain_conv_before (const Passes *passes, const YoloLayer *layer, guint k)
{
  YoloLayer *before = yolo_layer_at (passes->layers, layer->in[k]);

  return before->type == YOLO_LAYER_CONV && before->uses == 1 && before->residual == YOLO_LAYER_NONE
      ? before
      : NULL;
}

/* Lets layer `by` stand for layer `index` wherever that is read. */
static void
replace (Passes *passes, guint index, guint by)
{
  passes->replaced[index] = by;
  yolo_layer_at (passes->layers, by)->uses = yolo_layer_at (passes->layers, index)->uses;
}

/* Whether a layer reads this input in a way that will be folded into the
 * convolution that makes it. */
static gboolean
folds_input (const Passes *passes, const YoloLayer *layer, guint k)
{
  guint other;

  if (yolo_layer_is (layer, YOLO_OP_ACT) || layer->type == YOLO_LAYER_AFFINE)
    return TRUE;
  if (!yolo_layer_is (layer, YOLO_OP_ADD))
    return FALSE;
  other = yolo_layer_at (passes->layers, layer->in[1 - k])->below;
  return yolo_layer_at (passes->layers, layer->in[k])->below > other;
}

/* Takes out the quantisers that would keep a convolution apart from its activation, its
 * residual or an output; int8 models round there without a map for it. Takes out the
 * second of two equal quantisers, too. */
static void
drop_quants (Passes *passes)
{
  g_autofree gboolean *keep = g_new0 (gboolean, passes->layers->len);

  /* the outputs are layers in front of quantisers; behind the quantiser only the tail reads */
  for (guint i = 0; i < passes->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (passes->layers, i);
    for (guint k = 0; layer->type == YOLO_LAYER_QUANT && k < passes->n_outputs; k++) {
      if (layer->in[0] == passes->outputs[k].layer)
        yolo_layer_at (passes->layers, layer->in[0])->sum_grid = layer->grid;
    }
  }
  count_uses (passes);
  for (guint i = 0; i < passes->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (passes->layers, i);

    for (guint k = 0; layer->uses > 0 && k < layer->n_in; k++)
      keep[layer->in[k]] |= !folds_input (passes, layer, k);
  }
  for (guint i = 0; i < passes->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (passes->layers, i);
    YoloLayer *below;

    if (layer->type != YOLO_LAYER_QUANT)
      continue;
    below = yolo_layer_at (passes->layers, layer->in[0]);
    if (below->type == YOLO_LAYER_QUANT
            ? memcmp (&below->grid, &layer->grid, sizeof below->grid) == 0
            : !keep[i] && below->uses == 1
                && (below->type == YOLO_LAYER_CONV || yolo_layer_is (below, YOLO_OP_ACT)
                    || below->type == YOLO_LAYER_AFFINE)) {
      passes->replaced[i] = passes->replaced[layer->in[0]];
      if (below->type == YOLO_LAYER_CONV)
        below->sum_grid = layer->grid;
      else if (yolo_layer_is (below, YOLO_OP_ACT))
        below->act_grid = layer->grid;
    }
  }
}

/* Makes one affine layer of two that follow each other, so that only one goes through the
 * weights of the convolution in front of them. */
static void
merge_affine (Passes *passes, guint index)
{
  YoloLayer *layer = yolo_layer_at (passes->layers, index),
            *before = yolo_layer_at (passes->layers, layer->in[0]);

  if (before->type != YOLO_LAYER_AFFINE || before->uses != 1)
    return;
  for (guint c = 0; c < layer->channels; c++) {
    layer->shift[c] += layer->scale[c] * before->shift[c];
    layer->scale[c] *= before->scale[c];
  }
  layer->in[0] = before->in[0];
}

/* Whether a layer hands on what it reads: factors that a file divides by again. */
static gboolean
is_identity (const YoloLayer *affine)
{
  for (guint c = 0; c < affine->channels; c++) {
    if (affine->scale[c] != 1 || affine->shift[c] != 0)
      return FALSE;
  }
  return TRUE;
}

/* Makes conv (x) * scale + shift another convolution. Where no convolution precedes, the
 * layer becomes one of one pixel with a group for each channel. */
static void
fold_affine (Passes *passes, guint index)
{
  YoloLayer *layer = yolo_layer_at (passes->layers, index),
            *conv = plain_conv_before (passes, layer, 0);

  if (is_identity (layer)) {
    passes->replaced[index] = layer->in[0];
    yolo_layer_at (passes->layers, layer->in[0])->uses += layer->uses - 1;
    return;
  }
  if (conv != NULL && conv->conv.act == YOLO_ACT_NONE) {
    gsize per_channel = (gsize) conv->conv.in_channels / conv->conv.groups * conv->conv.kernel[0]
        * conv->conv.kernel[1];
    for (guint c = 0; c < conv->channels; c++) {
      for (gsize k = 0; k < per_channel; k++)
        conv->weights[c * per_channel + k] *= layer->scale[c];
      conv->bias[c] = conv->bias[c] * layer->scale[c] + layer->shift[c];
      if (conv->weight_scale != NULL)
        conv->weight_scale[c] *= layer->scale[c];
    }
    replace (passes, index, layer->in[0]);
    return;
  }
  layer->type = YOLO_LAYER_CONV;
  layer->weights = g_steal_pointer (&layer->scale);
  layer->bias = g_steal_pointer (&layer->shift);
  layer->conv = (YoloConv) {
    .in_channels = layer->channels, .out_channels = layer->channels, .groups = layer->channels,
    .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1},
    .weights = layer->weights, .bias = layer->bias,
  };
}

/* Whether the windows of @small lie in the middle of those of @large. */
static gboolean
fits_into (const YoloConv *small, const YoloConv *large)
{
  for (guint d = 0; d < 2; d++) {
    guint border = (large->kernel[d] - small->kernel[d]) / 2;

    if (small->kernel[d] > large->kernel[d] || small->kernel[d] + 2 * border != large->kernel[d]
        || small->pad[d] + border != large->pad[d] || small->stride[d] != large->stride[d]
        || small->dilation[d] != 1 || large->dilation[d] != 1)
      return FALSE;
  }
  return small->groups == large->groups;
}

/* Whether a convolution is nothing but its weights and its bias, of no 8-bit file. */
static gboolean
is_bare (const YoloLayer *conv)
{
  return conv != NULL && conv->conv.act == YOLO_ACT_NONE && conv->weight_scale == NULL
      && !conv->from_zero && conv->sum_grid.scale == 0;
}

/* Makes one convolution of two of the same input that are added up: branches that are kept apart
 * for training alone. */
static void
merge_convs (Passes *passes, guint index)
{
  const YoloLayer *layer = yolo_layer_at (passes->layers, index);
  YoloLayer *pair[2];

  for (guint k = 0; k < 2; k++)
    pair[k] = plain_conv_before (passes, layer, k);
  if (!is_bare (pair[0]) || !is_bare (pair[1])
      || passes->replaced[pair[0]->in[0]] != passes->replaced[pair[1]->in[0]])
    return;
  for (guint k = 0; k < 2; k++) {
    const YoloConv *small = &pair[1 - k]->conv, *large = &pair[k]->conv;
    guint top = (large->kernel[0] - small->kernel[0]) / 2,
          left = (large->kernel[1] - small->kernel[1]) / 2;
    gsize rows =
        (gsize) small->out_channels * (small->in_channels / small->groups) * small->kernel[0];

    if (!fits_into (small, large))
      continue;
    for (gsize r = 0; r < rows; r++) {
      gsize plane = r / small->kernel[0], row = r % small->kernel[0] + top;
      for (guint x = 0; x < small->kernel[1]; x++)
        pair[k]->weights[(plane * large->kernel[0] + row) * large->kernel[1] + left + x] +=
            small->weights[r * small->kernel[1] + x];
    }
    for (guint c = 0; c < small->out_channels; c++)
      pair[k]->bias[c] += small->bias[c];
    replace (passes, index, layer->in[k]);
    return;
  }
}

static void
fold_act (Passes *passes, guint index)
{
  YoloLayer *layer = yolo_layer_at (passes->layers, index),
            *conv = plain_conv_before (passes, layer, 0);

  if (conv == NULL || conv->conv.act != YOLO_ACT_NONE)
    return;
  conv->conv.act = layer->numbers.act;
  conv->conv.alpha = layer->numbers.alpha;
  conv->conv.beta = layer->numbers.beta;
  conv->sigmoid_grid = layer->sigmoid_grid;
  conv->act_grid = layer->act_grid;
  replace (passes, index, layer->in[0]);
}

/* Exporters leave out the ReLU between a convolution and a quantiser whose range begins at
 * 0, since the range clips as well. Where the range goes, the ReLU comes back. */
static void
restore_relu (Passes *passes, guint index)
{
  YoloLayer *layer = yolo_layer_at (passes->layers, index);

  for (guint k = 0; k < passes->n_outputs; k++) {
    if (passes->replaced[passes->outputs[k].layer] == index)
      return;
  }
  if (layer->from_zero && layer->conv.act == YOLO_ACT_NONE)
    layer->conv.act = YOLO_ACT_RELU;
}

/* Folds act (conv (x) + bias) + other into one convolution: the one of the two inputs that
 * comes later, so that the other exists by then. */
static void
fold_add (Passes *passes, guint index)
{
  YoloLayer *layer = yolo_layer_at (passes->layers, index);
  guint later = layer->in[1] > layer->in[0] ? 1 : 0;
  YoloLayer *conv = plain_conv_before (passes, layer, later);

  if (conv == NULL || layer->in[0] == layer->in[1])
    return;
  conv->residual = layer->in[1 - later];
  replace (passes, index, layer->in[later]);
}

/* Calls the function for each live layer of a type; of the type YOLO_LAYER_OP, of an operation. */
static void
fold (Passes *passes, YoloLayerType type, YoloOpType op,
    void (*function) (Passes *passes, guint index))
{
  count_uses (passes);
  for (guint i = 0; i < passes->layers->len; i++) {
    YoloLayer *layer = yolo_layer_at (passes->layers, i);

    if (layer->uses == 0 || layer->type != type || (type == YOLO_LAYER_OP && layer->op != op))
      continue;
    for (guint k = 0; k < layer->n_in; k++)
      layer->in[k] = passes->replaced[layer->in[k]];
    function (passes, i);
  }
}

static gsize
n_weights (const YoloConv *conv)
{
  return (gsize) conv->out_channels * (conv->in_channels / conv->groups) * conv->kernel[0]
      * conv->kernel[1];
}

/* Refuses weights that are not finite: the file's numbers are, but their products need not
 * be. */
static gboolean
check_finite (const Passes *passes, GError **error)
{
  for (guint i = 1; i < passes->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (passes->layers, i);
    gboolean finite = TRUE;

    if (layer->uses == 0 || layer->type != YOLO_LAYER_CONV)
      continue;
    for (gsize k = 0; k < n_weights (&layer->conv); k++)
      finite &= isfinite (layer->weights[k]) != 0;
    for (guint k = 0; k < layer->channels; k++)
      finite &= isfinite (layer->bias[k]) != 0;
    if (!finite)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_FORMAT,
          "node '%.100s' has weights that are too large; "
          "the training diverged or the file is damaged",
          layer->name);
  }
  return TRUE;
}

/* Refuses outputs that are not made by a convolution alone that nothing else reads: back
 * ends keep the maps in another type. Prototypes have an activation. */
static gboolean
check_maps (const Passes *passes, GError **error)
{
  for (guint k = 0; k < passes->n_outputs; k++) {
    const YoloLayer *layer = yolo_layer_at (passes->layers, passes->outputs[k].layer);
    gboolean act = layer->conv.act != YOLO_ACT_NONE;

    if (layer->type != YOLO_LAYER_CONV || (act && passes->outputs[k].role != YOLO_MAP_PROTOTYPE)
        || layer->residual != YOLO_LAYER_NONE || layer->uses != 1)
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
          "node '%.100s' makes a map of the head, but is "
          "no plain convolution that only the head reads; export the model with Ultralytics",
          layer->name);
  }
  return TRUE;
}

/* Takes the dead layers out and numbers the others anew. */
static void
compact (Passes *passes)
{
  GArray *layers = passes->layers;
  g_autofree guint *number = g_new0 (guint, layers->len);
  guint n = 0;

  for (guint i = 0; i < layers->len; i++) {
    YoloLayer *layer = yolo_layer_at (layers, i), dropped;

    if (i > 0 && layer->uses == 0)
      continue;
    for (guint k = 0; k < layer->n_in; k++)
      layer->in[k] = number[layer->in[k]];
    if (layer->residual != YOLO_LAYER_NONE)
      layer->residual = number[layer->residual];
    number[i] = n;
    if (n != i) {
      dropped = *yolo_layer_at (layers, n);
      *yolo_layer_at (layers, n) = *layer;
      *layer = dropped;
    }
    n++;
  }
  g_array_set_size (layers, n);
  for (guint k = 0; k < passes->n_outputs; k++)
    passes->outputs[k].layer = number[passes->outputs[k].layer];
}

static gboolean
check_extent (const GArray *layers, GError **error)
{
  guint64 inputs = 0, channels = 0;

  for (guint i = 0; i < layers->len; i++) {
    inputs += yolo_layer_at (layers, i)->n_in;
    channels += yolo_layer_at (layers, i)->channels;
  }
  if (layers->len <= MAX_LAYERS && inputs <= MAX_INPUTS && channels <= MAX_CHANNELS)
    return TRUE;
  return yolo_network_fail (error, YOLO_NETWORK_ERROR_UNSUPPORTED,
      "the network has %u layers with %" G_GUINT64_FORMAT " inputs and %" G_GUINT64_FORMAT
      " channels, which no YOLO has: %d, %d and %" G_GUINT64_FORMAT " are supported",
      layers->len, inputs, channels, MAX_LAYERS, MAX_INPUTS, MAX_CHANNELS);
}

gboolean
yolo_passes_run (YoloGraph *graph, GError **error)
{
  GArray *layers = graph->layers;
  g_autofree guint *replaced = g_new (guint, layers->len);
  Passes passes = { layers, graph->outputs, graph->n_outputs, replaced };

  for (guint i = 0; i < layers->len; i++)
    replaced[i] = i;
  drop_quants (&passes);
  fold (&passes, YOLO_LAYER_AFFINE, YOLO_OP_CONV, merge_affine);
  fold (&passes, YOLO_LAYER_AFFINE, YOLO_OP_CONV, fold_affine);
  fold (&passes, YOLO_LAYER_OP, YOLO_OP_ADD, merge_convs);
  fold (&passes, YOLO_LAYER_OP, YOLO_OP_ACT, fold_act);
  fold (&passes, YOLO_LAYER_CONV, YOLO_OP_CONV, restore_relu);
  fold (&passes, YOLO_LAYER_OP, YOLO_OP_ADD, fold_add);
  count_uses (&passes);
  if (!yolo_passes_fold_image (layers, error) || !check_finite (&passes, error)
      || !check_maps (&passes, error))
    return FALSE;
  compact (&passes);
  return check_extent (layers, error);
}
