/* SPDX-License-Identifier: MIT */
#include "network/graph.h"
#include "base/error.h"

#define MAX_PAD (255 * 255 / 2) /* pixels: half of the widest window, dilated */

static void
layer_clear (gpointer data)
{
  YoloLayer *layer = data;

  g_free (layer->name);
  g_free (layer->in);
  g_free (layer->weights);
  g_free (layer->bias);
  g_free (layer->weight_scale);
  g_free (layer->scale);
  g_free (layer->shift);
}

/* Sets the size of an operation's output; FALSE where it does not fit. */
static gboolean
op_size (YoloLayer *layer, const YoloLayer *in)
{
  const YoloOpTraits *traits = yolo_op_traits (layer->op);

  layer->height = in->height;
  layer->width = in->width;
  return traits->size == NULL || traits->size (&layer->numbers, &layer->height, &layer->width);
}

/* Whether all maps that a layer reads have the size of the first. */
static gboolean
same_sizes (const GArray *layers, const YoloLayer *layer)
{
  const YoloLayer *in = yolo_layer_at (layers, layer->in[0]);

  for (guint k = 1; k < layer->n_in; k++) {
    const YoloLayer *other = yolo_layer_at (layers, layer->in[k]);
    if (other->height != in->height || other->width != in->width)
      return FALSE;
  }
  return TRUE;
}

gboolean
yolo_layer_size (const GArray *layers, guint index, GError **error)
{
  YoloLayer *layer = yolo_layer_at (layers, index);
  const YoloLayer *in = layer->n_in > 0 ? yolo_layer_at (layers, layer->in[0]) : NULL;
  const YoloConv *conv = &layer->conv;
  gboolean fits = TRUE;

  switch (layer->type) {
    case YOLO_LAYER_INPUT:
      return TRUE;
    case YOLO_LAYER_CONV:
      layer->height = yolo_window_size (
          in->height, conv->kernel[0], conv->stride[0], conv->pad[0], conv->dilation[0]);
      layer->width = yolo_window_size (
          in->width, conv->kernel[1], conv->stride[1], conv->pad[1], conv->dilation[1]);
      fits = layer->height > 0 && layer->width > 0;
      break;
    case YOLO_LAYER_OP:
      fits = op_size (layer, in) && same_sizes (layers, layer);
      break;
    case YOLO_LAYER_IMAGE:
    case YOLO_LAYER_AFFINE:
    case YOLO_LAYER_CONCAT:
    case YOLO_LAYER_SLICE:
    case YOLO_LAYER_QUANT:
    case YOLO_LAYER_DEQUANT:
      layer->height = in->height;
      layer->width = in->width;
      fits = same_sizes (layers, layer);
      break;
  }
  if (layer->residual != YOLO_LAYER_NONE) {
    const YoloLayer *other = yolo_layer_at (layers, layer->residual);
    fits = fits && other->height == layer->height && other->width == layer->width;
  }
  if (!fits)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
        "node '%.100s' does not fit an input of %ux%u "
        "(width x height): its own inputs are %ux%u",
        layer->name, yolo_layer_at (layers, 0)->width, yolo_layer_at (layers, 0)->height, in->width,
        in->height);
  return TRUE;
}

YoloGraph *
yolo_graph_new (const char *input, guint height, guint width)
{
  YoloGraph *graph = g_new0 (YoloGraph, 1);
  YoloLayer *layer;

  g_assert (height > 0 && width > 0);
  graph->layers = g_array_new (FALSE, TRUE, sizeof (YoloLayer));
  g_array_set_clear_func (graph->layers, layer_clear);
  g_array_set_size (graph->layers, 1);
  layer = yolo_layer_at (graph->layers, 0);
  layer->type = YOLO_LAYER_INPUT;
  layer->name = g_strdup_printf ("%.200s", input);
  layer->residual = YOLO_LAYER_NONE;
  layer->channels = 3;
  layer->height = height;
  layer->width = width;
  graph->task = "detect";
  graph->height = graph->width = YOLO_DEFAULT_SIZE;
  return graph;
}

void
yolo_graph_free (YoloGraph *graph)
{
  if (graph == NULL)
    return;
  if (graph->layers != NULL)
    g_array_unref (graph->layers);
  g_free (graph->description);
  g_free (graph->sha256);
  if (graph->names != NULL)
    g_hash_table_unref (graph->names);
  g_free (graph);
}

/* Appends a layer with as many channels as its first input has. The caller sets what else
 * the layer is, then calls settle(). */
static YoloLayer *
append (YoloGraph *graph, YoloLayerType type, const char *name, guint n_in, const guint *in)
{
  GArray *layers = graph->layers;
  guint index = layers->len;
  YoloLayer *layer;

  for (guint k = 0; k < n_in; k++)
    g_assert (in[k] < index);
  g_array_set_size (layers, index + 1);
  layer = yolo_layer_at (layers, index);
  layer->type = type;
  layer->name = g_strdup_printf ("%.200s", name);
  layer->n_in = n_in;
  layer->in = g_memdup2 (in, n_in * sizeof *in);
  layer->below = type == YOLO_LAYER_QUANT ? yolo_layer_at (layers, in[0])->below : index;
  layer->residual = YOLO_LAYER_NONE;
  layer->channels = yolo_layer_at (layers, in[0])->channels;
  return layer;
}

/* Finds the size of the layer that was appended last. @problem: what is wrong with the
 * layer, or NULL. Returns the number of the layer, or YOLO_LAYER_NONE with @error. */
static guint
settle (YoloGraph *graph, const char *problem, GError **error)
{
  guint index = graph->layers->len - 1;

  if (problem != NULL) {
    yolo_network_set_error (error, YOLO_NETWORK_ERROR_FORMAT, "node '%.100s' %s",
        yolo_layer_at (graph->layers, index)->name, problem);
    return YOLO_LAYER_NONE;
  }
  return yolo_layer_size (graph->layers, index, error) ? index : YOLO_LAYER_NONE;
}

guint
yolo_graph_image (YoloGraph *graph, const char *name, guint channels, gboolean whole,
    float *factors, float *offsets, GError **error)
{
  guint input = 0;
  YoloLayer *layer = append (graph, YOLO_LAYER_IMAGE, name, 1, &input);

  layer->channels = channels;
  layer->whole = whole;
  layer->weights = factors;
  layer->bias = offsets;
  return settle (graph, channels == 0 ? "makes no channels of the input" : NULL, error);
}

guint
yolo_graph_conv (YoloGraph *graph, const char *name, guint in, const YoloConv *shape,
    float *weights, float *bias, float *weight_scale, GError **error)
{
  YoloLayer *layer = append (graph, YOLO_LAYER_CONV, name, 1, &in);
  const char *problem = NULL;

  if (shape->groups < 1 || shape->in_channels != layer->channels || shape->out_channels < 1
      || shape->in_channels % shape->groups != 0 || shape->out_channels % shape->groups != 0)
    problem = "has weights that do not fit its input's channels";
  for (guint d = 0; d < 2; d++) {
    if (!yolo_window_check (shape->kernel[d]) || !yolo_window_check (shape->stride[d])
        || !yolo_window_check (shape->dilation[d]) || shape->pad[d] > MAX_PAD)
      problem = "has an impossible window";
  }
  layer->channels = shape->out_channels;
  layer->weights = weights;
  layer->bias = bias;
  layer->weight_scale = weight_scale;
  layer->conv = *shape;
  layer->conv.weights = weights;
  layer->conv.bias = bias;
  layer->conv.weight_scale = weight_scale;
  layer->conv.int8 = NULL;
  return settle (graph, problem, error);
}

guint
yolo_graph_affine (
    YoloGraph *graph, const char *name, guint in, float *scale, float *shift, GError **error)
{
  YoloLayer *layer = append (graph, YOLO_LAYER_AFFINE, name, 1, &in);

  layer->scale = scale;
  layer->shift = shift;
  return settle (graph, NULL, error);
}

guint
yolo_graph_op (YoloGraph *graph, const char *name, YoloOpType op, const guint *in,
    const YoloOpNumbers *numbers, GError **error)
{
  const YoloOpTraits *traits = yolo_op_traits (op);
  YoloLayer *layer = append (graph, YOLO_LAYER_OP, name, traits->n_in, in);
  const char *problem = NULL;

  layer->op = op;
  layer->numbers = *numbers;
  for (guint k = 1; k < traits->n_in; k++) {
    if (yolo_layer_at (graph->layers, in[k])->channels != layer->channels)
      problem = "adds feature maps of different channels";
  }
  if (traits->check != NULL && !traits->check (numbers))
    problem = traits->problem;
  else if (traits->channels != NULL)
    layer->channels = traits->channels (numbers, layer->channels);
  if (layer->channels == 0)
    problem = traits->problem;
  return settle (graph, problem, error);
}

guint
yolo_graph_act (YoloGraph *graph, const char *name, guint in, YoloActivation act, GError **error)
{
  return yolo_graph_op (
      graph, name, YOLO_OP_ACT, &in, &(YoloOpNumbers) { .act = act }, error);
}

guint
yolo_graph_add (YoloGraph *graph, const char *name, guint a, guint b, GError **error)
{
  return yolo_graph_op (
      graph, name, YOLO_OP_ADD, (const guint[]) { a, b }, &(YoloOpNumbers) { 0 }, error);
}

guint
yolo_graph_max_pool (YoloGraph *graph, const char *name, guint in, guint kernel, guint stride,
    guint pad, GError **error)
{
  YoloOpNumbers numbers = { .kernel = kernel, .stride = stride, .pad = pad, .repeat = 1 };

  return yolo_graph_op (graph, name, YOLO_OP_MAX_POOL, &in, &numbers, error);
}

guint
yolo_graph_upsample (YoloGraph *graph, const char *name, guint in, guint factor, GError **error)
{
  return yolo_graph_op (
      graph, name, YOLO_OP_UPSAMPLE, &in, &(YoloOpNumbers) { .scale = factor }, error);
}

guint
yolo_graph_concat (YoloGraph *graph, const char *name, guint n_in, const guint *in, GError **error)
{
  guint64 channels = 0;
  YoloLayer *layer;

  g_assert (n_in > 0);
  layer = append (graph, YOLO_LAYER_CONCAT, name, n_in, in);
  for (guint k = 0; k < n_in; k++)
    channels += yolo_layer_at (graph->layers, in[k])->channels;
  layer->channels = (guint) MIN (channels, G_MAXINT32);
  return settle (graph, channels > G_MAXINT32 ? "has too many channels" : NULL, error);
}

guint
yolo_graph_slice (
    YoloGraph *graph, const char *name, guint in, guint begin, guint channels, GError **error)
{
  YoloLayer *layer = append (graph, YOLO_LAYER_SLICE, name, 1, &in);
  gboolean fits = channels > 0 && begin < layer->channels && channels <= layer->channels - begin;

  layer->begin = begin;
  layer->channels = channels;
  return settle (graph, fits ? NULL : "cuts out channels that its input does not have", error);
}

guint
yolo_graph_quant (YoloGraph *graph, const char *name, guint in, YoloGrid grid, GError **error)
{
  append (graph, YOLO_LAYER_QUANT, name, 1, &in)->grid = grid;
  return settle (graph, grid.scale > 0 ? NULL : "rounds to a scale that is not above 0", error);
}

/* Whether a map of so many channels can have the role. */
static gboolean
suits_role (YoloMapRole role, guint channels)
{
  switch (role) {
    case YOLO_MAP_BOX:
      return channels % 4 == 0 && channels >= 4 && channels <= 4 * YOLO_MAX_REG;
    case YOLO_MAP_ANGLE:
      return channels == 1;
    case YOLO_MAP_CLASS:
    case YOLO_MAP_COEFFICIENT:
    case YOLO_MAP_KEYPOINT:
    case YOLO_MAP_PROTOTYPE:
    case YOLO_MAP_LOGIT:
      return channels >= 1;
  }
  return FALSE;
}

/* What keeps an output of a level from being declared after @last, or NULL. */
static const char *
level_problem (const YoloOutput *last, const YoloOutput *output)
{
  guint previous = last != NULL ? last->level : 0;

  if (output->level >= YOLO_MAX_LEVELS)
    return "is one map of the head too many";
  if (last != NULL && !yolo_map_has_level (last->role))
    return "is a map of a level, behind one that belongs to no level";
  if (output->level != previous && (last == NULL || output->level != previous + 1))
    return "is not of the head's next level";
  if (last != NULL && output->level == previous
      && (output->role <= last->role || output->stride != last->stride))
    return "does not belong to its level of the head";
  if (last != NULL && output->level != previous && output->stride <= last->stride)
    return "is no smaller than the level before";
  return NULL;
}

/* What keeps an output that belongs to no level from being declared after @last, or NULL. */
static const char *
whole_problem (const YoloOutput *last, const YoloOutput *output, const YoloLayer *layer)
{
  if (output->level != 0 || (last != NULL && output->role <= last->role))
    return "is a second map of its kind in the head";
  if (output->role == YOLO_MAP_LOGIT && (layer->height != 1 || layer->width != 1))
    return "says what the whole image is, but has more than one pixel";
  return NULL;
}

/* What keeps an output from being declared after those that have been, or NULL. */
static const char *
output_problem (const YoloGraph *graph, const YoloOutput *output)
{
  const YoloLayer *input = yolo_layer_at (graph->layers, 0),
                  *layer = yolo_layer_at (graph->layers, output->layer);
  const YoloOutput *last = graph->n_outputs > 0 ? &graph->outputs[graph->n_outputs - 1] : NULL;
  const char *problem;

  if (graph->n_outputs == YOLO_MAX_OUTPUTS)
    return "is one map of the head too many";
  problem = yolo_map_has_level (output->role) ? level_problem (last, output)
                                              : whole_problem (last, output, layer);
  if (problem != NULL)
    return problem;
  if (output->role != YOLO_MAP_LOGIT
      && (output->stride * layer->height != input->height
          || output->stride * layer->width != input->width))
    return "is a map of the head whose size is no whole part of the input's";
  if (!suits_role (output->role, layer->channels))
    return "has channels that its map of the head cannot have";
  for (guint k = 0; k < graph->n_outputs; k++) {
    if (graph->outputs[k].role == output->role
        && yolo_layer_at (graph->layers, graph->outputs[k].layer)->channels != layer->channels)
      return "has other channels than the same map at another level";
  }
  return NULL;
}

gboolean
yolo_graph_output (YoloGraph *graph, YoloMapRole role, guint level, guint layer, GError **error)
{
  YoloOutput output = { role, level, 0, layer };
  const YoloLayer *map;
  const char *problem;

  g_assert (layer < graph->layers->len);
  map = yolo_layer_at (graph->layers, layer);
  output.stride = yolo_layer_at (graph->layers, 0)->height / map->height;
  problem = output_problem (graph, &output);
  if (problem != NULL)
    return yolo_network_fail (
        error, YOLO_NETWORK_ERROR_FORMAT, "node '%.100s' %s", map->name, problem);
  graph->outputs[graph->n_outputs++] = output;
  return TRUE;
}
