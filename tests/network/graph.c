/* SPDX-License-Identifier: MIT */
/* A network that no file holds, built layer by layer: a model and a plan of it
 * compute what its layers say, and what does not fit is refused. */

#include "network/graph.h"
#include "network/model.h"
#include "network/plan.h"
#include "backend/reference.h"
#include "tests/activations.h"

#include <math.h>
#include <string.h>

#define SIZE 16                 /* pixels of the input's sides */
#define MAX_LAYERS 40

/* A graph, and beside it what each of its layers computes from one picture, in
 * double, by the definitions of graph.h. */
typedef struct {
  YoloGraph *graph;
  double *maps[MAX_LAYERS];     /* [channels][height][width], by layer */
  guint32 random;
} Net;

static double
draw (Net *net, double low, double high)
{
  net->random = net->random * 1664525u + 1013904223u;
  return low + (high - low) * (net->random >> 8) / (1 << 24);
}

static const YoloLayer *
layer_of (const Net *net, guint layer)
{
  g_assert_cmpuint (layer, <, net->graph->layers->len);
  return yolo_layer_at (net->graph->layers, layer);
}

static double
at (const Net *net, guint layer, guint c, guint y, guint x)
{
  const YoloLayer *l = layer_of (net, layer);
  return net->maps[layer][((gsize) c * l->height + y) * l->width + x];
}

/* Computes one pixel of a new layer. */
typedef double (*PixelFunc) (const Net *net, const YoloLayer *layer, guint c, guint y, guint x);

static guint
compute (Net *net, guint layer, PixelFunc pixel)
{
  const YoloLayer *l = layer_of (net, layer);
  double *to = net->maps[layer] = g_new (double, (gsize) l->channels * l->height * l->width);

  for (guint c = 0; c < l->channels; c++)
    for (guint y = 0; y < l->height; y++)
      for (guint x = 0; x < l->width; x++)
        *to++ = pixel (net, l, c, y, x);
  return layer;
}

static double
input_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return (double) ((c * 83 + y * 29 + x * 47) % 256);
}

static double
image_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return at (net, 0, c, y, x) / 255;
}

static double
conv_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  const YoloConv *conv = &layer->conv;
  const YoloLayer *in = layer_of (net, layer->in[0]);
  guint n = conv->in_channels / conv->groups, first = c / (conv->out_channels / conv->groups) * n;
  double sum = layer->bias[c];

  for (guint i = 0; i < n; i++) {
    for (guint ky = 0; ky < conv->kernel[0]; ky++) {
      for (guint kx = 0; kx < conv->kernel[1]; kx++) {
        guint iy = y * conv->stride[0] + ky * conv->dilation[0] - conv->pad[0],
              ix = x * conv->stride[1] + kx * conv->dilation[1] - conv->pad[1];
        if (iy < in->height && ix < in->width)  /* indices below 0 wrap and are huge */
          sum += layer->weights[((c * n + i) * conv->kernel[0] + ky) * conv->kernel[1] + kx]
              * at (net, layer->in[0], first + i, iy, ix);
      }
    }
  }
  return test_activate (conv->act, conv->alpha, conv->beta, sum);
}

static double
affine_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return at (net, layer->in[0], c, y, x) * layer->scale[c] + layer->shift[c];
}

static double
act_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return test_activate (layer->numbers.act, layer->numbers.alpha, layer->numbers.beta,
      at (net, layer->in[0], c, y, x));
}

static double
add_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return at (net, layer->in[0], c, y, x) + at (net, layer->in[1], c, y, x);
}

static double
pool_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  const YoloLayer *in = layer_of (net, layer->in[0]);
  double most = -INFINITY;

  for (guint k = 0; k < layer->numbers.kernel * layer->numbers.kernel; k++) {
    guint iy = y * layer->numbers.stride + k / layer->numbers.kernel - layer->numbers.pad,
          ix = x * layer->numbers.stride + k % layer->numbers.kernel - layer->numbers.pad;
    if (iy < in->height && ix < in->width)
      most = MAX (most, at (net, layer->in[0], c, iy, ix));
  }
  return most;
}

static double
upsample_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return at (net, layer->in[0], c, y / layer->numbers.scale, x / layer->numbers.scale);
}

static double
concat_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  guint k = 0;

  while (c >= layer_of (net, layer->in[k])->channels)
    c -= layer_of (net, layer->in[k++])->channels;
  return at (net, layer->in[k], c, y, x);
}

static double
slice_pixel (const Net *net, const YoloLayer *layer, guint c, guint y, guint x)
{
  return at (net, layer->in[0], layer->begin + c, y, x);
}

static float *
numbers (Net *net, gsize n, double low, double high)
{
  float *to = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    to[i] = (float) draw (net, low, high);
  return to;
}

/* Adds a convolution of kernel x kernel pixels, padded so that a stride of 1 keeps the
 * size. */
static guint
add_conv (Net *net, const char *name, guint in, guint channels, guint kernel, guint stride,
    guint groups, YoloActivation act)
{
  guint from = layer_of (net, in)->channels;
  YoloConv conv = { .in_channels = from,
    .out_channels = channels,
    .groups = groups,
    .kernel = { kernel, kernel },
    .stride = { stride, stride },
    .pad = { kernel / 2, kernel / 2 },
    .dilation = { 1, 1 },
    .act = act };
  gsize n = (gsize) channels * (from / groups) * kernel * kernel;

  return compute (net,
      yolo_graph_conv (net->graph, name, in, &conv, numbers (net, n, -.5, .5),
          numbers (net, channels, -.2, .2), NULL, NULL),
      conv_pixel);
}

static guint
add_affine (Net *net, const char *name, guint in, float *scale, float *shift)
{
  return compute (
      net, yolo_graph_affine (net->graph, name, in, scale, shift, NULL), affine_pixel);
}

/* A convolution that is read as it is, by factors of 1, and with others. */
static guint
add_fork (Net *net, guint in)
{
  guint fork = add_conv (net, "fork", in, 6, 1, 2, 2, YOLO_ACT_NONE), same, changed;
  float *ones = g_new (float, 6);

  for (guint c = 0; c < 6; c++)
    ones[c] = 1;
  same = add_affine (net, "same", fork, ones, g_new0 (float, 6));
  changed = add_affine (net, "changed", fork, numbers (net, 6, .5, 2), numbers (net, 6, -1, 1));
  return compute (net, yolo_graph_add (net->graph, "forked", same, changed, NULL), add_pixel);
}

/* Ends a level in a map of boxes, two bins a side, and a map of three classes. */
static void
add_outputs (Net *net, guint level, guint in)
{
  g_autofree char *box = g_strdup_printf ("box%u", level), *cls = g_strdup_printf ("cls%u", level);

  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_BOX, level, add_conv (net, box, in, 8, 1, 1, 1, YOLO_ACT_NONE), NULL));
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_CLASS, level, add_conv (net, cls, in, 3, 3, 1, 1, YOLO_ACT_NONE), NULL));
}

/* Builds a network with every kind of layer but quantisers, on maps of SIZE / 2 and SIZE /
 * 4 pixels. */
static void
build (Net *net)
{
  float *factors = g_new0 (float, 9);
  guint image, stem, branch, sum, pool, both, half, small, large, deep, up;

  *net = (Net){ .graph = yolo_graph_new ("picture", SIZE, SIZE), .random = 1 };
  compute (net, 0, input_pixel);
  for (guint c = 0; c < 3; c++)
    factors[3 * c + c] = 1;
  image = compute (net,
      yolo_graph_image (net->graph, "scale", 3, FALSE, factors, g_new0 (float, 3), NULL),
      image_pixel);
  stem = add_conv (net, "stem", image, 4, 3, 2, 1, YOLO_ACT_NONE);
  stem = add_affine (net, "norm", stem, numbers (net, 4, .5, 2), numbers (net, 4, -1, 1));
  stem = compute (net, yolo_graph_act (net->graph, "silu", stem, YOLO_ACT_SILU, NULL), act_pixel);
  branch = add_conv (net, "branch", stem, 4, 3, 1, 2, YOLO_ACT_SIGMOID);
  sum = compute (net, yolo_graph_add (net->graph, "sum", stem, branch, NULL), add_pixel);
  pool = compute (net, yolo_graph_max_pool (net->graph, "pool", sum, 3, 1, 1, NULL), pool_pixel);
  both = compute (
      net, yolo_graph_concat (net->graph, "both", 2, (guint[]){ sum, pool }, NULL), concat_pixel);
  half = compute (net, yolo_graph_slice (net->graph, "half", both, 2, 4, NULL), slice_pixel);
  /* two that are added up, the smaller one first, which a model has one of */
  small = add_conv (net, "small", half, 6, 1, 2, 2, YOLO_ACT_NONE);
  large = add_conv (net, "large", half, 6, 5, 2, 2, YOLO_ACT_NONE);
  deep = compute (net, yolo_graph_add (net->graph, "apart", small, large, NULL), add_pixel);
  deep = compute (net, yolo_graph_act (net->graph, "deep", deep, YOLO_ACT_RELU, NULL), act_pixel);
  deep = compute (
      net, yolo_graph_add (net->graph, "deeper", deep, add_fork (net, half), NULL), add_pixel);
  up = compute (net, yolo_graph_upsample (net->graph, "up", deep, 2, NULL), upsample_pixel);
  add_outputs (net, 0,
      compute (net, yolo_graph_concat (net->graph, "join", 2, (guint[]){ up, both }, NULL),
          concat_pixel));
  add_outputs (net, 1, deep);
}

static void
net_clear (Net *net)
{
  for (guint i = 0; i < MAX_LAYERS; i++)
    g_free (net->maps[i]);
  yolo_graph_free (net->graph);
}

/* The maps of a plan are those of the graph's layers, which were computed one by one. */
static void
test_run (void)
{
  Net net;
  guint layers[4], channels[4];
  g_autofree float *input = g_new (float, 3 * SIZE * SIZE);
  g_autofree char *arena = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;
  g_autoptr (YoloPlan) plan = NULL;

  build (&net);
  g_assert_cmpuint (net.graph->n_outputs, ==, G_N_ELEMENTS (layers));
  for (guint k = 0; k < G_N_ELEMENTS (layers); k++) {
    layers[k] = net.graph->outputs[k].layer;
    channels[k] = layer_of (&net, layers[k])->channels;
  }
  model = yolo_model_new (g_steal_pointer (&net.graph), "built", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (model->reg_max, ==, 2);
  g_assert_cmpuint (model->n_classes, ==, 3);
  g_assert_cmpuint (model->stride, ==, 4);
  g_assert_cmpuint (model->n_convs, ==, 9);
  plan = yolo_plan_new (model, 1, SIZE, SIZE, YOLO_F32, YOLO_F32, 3, &error);
  g_assert_no_error (error);

  for (guint i = 0; i < 3 * SIZE * SIZE; i++)
    input[i] = (float) net.maps[0][i % 3 * SIZE * SIZE + i / 3];
  arena = g_malloc (plan->arena_size);
  yolo_reference_run (plan, input, arena);
  for (guint k = 0; k < G_N_ELEMENTS (layers); k++) {
    guint side = SIZE / model->outputs[k].stride;

    g_assert_cmpuint (model->outputs[k].level, ==, k / 2);
    g_assert_cmpuint (model->outputs[k].role, ==, k % 2 ? YOLO_MAP_CLASS : YOLO_MAP_BOX);
    g_assert_cmpuint (model->outputs[k].stride, ==, k < 2 ? 2 : 4);
    for (guint i = 0; i < channels[k] * side * side; i++)
      g_assert_cmpfloat_with_epsilon (*yolo_reference_at (plan, arena, plan->outputs[k], 0,
                                          i / side % side, i % side, i / side / side),
          net.maps[layers[k]][i], 1e-4);
  }
  net_clear (&net);
}

/* What a file says of itself comes through; what it does not say has a default. */
static void
test_metadata (void)
{
  Net net[2];
  g_autoptr (YoloModel) told = NULL, untold = NULL;

  for (guint k = 0; k < 2; k++)
    build (&net[k]);
  net[0].graph->description = g_strdup ("somebody's model");
  net[0].graph->sha256 = g_strdup ("c0ffee");
  net[0].graph->names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  net[0].graph->named = TRUE;
  g_hash_table_insert (net[0].graph->names, GUINT_TO_POINTER (1), g_strdup ("cat"));
  net[0].graph->height = 97;
  net[0].graph->width = 130;
  told = yolo_model_new (g_steal_pointer (&net[0].graph), "told", NULL);
  untold = yolo_model_new (g_steal_pointer (&net[1].graph), "untold", NULL);
  g_assert_cmpstr (told->path, ==, "told");
  g_assert_cmpstr (told->task, ==, "detect");
  g_assert_cmpstr (told->description, ==, "somebody's model");
  g_assert_cmpstr (told->sha256, ==, "c0ffee");
  g_assert_cmpstr (told->names[0], ==, "0");
  g_assert_cmpstr (told->names[1], ==, "cat");
  g_assert_nonnull (strstr (told->names_problem, "1 of the 3 classes"));
  g_assert_cmpuint (told->height, ==, 96);
  g_assert_cmpuint (told->width, ==, 132);
  g_assert_null (untold->description);
  g_assert_cmpstr (untold->names[2], ==, "2");
  g_assert_null (untold->names_problem);
  g_assert_cmpuint (untold->height, ==, YOLO_DEFAULT_SIZE);
  for (guint k = 0; k < 2; k++)
    net_clear (&net[k]);
}

/* A convolution of layer 1 that is good but for what a case changes. */
static guint
conv_of (YoloGraph *graph, const YoloConv *conv, GError **error)
{
  return yolo_graph_conv (
      graph, "bad", 1, conv, g_new0 (float, 16), g_new0 (float, 4), NULL, error);
}

/* Adds a layer of four channels that windows of so many pixels, at stride 1, make of
 * another. */
static guint
add_window (YoloGraph *graph, guint in, guint height, guint width)
{
  YoloConv conv = { .in_channels = 4,
    .out_channels = 4,
    .groups = 4,
    .kernel = { height, width },
    .stride = { 1, 1 },
    .dilation = { 1, 1 } };

  return yolo_graph_conv (
      graph, "window", in, &conv, g_new0 (float, 8), g_new0 (float, 4), NULL, NULL);
}

static const YoloConv good = { .in_channels = 4,
  .out_channels = 4,
  .groups = 1,
  .kernel = { 1, 1 },
  .stride = { 1, 1 },
  .dilation = { 1, 1 } };

#define BAD_CONV(name, change) \
  static guint name (YoloGraph *graph, GError **error) \
  { \
    YoloConv conv = good; \
    change; \
    return conv_of (graph, &conv, error); \
  }
#define BAD_LAYER(name, ...) \
  static guint name (YoloGraph *graph, GError **error) \
  { \
    return __VA_ARGS__; \
  }

BAD_CONV (conv_channels, conv.in_channels = 3)
BAD_CONV (conv_no_channels, conv.out_channels = 0)
BAD_CONV (conv_no_groups, conv.groups = 0)
BAD_CONV (conv_groups_in, (conv.groups = 3, conv.out_channels = 3))
BAD_CONV (conv_groups_out, (conv.groups = 2, conv.out_channels = 3))
BAD_CONV (conv_no_kernel, conv.kernel[1] = 0)
BAD_CONV (conv_huge_kernel, conv.kernel[0] = 256)
BAD_CONV (conv_no_stride, conv.stride[0] = 0)
BAD_CONV (conv_no_dilation, conv.dilation[1] = 0)
BAD_CONV (conv_huge_pad, conv.pad[0] = 1 << 20)
BAD_CONV (conv_too_wide, conv.kernel[1] = SIZE)
BAD_LAYER (image_empty,
    yolo_graph_image (graph, "bad", 0, FALSE, g_new0 (float, 1), g_new0 (float, 1), error))
BAD_LAYER (add_channels, yolo_graph_add (graph, "bad", 1, 3, error))
BAD_LAYER (add_sizes, yolo_graph_add (graph, "bad", 1, 2, error))
BAD_LAYER (concat_heights, yolo_graph_concat (graph, "bad", 2, (guint[]){ 1, 4 }, error))
BAD_LAYER (concat_widths, yolo_graph_concat (graph, "bad", 2, (guint[]){ 1, 5 }, error))
BAD_LAYER (pool_no_kernel, yolo_graph_max_pool (graph, "bad", 1, 0, 1, 0, error))
BAD_LAYER (pool_huge_kernel, yolo_graph_max_pool (graph, "bad", 1, 256, 1, 0, error))
BAD_LAYER (pool_no_stride, yolo_graph_max_pool (graph, "bad", 1, 2, 0, 0, error))
BAD_LAYER (pool_pad, yolo_graph_max_pool (graph, "bad", 1, 2, 1, 2, error))
BAD_LAYER (pool_too_wide, yolo_graph_max_pool (graph, "bad", 1, SIZE, 1, 0, error))
BAD_LAYER (upsample_none, yolo_graph_upsample (graph, "bad", 1, 0, error))
BAD_LAYER (upsample_huge, yolo_graph_upsample (graph, "bad", 1, 17, error))
BAD_LAYER (slice_empty, yolo_graph_slice (graph, "bad", 1, 1, 0, error))
BAD_LAYER (slice_beyond, yolo_graph_slice (graph, "bad", 1, 4, 1, error))
BAD_LAYER (slice_far_beyond, yolo_graph_slice (graph, "bad", 1, 5, 1, error))
BAD_LAYER (slice_wide, yolo_graph_slice (graph, "bad", 1, 2, 3, error))
BAD_LAYER (slice_wraps, yolo_graph_slice (graph, "bad", 1, 2, G_MAXUINT, error))
#define BAD_ATTENTION(name, ...) \
  BAD_LAYER (name, \
      yolo_graph_op ( \
          graph, "bad", YOLO_OP_ATTENTION, (guint[]){ 1 }, &(YoloOpNumbers){ __VA_ARGS__ }, error))
BAD_ATTENTION (attention_no_heads, .key = 1, .areas = 1)
BAD_ATTENTION (attention_no_key, .heads = 1, .areas = 1)
BAD_ATTENTION (attention_no_areas, .heads = 1, .key = 1)
BAD_ATTENTION (attention_no_value, .heads = 1, .key = 2, .areas = 1)
BAD_ATTENTION (attention_wide, .heads = 1024, .key = 1024, .areas = 1)
BAD_ATTENTION (attention_wraps, .heads = 1u << 31, .key = 1, .areas = 1)
BAD_ATTENTION (attention_areas, .heads = 1, .key = 1, .areas = 3)
BAD_LAYER (quant_zero, yolo_graph_quant (graph, "bad", 1, (YoloGrid){ 0, 0 }, error))
BAD_LAYER (quant_nan, yolo_graph_quant (graph, "bad", 1, (YoloGrid){ NAN, 0 }, error))

static const struct {
  const char *name;
  guint (*add) (YoloGraph *graph, GError **error);
  gint code;                    /* YoloNetworkError */
  const char *says;
} bad_layers[] = {
  { "conv/channels", conv_channels, YOLO_NETWORK_ERROR_FORMAT, "input's channels" },
  { "conv/no-channels", conv_no_channels, YOLO_NETWORK_ERROR_FORMAT, "input's channels" },
  { "conv/no-groups", conv_no_groups, YOLO_NETWORK_ERROR_FORMAT, "input's channels" },
  { "conv/groups-in", conv_groups_in, YOLO_NETWORK_ERROR_FORMAT, "input's channels" },
  { "conv/groups-out", conv_groups_out, YOLO_NETWORK_ERROR_FORMAT, "input's channels" },
  { "conv/no-kernel", conv_no_kernel, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "conv/huge-kernel", conv_huge_kernel, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "conv/no-stride", conv_no_stride, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "conv/no-dilation", conv_no_dilation, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "conv/huge-pad", conv_huge_pad, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "conv/too-wide", conv_too_wide, YOLO_NETWORK_ERROR_SIZE, "its own inputs are 8x8" },
  { "image/empty", image_empty, YOLO_NETWORK_ERROR_FORMAT, "no channels" },
  { "add/channels", add_channels, YOLO_NETWORK_ERROR_FORMAT, "different channels" },
  { "add/sizes", add_sizes, YOLO_NETWORK_ERROR_SIZE, "does not fit" },
  { "concat/heights", concat_heights, YOLO_NETWORK_ERROR_SIZE, "does not fit" },
  { "concat/widths", concat_widths, YOLO_NETWORK_ERROR_SIZE, "does not fit" },
  { "pool/no-kernel", pool_no_kernel, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "pool/huge-kernel", pool_huge_kernel, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "pool/no-stride", pool_no_stride, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "pool/pad", pool_pad, YOLO_NETWORK_ERROR_FORMAT, "impossible window" },
  { "pool/too-wide", pool_too_wide, YOLO_NETWORK_ERROR_SIZE, "does not fit" },
  { "upsample/none", upsample_none, YOLO_NETWORK_ERROR_FORMAT, "impossible factor" },
  { "upsample/huge", upsample_huge, YOLO_NETWORK_ERROR_FORMAT, "impossible factor" },
  { "slice/empty", slice_empty, YOLO_NETWORK_ERROR_FORMAT, "does not have" },
  { "slice/beyond", slice_beyond, YOLO_NETWORK_ERROR_FORMAT, "does not have" },
  { "slice/far-beyond", slice_far_beyond, YOLO_NETWORK_ERROR_FORMAT, "does not have" },
  { "slice/wide", slice_wide, YOLO_NETWORK_ERROR_FORMAT, "does not have" },
  { "slice/wraps", slice_wraps, YOLO_NETWORK_ERROR_FORMAT, "does not have" },
  { "attention/no-heads", attention_no_heads, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/no-key", attention_no_key, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/no-areas", attention_no_areas, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/no-value", attention_no_value, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/wide", attention_wide, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/wraps", attention_wraps, YOLO_NETWORK_ERROR_FORMAT, "has heads that do not" },
  { "attention/areas", attention_areas, YOLO_NETWORK_ERROR_SIZE, "does not fit" },
  { "quant/zero", quant_zero, YOLO_NETWORK_ERROR_FORMAT, "not above 0" },
  { "quant/nan", quant_nan, YOLO_NETWORK_ERROR_FORMAT, "not above 0" },
};

/* Layer 1 has 4 channels of 8 x 8 pixels, layer 2 has 4 of 4 x 4, layer 3 has 2 of 8 x 8;
 * layers 4 and 5 have 4 channels, of 7 rows and 8 columns, and of 8 rows and 7 columns. */
static void
test_bad_layer (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Net net = { .graph = yolo_graph_new ("picture", SIZE, SIZE), .random = 1 };
  g_autoptr (GError) error = NULL;

  compute (&net, 0, input_pixel);
  add_conv (&net, "one", 0, 4, 1, 2, 1, YOLO_ACT_NONE);
  add_conv (&net, "two", 1, 4, 1, 2, 1, YOLO_ACT_NONE);
  add_conv (&net, "three", 1, 2, 1, 1, 1, YOLO_ACT_NONE);
  add_window (net.graph, 1, 2, 1);
  add_window (net.graph, 1, 1, 2);
  g_assert_cmpuint (bad_layers[i].add (net.graph, &error), ==, YOLO_LAYER_NONE);
  g_assert_error (error, YOLO_NETWORK_ERROR, bad_layers[i].code);
  g_assert_nonnull (strstr (error->message, "node 'bad'"));
  g_assert_nonnull (strstr (error->message, bad_layers[i].says));
  net_clear (&net);
}

/* Numbers of layers: maps of both sizes that can be outputs, and some that cannot. */
enum {
  BOX_2 = 1,
  CLASS_2,
  BOX_4,
  CLASS_4,
  CLASS_4_OF_5,
  BOX_4_OF_3_BINS,
  BOX_2_OF_1_BIN,
  BOX_4_OF_10,
  ODD_HEIGHT,
  ODD_WIDTH
};

typedef struct {
  YoloMapRole role;
  guint level, layer;
} Declared;

static const struct {
  const char *name;
  const char *says;             /* in the error of the last output; NULL: all of them are good */
  guint n;
  Declared outputs[5];
} declarations[] = {
  { "good", NULL, 4,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_CLASS, 0, CLASS_2 }, { YOLO_MAP_BOX, 1, BOX_4 },
          { YOLO_MAP_CLASS, 1, CLASS_4 } } },
  { "first-level", "next level", 1, { { YOLO_MAP_BOX, 1, BOX_2 } } },
  { "level-left-out", "next level", 2, { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_BOX, 2, BOX_4 } } },
  { "level-before", "next level", 3,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_BOX, 1, BOX_4 }, { YOLO_MAP_CLASS, 0, CLASS_2 } } },
  { "twice", "does not belong to its level", 2,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_BOX, 0, BOX_2 } } },
  { "order", "does not belong to its level", 2,
      { { YOLO_MAP_CLASS, 0, CLASS_2 }, { YOLO_MAP_BOX, 0, BOX_2 } } },
  { "sizes", "does not belong to its level", 2,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_CLASS, 0, CLASS_4 } } },
  { "larger", "no smaller", 2, { { YOLO_MAP_BOX, 0, BOX_4 }, { YOLO_MAP_BOX, 1, BOX_2 } } },
  { "classes", "other channels", 4,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_CLASS, 0, CLASS_2 }, { YOLO_MAP_BOX, 1, BOX_4 },
          { YOLO_MAP_CLASS, 1, CLASS_4_OF_5 } } },
  { "bins", "other channels", 2,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_BOX, 1, BOX_4_OF_3_BINS } } },
  { "one-bin", NULL, 1, { { YOLO_MAP_BOX, 0, BOX_2_OF_1_BIN } } },
  { "segment", NULL, 4,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_CLASS, 0, CLASS_2 },
          { YOLO_MAP_COEFFICIENT, 0, BOX_2_OF_1_BIN }, { YOLO_MAP_PROTOTYPE, 0, BOX_4 } } },
  { "behind-the-prototypes", "belongs to no level", 3,
      { { YOLO_MAP_BOX, 0, BOX_2 }, { YOLO_MAP_PROTOTYPE, 0, BOX_4 },
          { YOLO_MAP_CLASS, 0, CLASS_2 } } },
  { "prototypes-twice", "second map of its kind", 2,
      { { YOLO_MAP_PROTOTYPE, 0, BOX_2 }, { YOLO_MAP_PROTOTYPE, 0, BOX_4 } } },
  { "prototypes-of-a-level", "second map of its kind", 1, { { YOLO_MAP_PROTOTYPE, 1, BOX_2 } } },
  { "classes-of-pixels", "more than one pixel", 1, { { YOLO_MAP_LOGIT, 0, CLASS_2 } } },
  { "two-angles", "cannot have", 1, { { YOLO_MAP_ANGLE, 0, CLASS_2 } } },
  { "part-of-a-bin", "cannot have", 1, { { YOLO_MAP_BOX, 0, BOX_4_OF_10 } } },
  { "height", "no whole part", 1, { { YOLO_MAP_CLASS, 0, ODD_HEIGHT } } },
  { "width", "no whole part", 1, { { YOLO_MAP_CLASS, 0, ODD_WIDTH } } },
};

static void
test_outputs (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Net net = { .graph = yolo_graph_new ("picture", SIZE, SIZE), .random = 1 };

  compute (&net, 0, input_pixel);
  add_conv (&net, "box2", 0, 8, 1, 2, 1, YOLO_ACT_NONE);
  add_conv (&net, "cls2", 0, 3, 1, 2, 1, YOLO_ACT_NONE);
  add_conv (&net, "box4", 0, 8, 1, 4, 1, YOLO_ACT_NONE);
  add_conv (&net, "cls4", 0, 3, 1, 4, 1, YOLO_ACT_NONE);
  add_conv (&net, "five", 0, 5, 1, 4, 1, YOLO_ACT_NONE);
  add_conv (&net, "bins", 0, 12, 1, 4, 1, YOLO_ACT_NONE);
  add_conv (&net, "bin", 0, 4, 1, 2, 1, YOLO_ACT_NONE);
  add_conv (&net, "ten", 0, 10, 1, 4, 1, YOLO_ACT_NONE);
  g_assert_cmpuint (add_window (net.graph, BOX_2_OF_1_BIN, 2, 1), ==, ODD_HEIGHT);
  g_assert_cmpuint (add_window (net.graph, BOX_2_OF_1_BIN, 1, 2), ==, ODD_WIDTH);
  for (guint k = 0; k < declarations[i].n; k++) {
    const Declared *output = &declarations[i].outputs[k];
    g_autoptr (GError) error = NULL;
    gboolean done =
        yolo_graph_output (net.graph, output->role, output->level, output->layer, &error);

    if (k + 1 < declarations[i].n || declarations[i].says == NULL) {
      g_assert_no_error (error);
      g_assert_true (done);
      continue;
    }
    g_assert_false (done);
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, declarations[i].says));
  }
  net_clear (&net);
}

/* A layer knows which layer the quantisers in front of it were put behind. */
static void
test_below (void)
{
  Net net = { .graph = yolo_graph_new ("picture", SIZE, SIZE), .random = 1 };
  YoloGrid grid = { .5f, 128 };
  guint conv, once, twice;

  compute (&net, 0, input_pixel);
  conv = add_conv (&net, "conv", 0, 4, 1, 2, 1, YOLO_ACT_NONE);
  once = yolo_graph_quant (net.graph, "once", conv, grid, NULL);
  twice = yolo_graph_quant (net.graph, "twice", once, grid, NULL);
  g_assert_cmpuint (layer_of (&net, conv)->below, ==, conv);
  g_assert_cmpuint (layer_of (&net, once)->below, ==, conv);
  g_assert_cmpuint (layer_of (&net, twice)->below, ==, conv);
  g_assert_cmpfloat (layer_of (&net, twice)->grid.scale, ==, .5f);
  net_clear (&net);
}

/* Graphs that no model can be made of, although each layer is good. */
static void
test_no_model (void)
{
  Net net[3];
  g_autoptr (GError) none = NULL, shared = NULL, infinite = NULL;

  net[0] = (Net){ .graph = yolo_graph_new ("picture", SIZE, SIZE), .random = 1 };
  g_assert_null (yolo_model_new (g_steal_pointer (&net[0].graph), "none", &none));
  g_assert_error (none, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);

  build (&net[1]);
  net[1].graph->outputs[1].layer = net[1].graph->outputs[0].layer;
  g_assert_null (yolo_model_new (g_steal_pointer (&net[1].graph), "shared", &shared));
  g_assert_error (shared, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (shared->message, "node 'box0' makes a map of the head"));

  build (&net[2]);
  for (guint i = 0; i < net[2].graph->layers->len; i++) {
    YoloLayer *layer = yolo_layer_at (net[2].graph->layers, i);
    if (layer->scale != NULL)
      layer->scale[0] = INFINITY;
  }
  g_assert_null (yolo_model_new (g_steal_pointer (&net[2].graph), "infinite", &infinite));
  g_assert_error (infinite, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  g_assert_nonnull (strstr (infinite->message, "node 'stem' has weights that are too large"));
  for (guint k = 0; k < 3; k++)
    net_clear (&net[k]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/graph/run", test_run);
  g_test_add_func ("/network/graph/metadata", test_metadata);
  g_test_add_func ("/network/graph/below", test_below);
  g_test_add_func ("/network/graph/no-model", test_no_model);
  for (guint i = 0; i < G_N_ELEMENTS (bad_layers); i++) {
    g_autofree char *path = g_strconcat ("/network/graph/refuses/", bad_layers[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_bad_layer);
  }
  for (guint i = 0; i < G_N_ELEMENTS (declarations); i++) {
    g_autofree char *path = g_strconcat ("/network/graph/outputs/", declarations[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_outputs);
  }
  return g_test_run ();
}
