/* SPDX-License-Identifier: MIT */
#include "tests/backend/networks.h"

#include "tests/activations.h"
#include "tests/guarded.h"

#include <math.h>

/* Networks */

struct _Net {
  YoloGraph *graph;
  Random random;
};

static guint
channels_of (const Net *net, guint layer)
{
  return yolo_layer_at (net->graph->layers, layer)->channels;
}

static float *
numbers (Net *net, gsize n, double deviation)
{
  float *to = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    to[i] = (float) (deviation * random_normal (&net->random));
  return to;
}

static guint
checked (guint layer, GError *error)
{
  g_assert_no_error (error);
  g_assert_cmpuint (layer, !=, YOLO_LAYER_NONE);
  return layer;
}

/* Appends a layer of yolo_graph_<kind>(). */
#define LAYER(kind, ...) \
  ({ \
    GError *error_ = NULL; \
    guint layer_ = yolo_graph_##kind (net->graph, #kind, __VA_ARGS__, &error_); \
    checked (layer_, error_); \
  })

/* Results vary about as much as the input does, so that each channel and each tap counts. */
static guint
add_conv (Net *net, guint in, YoloConv conv)
{
  gsize each;

  conv.in_channels = channels_of (net, in);
  each = (gsize) conv.in_channels / conv.groups * conv.kernel[0] * conv.kernel[1];
  return LAYER (conv, in, &conv,
      numbers (net, each * conv.out_channels, 1 / sqrt ((double) each)),
      numbers (net, conv.out_channels, .3), NULL);
}

/* With the padding that keeps the size. */
static guint
conv (Net *net, guint in, guint channels, guint kernel, YoloActivation act)
{
  return add_conv (net, in,
      (YoloConv){ .out_channels = channels,
          .groups = 1,
          .kernel = { kernel, kernel },
          .stride = { 1, 1 },
          .pad = { kernel / 2, kernel / 2 },
          .dilation = { 1, 1 },
          .act = act });
}

static guint
halved (Net *net, guint in, guint channels)
{
  return add_conv (net, in,
      (YoloConv){ .out_channels = channels,
          .groups = 1,
          .kernel = { 3, 3 },
          .stride = { 2, 2 },
          .pad = { 1, 1 },
          .dilation = { 1, 1 },
          .act = YOLO_ACT_SILU });
}

/* Convolutions by the numbers of the case. */
static guint
build_conv (Net *net, const Case *c, guint in)
{
  return add_conv (net, in, c->conv);
}

/* The sum becomes the second convolution's residual. */
static guint
build_residual (Net *net, const Case *c, guint in)
{
  guint a = conv (net, in, 9, 1, YOLO_ACT_SILU);

  return LAYER (add, in, conv (net, a, channels_of (net, in), 3, c->conv.act));
}

/* The convolution of the case and what it reads. */
static guint
build_residual_conv (Net *net, const Case *c, guint in)
{
  return LAYER (add, in, add_conv (net, in, c->conv));
}

/* All that is added is a part of something larger, at odd channels. */
static guint
build_residual_views (Net *net, const Case *c, guint in)
{
  guint left = LAYER (slice, in, 3, 7), right = LAYER (slice, in, 10, 7);
  guint sum = LAYER (add, conv (net, left, 7, 3, YOLO_ACT_SILU), right);
  guint one = LAYER (add, sum, conv (net, right, 7, 1, YOLO_ACT_RELU));

  return LAYER (concat, 3, ((guint[]){ in, sum, one }));
}

/* What something else reads too stays an operation of its own. */
static guint
build_add (Net *net, const Case *c, guint in)
{
  guint a = conv (net, in, 11, 1, YOLO_ACT_SILU), b = conv (net, in, 11, 3, YOLO_ACT_NONE);
  guint both = LAYER (concat, 2, ((guint[]){ a, b }));
  guint sum = LAYER (add, a, b);
  guint parts = LAYER (add, LAYER (slice, both, 1, 5), LAYER (slice, both, 13, 5));

  return LAYER (concat, 3, ((guint[]){ sum, both, parts }));
}

static guint
build_act (Net *net, const Case *c, guint in)
{
  guint part = LAYER (slice, in, 5, 7);

  return LAYER (concat, 3,
      ((guint[]){ in, LAYER (act, in, c->conv.act), LAYER (act, part, c->conv.act) }));
}

/* An activation behind convolutions of all kinds, one of them with a residual, and alone. */
static guint
build_active (Net *net, const Case *c, guint in)
{
  YoloOpNumbers numbers = { .act = c->conv.act, .alpha = c->conv.alpha, .beta = c->conv.beta };
  YoloConv shape = { .out_channels = 37, .groups = 1, .kernel = { 1, 1 }, .stride = { 1, 1 },
    .dilation = { 1, 1 }, .act = numbers.act, .alpha = numbers.alpha, .beta = numbers.beta };
  guint one = add_conv (net, in, shape), part = LAYER (slice, in, 5, 7), parts[3];

  shape.kernel[0] = shape.kernel[1] = 3;
  shape.pad[0] = shape.pad[1] = 1;
  parts[0] = LAYER (add, one, add_conv (net, in, shape));
  shape.groups = shape.out_channels = channels_of (net, in);
  parts[1] = add_conv (net, in, shape);
  parts[2] = LAYER (op, YOLO_OP_ACT, &part, &numbers);
  return LAYER (concat, 3, parts);
}

/* Windows and strides are those of the case's convolution. */
static guint
build_pool (Net *net, const Case *c, guint in)
{
  const YoloConv *window = &c->conv;
  guint part = LAYER (slice, in, 5, 7);
  guint whole = LAYER (max_pool, in, window->kernel[0], window->stride[0], window->pad[0]);
  guint other = LAYER (max_pool, part, window->kernel[0], window->stride[0], window->pad[0]);

  return LAYER (concat, 2, ((guint[]){ whole, other }));
}

/* Three poolings, each of the one before, side by side with what they began with. */
static guint
build_chain (Net *net, const Case *c, guint in)
{
  guint kernel = c->conv.kernel[0], layers[4] = { conv (net, in, 7, 1, YOLO_ACT_SILU) };

  for (guint k = 1; k < G_N_ELEMENTS (layers); k++)
    layers[k] = LAYER (max_pool, layers[k - 1], kernel, 1, kernel / 2);
  return LAYER (concat, 4, layers);
}

static guint
build_upsample (Net *net, const Case *c, guint in)
{
  guint small = halved (net, in, 13), part = LAYER (slice, small, 3, 6);

  return LAYER (concat, 3,
      ((guint[]){ LAYER (upsample, small, 2), in, LAYER (upsample, part, 2) }));
}

static guint
build_upsample_3 (Net *net, const Case *c, guint in)
{
  guint small = LAYER (max_pool, in, 3, 3, 0);

  return LAYER (concat, 2, ((guint[]){ in, LAYER (upsample, small, 3) }));
}

/* Parts that a concatenation needs elsewhere than where they are, or twice. */
static guint
build_copy (Net *net, const Case *c, guint in)
{
  guint a = conv (net, in, 10, 1, YOLO_ACT_SILU), b = conv (net, in, 5, 3, YOLO_ACT_SILU);
  guint first = LAYER (concat, 3, ((guint[]){ b, a, LAYER (slice, in, 2, 9) }));
  guint again = conv (net, first, 3, 1, YOLO_ACT_RELU);

  return LAYER (concat, 4, ((guint[]){ again, a, LAYER (slice, a, 4, 3), b }));
}

/* The block that YOLOv8 is made of: halves, one of which goes through two convolutions
 * and is added again. */
static guint
build_block (Net *net, const Case *c, guint in)
{
  guint both = conv (net, in, 26, 1, YOLO_ACT_SILU);
  guint left = LAYER (slice, both, 0, 13), right = LAYER (slice, both, 13, 13);
  guint inner = conv (net, conv (net, right, 13, 3, YOLO_ACT_SILU), 13, 3, YOLO_ACT_SILU);
  guint sum = LAYER (add, right, inner);

  return conv (net, LAYER (concat, 3, ((guint[]){ left, right, sum })), 21, 1, YOLO_ACT_SILU);
}

/* Queries, keys and values whose products vary about as much as the input does. */
static guint
projection (Net *net, guint in, guint channels, guint key)
{
  YoloConv shape = { .in_channels = channels_of (net, in), .out_channels = channels, .groups = 1,
    .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 } };
  gsize each = shape.in_channels;

  return LAYER (conv, in, &shape,
      numbers (net, each * channels, pow (key, -.25) / sqrt ((double) each)),
      numbers (net, channels, .1), NULL);
}

/* An attention whose input and output are parts of something larger, at odd channels, one of
 * what a convolution alone makes, and a depthwise convolution of its values. The case's
 * convolution has the numbers, as HEADS() says. */
static guint
build_attention (Net *net, const Case *c, guint in)
{
  YoloOpNumbers numbers = { .heads = c->conv.groups, .key = c->conv.kernel[0],
    .areas = c->conv.kernel[1] };
  guint values = numbers.heads * c->conv.out_channels;
  guint all = 2 * numbers.heads * numbers.key + values;
  guint larger = projection (net, in, all + 4, numbers.key);
  guint alone = projection (net, in, all, numbers.key), part = LAYER (slice, larger, 3, all);
  guint first = LAYER (op, YOLO_OP_ATTENTION, &part, &numbers),
        second = LAYER (op, YOLO_OP_ATTENTION, &alone, &numbers);
  guint near = add_conv (net, LAYER (slice, alone, all - values, values),
      (YoloConv){ .out_channels = values,
          .groups = values,
          .kernel = { 3, 3 },
          .stride = { 1, 1 },
          .pad = { 1, 1 },
          .dilation = { 1, 1 } });

  return LAYER (concat, 3, ((guint[]){ LAYER (slice, in, 0, 5), first,
                               LAYER (add, second, near) }));
}

/* By the stride of the case: channels at odd places of something larger become pixels. */
static guint
build_shuffle (Net *net, const Case *c, guint in)
{
  YoloOpNumbers numbers = { .scale = c->conv.stride[0] };
  guint all = 11 * numbers.scale * numbers.scale;
  guint small = LAYER (max_pool, in, numbers.scale, numbers.scale, 0);
  guint larger = conv (net, small, all + 5, 1, YOLO_ACT_SILU), part = LAYER (slice, larger, 3, all);
  guint alone = conv (net, small, 8 * numbers.scale * numbers.scale, 1, YOLO_ACT_NONE);

  return LAYER (concat, 3,
      ((guint[]){ in, LAYER (op, YOLO_OP_SHUFFLE, &part, &numbers),
          LAYER (op, YOLO_OP_SHUFFLE, &alone, &numbers) }));
}

/* What the whole image comes to, through a convolution of one pixel, at every pixel. */
static guint
build_global_pool (Net *net, const Case *c, guint in)
{
  guint part = LAYER (slice, in, 3, channels_of (net, in) - 4);
  YoloOpNumbers none = { 0 };
  guint some = LAYER (op, YOLO_OP_GLOBAL_POOL, &part, &none),
        all = LAYER (op, YOLO_OP_GLOBAL_POOL, &in, &none);
  guint mean = conv (net, LAYER (concat, 2, ((guint[]){ some, all })), 9, 1, YOLO_ACT_SILU);

  return LAYER (concat, 2, ((guint[]){ LAYER (upsample, mean, c->height), in }));
}

/* What attention reads, a convolution reads as well, which in int8 wants it on a grid. */
static guint
build_attention_shared (Net *net, const Case *c, guint in)
{
  YoloOpNumbers numbers = { .heads = c->conv.groups, .key = c->conv.kernel[0],
    .areas = c->conv.kernel[1] };
  guint all = numbers.heads * (2 * numbers.key + c->conv.out_channels);
  guint both = projection (net, in, all, numbers.key);

  return LAYER (concat, 2,
      ((guint[]){ LAYER (op, YOLO_OP_ATTENTION, &both, &numbers),
          conv (net, both, 3, 1, YOLO_ACT_SILU) }));
}

#define SHAPE(channels, groups_, kernel_, stride_, pad_, dilation_, act_) \
  { .out_channels = channels, .groups = groups_, .kernel = { kernel_, kernel_ }, \
    .stride = { stride_, stride_ }, .pad = { pad_, pad_ }, .dilation = { dilation_, dilation_ }, \
    .act = act_ }
/* Attention: channels of a head's query and its key, and of its value. */
#define HEADS(heads, key, value, areas) \
  { .groups = heads, .out_channels = value, .kernel = { key, areas } }
#define ACTIVE(name, suffix, alpha_, beta_) \
  { "active-" name, 9, 7, 19, build_active, \
    { .act = YOLO_ACT_##suffix, .alpha = alpha_, .beta = beta_ } },
#define WINDOW(kernel_, stride_, pad_) \
  { .kernel = { kernel_, kernel_ }, .stride = { stride_, stride_ }, .pad = { pad_, pad_ } }

const Case cases[] = {
  { "conv-1x1", 13, 17, 11, build_conv, SHAPE (13, 1, 1, 1, 0, 1, YOLO_ACT_SILU) },
  { "conv-1x1-wide", 7, 9, 40, build_conv, SHAPE (72, 1, 1, 1, 0, 1, YOLO_ACT_SILU) },
  { "conv-3x3", 13, 17, 11, build_conv, SHAPE (19, 1, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-3x3-wide", 11, 9, 37, build_conv, SHAPE (35, 1, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-3x3-eights", 12, 10, 32, build_conv, SHAPE (24, 1, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-5x5", 9, 11, 5, build_conv, SHAPE (6, 1, 5, 1, 2, 1, YOLO_ACT_SILU) },
  { "conv-6x6-by-2", 14, 18, 6, build_conv, SHAPE (10, 1, 6, 2, 2, 1, YOLO_ACT_SILU) },
  { "conv-3x3-by-2", 14, 18, 11, build_conv, SHAPE (18, 1, 3, 2, 1, 1, YOLO_ACT_SILU) },
  { "conv-1x1-by-2", 14, 18, 9, build_conv, SHAPE (17, 1, 1, 2, 0, 1, YOLO_ACT_SILU) },
  { "conv-groups", 13, 17, 12, build_conv, SHAPE (15, 3, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-depthwise", 13, 17, 11, build_conv, SHAPE (11, 11, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-depthwise-wide", 12, 20, 43, build_conv, SHAPE (43, 43, 3, 1, 1, 1, YOLO_ACT_NONE) },
  { "conv-depthwise-by-2", 14, 18, 37, build_conv, SHAPE (37, 37, 3, 2, 1, 1, YOLO_ACT_SILU) },
  { "conv-depthwise-5x5", 9, 11, 16, build_conv, SHAPE (16, 16, 5, 1, 2, 1, YOLO_ACT_RELU) },
  { "conv-depthwise-5x5-by-2", 14, 18, 19, build_conv,
    SHAPE (19, 19, 5, 2, 2, 1, YOLO_ACT_SILU) },
  { "conv-depthwise-7x7", 13, 17, 21, build_conv, SHAPE (21, 21, 7, 1, 3, 1, YOLO_ACT_NONE) },
  { "conv-depthwise-7x7-by-2", 14, 18, 5, build_conv, SHAPE (5, 5, 7, 2, 3, 1, YOLO_ACT_SILU) },
  { "conv-depthwise-two", 9, 11, 9, build_conv, SHAPE (18, 9, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "conv-dilation", 13, 17, 7, build_conv, SHAPE (9, 1, 3, 1, 2, 2, YOLO_ACT_SILU) },
  { "conv-none", 9, 7, 11, build_conv, SHAPE (13, 1, 3, 1, 1, 1, YOLO_ACT_NONE) },
  { "conv-relu", 9, 7, 11, build_conv, SHAPE (13, 1, 3, 1, 1, 1, YOLO_ACT_RELU) },
  { "conv-sigmoid", 9, 7, 11, build_conv, SHAPE (13, 1, 3, 1, 1, 1, YOLO_ACT_SIGMOID) },
  /* a window of its own in each direction */
  { "conv-uneven", 13, 17, 11,
    build_conv,
    { .out_channels = 13, .groups = 1, .kernel = { 3, 1 }, .stride = { 1, 1 }, .pad = { 2, 0 },
      .dilation = { 2, 1 }, .act = YOLO_ACT_SILU } },
  { "residual", 13, 17, 19, build_residual, { .act = YOLO_ACT_SILU } },
  { "residual-none", 9, 7, 24, build_residual, { .act = YOLO_ACT_NONE } },
  { "residual-groups", 9, 7, 12, build_residual_conv, SHAPE (12, 3, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "residual-depthwise", 9, 7, 20, build_residual_conv,
    SHAPE (20, 20, 3, 1, 1, 1, YOLO_ACT_SILU) },
  { "residual-views", 9, 7, 18, build_residual_views, { 0 } },
  { "add", 9, 7, 13, build_add, { 0 } },
  { "act-silu", 9, 7, 13, build_act, { .act = YOLO_ACT_SILU } },
  { "act-relu", 9, 7, 13, build_act, { .act = YOLO_ACT_RELU } },
  { "act-sigmoid", 9, 7, 13, build_act, { .act = YOLO_ACT_SIGMOID } },
  TEST_REAL_ACTIVATIONS (ACTIVE)
  { "max-pool-2", 14, 18, 13, build_pool, WINDOW (2, 2, 0) },
  { "max-pool-3-by-2", 14, 18, 13, build_pool, WINDOW (3, 2, 1) },
  { "max-pool-3", 9, 7, 13, build_pool, WINDOW (3, 1, 1) },
  { "max-pool-13", 15, 17, 13, build_pool, WINDOW (13, 1, 6) },
  { "chain-5", 13, 17, 11, build_chain, WINDOW (5, 1, 2) },
  { "chain-3", 3, 5, 11, build_chain, WINDOW (3, 1, 1) },
  { "upsample-2", 14, 18, 11, build_upsample, { 0 } },
  { "upsample-3", 15, 9, 11, build_upsample_3, { 0 } },
  { "copy", 9, 7, 13, build_copy, { 0 } },
  { "attention", 9, 7, 13, build_attention, HEADS (2, 5, 7, 1) },
  { "attention-eights", 12, 10, 16, build_attention, HEADS (2, 16, 32, 1) },
  { "attention-areas", 12, 10, 11, build_attention, HEADS (3, 4, 9, 4) },
  { "attention-many", 21, 19, 11, build_attention, HEADS (1, 8, 17, 1) },
  { "attention-wide", 7, 5, 9, build_attention, HEADS (2, 3, 150, 1) },
  { "attention-shared", 6, 7, 12, build_attention_shared, HEADS (2, 4, 6, 1) },
  { "attention-rows", 3, 1, 9, build_attention, HEADS (4, 1, 1, 3) },
  { "shuffle-2", 14, 18, 11, build_shuffle, WINDOW (2, 2, 0) },
  { "shuffle-3", 9, 15, 13, build_shuffle, WINDOW (3, 3, 0) },
  { "global-pool", 9, 9, 29, build_global_pool, { 0 } },
  { "global-pool-wide", 13, 13, 300, build_global_pool, { 0 } },
  { "block", 13, 17, 11, build_block, { 0 } },
};

const guint n_cases = G_N_ELEMENTS (cases);

const Case *
case_named (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    if (g_str_equal (cases[i].name, name))
      return &cases[i];
  }
  g_error ("there is no case %s", name);
}

YoloGraph *
make_segment_graph (guint height, guint width)
{
  Net it = { yolo_graph_new ("images", height, width), random_new (7) };
  Net *net = &it;
  float *factors = g_new0 (float, 9);
  guint first, small;

  for (guint i = 0; i < 3; i++)
    factors[4 * i] = 2.f / 255;
  first = conv (net, LAYER (image, 3, FALSE, factors, g_new0 (float, 3)), 9, 3, YOLO_ACT_SILU);
  small = halved (net, halved (net, first, 11), 13);
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_BOX, 0, conv (net, small, 8, 1, YOLO_ACT_NONE), NULL));
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_CLASS, 0, conv (net, small, 3, 1, YOLO_ACT_NONE), NULL));
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_COEFFICIENT, 0, conv (net, small, 4, 3, YOLO_ACT_NONE), NULL));
  g_assert_true (yolo_graph_output (net->graph, YOLO_MAP_PROTOTYPE, 0,
      conv (net, halved (net, first, 10), 4, 1, YOLO_ACT_SILU), NULL));
  net->graph->sha256 = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "segment", -1);
  net->graph->task = "segment";
  net->graph->height = height;
  net->graph->width = width;
  return net->graph;
}

YoloGraph *
make_graph (const Case *c, guint height, guint width)
{
  Net it = { yolo_graph_new ("images", height, width), random_new (g_str_hash (c->name)) };
  Net *net = &it;
  float *factors = g_new0 (float, 9);
  guint body;

  for (guint i = 0; i < 3; i++)
    factors[4 * i] = 2.f / 255;
  body = LAYER (image, 3, FALSE, factors, g_new0 (float, 3));
  body = c->build (net, c, conv (net, body, c->channels, 3, YOLO_ACT_SILU));
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_BOX, 0, conv (net, body, 8, 1, YOLO_ACT_NONE), NULL));
  g_assert_true (yolo_graph_output (
      net->graph, YOLO_MAP_CLASS, 0, conv (net, body, 1, 1, YOLO_ACT_NONE), NULL));
  net->graph->sha256 = g_compute_checksum_for_string (G_CHECKSUM_SHA256, c->name, -1);
  net->graph->height = height;
  net->graph->width = width;
  return net->graph;
}

/* The definition of layers */

/* A graph's maps of one frame, [height][width][channels], by layer. */
typedef struct {
  const YoloGraph *graph;
  double **maps;
} Definition;

/* @outside: what there is beyond the map's edges */
static double
at (const Definition *d, guint layer, gint y, gint x, guint c, double outside)
{
  const YoloLayer *l = yolo_layer_at (d->graph->layers, layer);

  if (y < 0 || y >= (gint) l->height || x < 0 || x >= (gint) l->width)
    return outside;
  return d->maps[layer][((guint) y * l->width + (guint) x) * l->channels + c];
}

static double
conv_pixel (const Definition *d, const YoloLayer *layer, gint y, gint x, guint c)
{
  const YoloConv *conv = &layer->conv;
  guint each = conv->in_channels / conv->groups,
        first = c / (conv->out_channels / conv->groups) * each;
  const float *weight = layer->weights + c * each * conv->kernel[0] * conv->kernel[1];
  double sum = layer->bias[c];

  for (guint i = 0; i < each; i++) {
    for (gint ky = 0; ky < (gint) conv->kernel[0]; ky++) {
      for (gint kx = 0; kx < (gint) conv->kernel[1]; kx++)
        sum += *weight++
            * at (d, layer->in[0],
                y * (gint) conv->stride[0] - (gint) conv->pad[0] + ky * (gint) conv->dilation[0],
                x * (gint) conv->stride[1] - (gint) conv->pad[1] + kx * (gint) conv->dilation[1],
                first + i, 0);
    }
  }
  return test_activate (conv->act, conv->alpha, conv->beta, sum);
}

static double
pool_pixel (const Definition *d, const YoloLayer *layer, gint y, gint x, guint c)
{
  const YoloOpNumbers *window = &layer->numbers;
  gint top = y * (gint) window->stride - (gint) window->pad,
       left = x * (gint) window->stride - (gint) window->pad;
  double most = -INFINITY;

  for (gint ky = 0; ky < (gint) window->kernel; ky++) {
    for (gint kx = 0; kx < (gint) window->kernel; kx++)
      most = fmax (most, at (d, layer->in[0], top + ky, left + kx, c, -INFINITY));
  }
  return most;
}

/* The positions of the area that a pixel is in, each with its value's part by the softmax of the
 * products of the pixel's query and its key. */
static double
attention_pixel (const Definition *d, const YoloLayer *layer, guint y, guint x, guint c)
{
  const YoloOpNumbers *n = &layer->numbers;
  const double *map = d->maps[layer->in[0]];
  guint all = layer->channels + 2 * n->heads * n->key, head = c / (layer->channels / n->heads);
  guint count = layer->height * layer->width / n->areas, pixel = y * layer->width + x;
  double sum = 0, weighted = 0;

  for (guint j = pixel / count * count; j < (pixel / count + 1) * count; j++) {
    double product = 0;

    for (guint k = head * n->key; k < (head + 1) * n->key; k++)
      product += map[pixel * all + k] * map[j * all + n->heads * n->key + k];
    sum += exp (product);
    weighted += exp (product) * map[j * all + 2 * n->heads * n->key + c];
  }
  return weighted / sum;
}

static double
mean_pixel (const Definition *d, guint in, guint c)
{
  const YoloLayer *layer = yolo_layer_at (d->graph->layers, in);
  guint pixels = layer->height * layer->width;
  double sum = 0;

  for (guint i = 0; i < pixels; i++)
    sum += d->maps[in][i * layer->channels + c] / pixels;
  return sum;
}

static double
op_pixel (const Definition *d, const YoloLayer *layer, gint y, gint x, guint c)
{
  gint scale = (gint) layer->numbers.scale;

  switch (layer->op) {
    case YOLO_OP_ACT:
      return test_activate (layer->numbers.act, layer->numbers.alpha, layer->numbers.beta,
          at (d, layer->in[0], y, x, c, 0));
    case YOLO_OP_ADD:
      return at (d, layer->in[0], y, x, c, 0) + at (d, layer->in[1], y, x, c, 0);
    case YOLO_OP_MAX_POOL:
      return pool_pixel (d, layer, y, x, c);
    case YOLO_OP_UPSAMPLE:
      return at (d, layer->in[0], y / scale, x / scale, c, 0);
    case YOLO_OP_SHUFFLE:
      return at (d, layer->in[0], y / scale, x / scale,
          (guint) (y % scale * scale + x % scale) * layer->channels + c, 0);
    case YOLO_OP_GLOBAL_POOL:
      return mean_pixel (d, layer->in[0], c);
    case YOLO_OP_ATTENTION:
      return attention_pixel (d, layer, (guint) y, (guint) x, c);
    case YOLO_OP_CONV:
    case YOLO_OP_COPY:
      break;                    /* layers of other types */
  }
  g_assert_not_reached ();
}

static double
image_pixel (const Definition *d, const YoloLayer *layer, gint y, gint x, guint c)
{
  double sum = layer->bias[c];

  for (guint i = 0; i < 3; i++)
    sum += layer->weights[3 * c + i] * at (d, layer->in[0], y, x, i, 0);
  return sum;
}

static double
pixel (const Definition *d, const YoloLayer *layer, gint y, gint x, guint c)
{
  guint k = 0;

  switch (layer->type) {
    case YOLO_LAYER_IMAGE:
      return image_pixel (d, layer, y, x, c);
    case YOLO_LAYER_CONV:
      return conv_pixel (d, layer, y, x, c);
    case YOLO_LAYER_OP:
      return op_pixel (d, layer, y, x, c);
    case YOLO_LAYER_CONCAT:
      for (; c >= yolo_layer_at (d->graph->layers, layer->in[k])->channels; k++)
        c -= yolo_layer_at (d->graph->layers, layer->in[k])->channels;
      return at (d, layer->in[k], y, x, c, 0);
    case YOLO_LAYER_SLICE:
      return at (d, layer->in[0], y, x, layer->begin + c, 0);
    case YOLO_LAYER_INPUT:
    case YOLO_LAYER_AFFINE:
    case YOLO_LAYER_QUANT:
    case YOLO_LAYER_DEQUANT:
      break;
  }
  g_assert_not_reached ();
}

void
define (const YoloGraph *graph, const guint8 *levels, YoloDecode *decode)
{
  guint n = graph->layers->len;
  Definition d = { graph, g_new0 (double *, n) };
  YoloHead head = { .n_maps = 2 };
  float *data[2];

  for (guint i = 0; i < n; i++) {
    const YoloLayer *layer = yolo_layer_at (graph->layers, i);
    gsize size = (gsize) layer->height * layer->width * layer->channels;

    d.maps[i] = g_new (double, size);
    for (gsize k = 0; k < size; k++) {
      guint c = k % layer->channels;
      gint x = (gint) (k / layer->channels % layer->width),
           y = (gint) (k / layer->channels / layer->width);
      d.maps[i][k] = layer->type == YOLO_LAYER_INPUT ? levels[k] : pixel (&d, layer, y, x, c);
    }
  }
  for (guint k = 0; k < 2; k++) {
    const YoloLayer *layer = yolo_layer_at (graph->layers, graph->outputs[k].layer);
    gsize size = (gsize) layer->height * layer->width * layer->channels;

    data[k] = g_new (float, size);
    for (gsize i = 0; i < size; i++)
      data[k][i] = (float) d.maps[graph->outputs[k].layer][i];
    head.maps[k] = (YoloMap){ graph->outputs[k], data[k], layer->channels, (int) layer->width,
      (int) layer->height, (int) layer->channels };
  }
  yolo_task_detect.decode (&head, decode);
  for (guint i = 0; i < n; i++)
    g_free (d.maps[i]);
  g_free (d.maps);
  g_free (data[0]);
  g_free (data[1]);
}
