/* SPDX-License-Identifier: MIT */
/* PyTorch's own modules (torch/nn/modules), and the table of all that are known. */

#include "network/torch/modules.h"
#include "network/compose.h"

#include <math.h>
#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

#define MAX_DEPTH 64
/* A YOLOv8x has 500; some modules may stand in the tree many times. */
#define MAX_MODULES 20000
#define MAX_GROUPS 65536
#define MAX_WINDOW 255          /* as network/graph.c has it */

const char *
yolo_torch_class (const YoloPickleValue *module)
{
  const YoloPickleValue *class = yolo_pickle_class (module);
  return class != NULL ? class->text : "";
}

YoloPickleItems
yolo_torch_children (const YoloPickleValue *module)
{
  return yolo_pickle_pairs (yolo_pickle_attribute (module, "_modules"));
}

const YoloPickleValue *
yolo_torch_child (const YoloPickleValue *module, const char *name)
{
  return yolo_pickle_lookup (yolo_pickle_attribute (module, "_modules"), name);
}

gboolean
yolo_torch_refuse (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    YoloNetworkError code, const char *what, GError **error)
{
  return yolo_network_fail (
      error, code, "%.200s (%.100s) %s", builder->path->str, yolo_torch_class (module), what);
}

gboolean
yolo_torch_check_children (const YoloTorchBuilder *builder, const YoloPickleValue *module,
    const char *const *names, GError **error)
{
  YoloPickleItems children = yolo_torch_children (module);

  for (guint i = 0; i < children.n; i += 2) {
    const char *name = yolo_pickle_string (children.values[i]);
    if (name == NULL || !g_strv_contains (names, name))
      return yolo_network_fail (error, UNSUPPORTED,
          "%.200s (%.100s) has a part '%.100s', which is not supported", builder->path->str,
          yolo_torch_class (module), name != NULL ? name : "?");
  }
  return TRUE;
}

const YoloPickleValue *
yolo_torch_enter (
    YoloTorchBuilder *builder, const YoloPickleValue *parent, const char *name, GError **error)
{
  const YoloPickleValue *module = yolo_torch_child (parent, name);

  if (yolo_pickle_is_none (module) || yolo_pickle_class (module) == NULL) {
    yolo_network_set_error (error, FORMAT, "%.200s (%.100s) has no part '%.100s'",
        builder->path->str, yolo_torch_class (parent), name);
    return NULL;
  }
  if (builder->depth == MAX_DEPTH || builder->n_modules == MAX_MODULES) {
    yolo_torch_refuse (
        builder, parent, UNSUPPORTED, "has more modules within than any YOLO", error);
    return NULL;
  }
  builder->depth++;
  builder->n_modules++;
  g_string_append_printf (builder->path, ".%.100s", name);
  return module;
}

void
yolo_torch_leave (YoloTorchBuilder *builder)
{
  builder->depth--;
  g_string_truncate (
      builder->path, (gsize) (strrchr (builder->path->str, '.') - builder->path->str));
}

guint
yolo_torch_run (YoloTorchBuilder *builder, const YoloPickleValue *parent, const char *name,
    guint in, GError **error)
{
  const YoloPickleValue *module = yolo_torch_enter (builder, parent, name, error);
  guint layer;

  if (module == NULL)
    return YOLO_LAYER_NONE;
  layer = yolo_torch_module (builder, module, in, error);
  yolo_torch_leave (builder);
  return layer;
}

gboolean
yolo_torch_pair (const YoloTorchBuilder *builder, const YoloPickleValue *module, const char *name,
    guint min, guint max, guint *pair, GError **error)
{
  const YoloPickleValue *value = yolo_pickle_attribute (module, name);
  guint n = yolo_pickle_items (value).n;

  for (guint d = 0; d < 2; d++) {
    double number;
    if (n == 1 || n > 2
        || !yolo_pickle_number (n == 2 ? yolo_pickle_item (value, d) : value, &number)
        || !(number >= min && number <= max) || number != floor (number))
      return yolo_network_fail (error, UNSUPPORTED,
          "%.200s (%.100s) has a %s that is not supported", builder->path->str,
          yolo_torch_class (module), name);
    pair[d] = (guint) number;
  }
  return TRUE;
}

/* A tensor among the module's "_parameters" or "_buffers"; *numbers is NULL where it is left out
 * and @optional. */
static gboolean
read_numbers (YoloTorchBuilder *builder, const YoloPickleValue *module, const char *where,
    const char *name, gboolean optional, guint n_dims, gsize *dims, float **numbers, GError **error)
{
  const YoloPickleValue *value = yolo_pickle_lookup (yolo_pickle_attribute (module, where), name);
  g_autofree char *what = g_strdup_printf ("%s.%s", builder->path->str, name);

  *numbers = NULL;
  if (optional && yolo_pickle_is_none (value))
    return TRUE;
  *numbers = yolo_checkpoint_floats (builder->checkpoint, value, what, n_dims, dims, error);
  return *numbers != NULL;
}

/* torch.nn.Conv2d: what its weights do not tell. */
static gboolean
conv_shape (
    YoloTorchBuilder *builder, const YoloPickleValue *module, YoloConv *shape, GError **error)
{
  gint64 groups;

  if (!yolo_pickle_is_string (yolo_pickle_attribute (module, "padding_mode"), "zeros"))
    return yolo_torch_refuse (
        builder, module, UNSUPPORTED, "does not pad with zeros, which is not supported", error);
  if (!yolo_pickle_int (yolo_pickle_attribute (module, "groups"), &groups) || groups < 1
      || groups > MAX_GROUPS)
    return yolo_torch_refuse (builder, module, FORMAT, "has an impossible number of groups", error);
  shape->groups = (guint) groups;
  return yolo_torch_pair (builder, module, "stride", 1, MAX_WINDOW, shape->stride, error)
      && yolo_torch_pair (builder, module, "padding", 0, MAX_WINDOW, shape->pad, error)
      && yolo_torch_pair (builder, module, "dilation", 1, MAX_WINDOW, shape->dilation, error);
}

/* torch.nn.Conv2d. Channels and kernel are those of the weights: what the attributes say, pruning
 * leaves as it was. */
static guint
conv (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  YoloConv shape = { 0 };
  g_autofree float *weights = NULL, *bias = NULL;
  gsize dims[4] = { 0 }, out;

  if (!conv_shape (builder, module, &shape, error)
      || !read_numbers (builder, module, "_parameters", "weight", FALSE, 4, dims, &weights, error))
    return YOLO_LAYER_NONE;
  out = dims[0];
  if (!read_numbers (builder, module, "_parameters", "bias", TRUE, 1, &out, &bias, error))
    return YOLO_LAYER_NONE;
  if (dims[1] > G_MAXINT32 / shape.groups) {
    yolo_torch_refuse (builder, module, FORMAT, "has too many channels", error);
    return YOLO_LAYER_NONE;
  }
  if (bias == NULL)
    bias = g_new0 (float, out);
  shape.out_channels = (guint) dims[0];
  shape.in_channels = (guint) dims[1] * shape.groups;
  shape.kernel[0] = (guint) MIN (dims[2], G_MAXINT32);
  shape.kernel[1] = (guint) MIN (dims[3], G_MAXINT32);
  return yolo_graph_conv (builder->graph, builder->path->str, in, &shape,
      g_steal_pointer (&weights), g_steal_pointer (&bias), NULL, error);
}

/* torch.nn.BatchNorm2d as it is after training: (x - mean) / sqrt (var + eps) * weight + bias. */
static guint
batch_norm (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  gsize n = yolo_layer_at (builder->graph->layers, in)->channels;
  g_autofree float *scale = NULL, *shift = NULL, *mean = NULL, *variance = NULL;
  double eps;

  if (!read_numbers (builder, module, "_parameters", "weight", FALSE, 1, &n, &scale, error)
      || !read_numbers (builder, module, "_parameters", "bias", FALSE, 1, &n, &shift, error)
      || !read_numbers (builder, module, "_buffers", "running_mean", FALSE, 1, &n, &mean, error)
      || !read_numbers (builder, module, "_buffers", "running_var", FALSE, 1, &n, &variance, error))
    return YOLO_LAYER_NONE;
  if (!yolo_pickle_number (yolo_pickle_attribute (module, "eps"), &eps)) {
    yolo_torch_refuse (builder, module, FORMAT, "has no eps", error);
    return YOLO_LAYER_NONE;
  }
  for (gsize c = 0; c < n; c++) {
    double factor = scale[c] / sqrt (variance[c] + eps);

    scale[c] = (float) factor;
    shift[c] = (float) (shift[c] - mean[c] * factor);
    if (!isfinite (scale[c]) || !isfinite (shift[c])) {
      yolo_torch_refuse (builder, module, FORMAT, "has an impossible variance", error);
      return YOLO_LAYER_NONE;
    }
  }
  return yolo_graph_affine (builder->graph, builder->path->str, in, g_steal_pointer (&scale),
      g_steal_pointer (&shift), error);
}

static guint
identity (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  return in;
}

/* torch.nn.PReLU: one slope, or one for each channel. */
static guint
prelu (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint channels = yolo_layer_at (builder->graph->layers, in)->channels;
  g_autofree float *read = NULL, *slopes = g_new (float, channels);
  gsize n = 0;

  if (!read_numbers (builder, module, "_parameters", "weight", FALSE, 1, &n, &read, error))
    return YOLO_LAYER_NONE;
  if (n != 1 && n != channels) {
    yolo_torch_refuse (builder, module, FORMAT, "does not fit its input's channels", error);
    return YOLO_LAYER_NONE;
  }
  for (guint c = 0; c < channels; c++)
    slopes[c] = read[n == 1 ? 0 : c];
  return yolo_compose_prelu (builder->graph, builder->path->str, in, slopes, error);
}

/* torch.nn.MaxPool2d. */
static guint
max_pool (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint kernel[2], stride[2], pad[2], dilation[2];
  gboolean ceil_mode = FALSE;

  if (!yolo_torch_pair (builder, module, "kernel_size", 1, MAX_WINDOW, kernel, error)
      || !yolo_torch_pair (builder, module, "stride", 1, MAX_WINDOW, stride, error)
      || !yolo_torch_pair (builder, module, "padding", 0, MAX_WINDOW, pad, error)
      || !yolo_torch_pair (builder, module, "dilation", 1, 1, dilation, error))
    return YOLO_LAYER_NONE;
  yolo_pickle_bool (yolo_pickle_attribute (module, "ceil_mode"), &ceil_mode);
  if (ceil_mode || kernel[0] != kernel[1] || stride[0] != stride[1] || pad[0] != pad[1]) {
    yolo_torch_refuse (
        builder, module, UNSUPPORTED, "has windows of a kind that is not supported", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_graph_max_pool (
      builder->graph, builder->path->str, in, kernel[0], stride[0], pad[0], error);
}

/* torch.nn.ConvTranspose2d whose windows lie side by side. */
static guint
conv_transpose (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  gsize dims[4] = { yolo_layer_at (builder->graph->layers, in)->channels }, out;
  g_autofree float *weights = NULL, *bias = NULL;
  guint extra[2];
  YoloConv shape = { 0 };

  if (!conv_shape (builder, module, &shape, error)
      || !yolo_torch_pair (builder, module, "output_padding", 0, 0, extra, error)
      || !read_numbers (builder, module, "_parameters", "weight", FALSE, 4, dims, &weights, error))
    return YOLO_LAYER_NONE;
  out = dims[1];
  if (!read_numbers (builder, module, "_parameters", "bias", TRUE, 1, &out, &bias, error))
    return YOLO_LAYER_NONE;
  if (shape.groups != 1 || dims[2] != shape.stride[0] || dims[3] != shape.stride[1]
      || dims[2] != dims[3] || shape.pad[0] + shape.pad[1] > 0 || shape.dilation[0] != 1
      || shape.dilation[1] != 1 || dims[1] > G_MAXINT32) {
    yolo_torch_refuse (builder, module, UNSUPPORTED,
        "has windows that overlap or have gaps, which is not supported", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_compose_conv_transpose (builder->graph, builder->path->str, in, shape.stride[0],
      (guint) dims[1], weights, bias, error);
}

/* torch.nn.AvgPool2d. */
static guint
average_pool (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint kernel[2], stride[2], pad[2];
  gboolean ceil_mode = FALSE, counts_padding = TRUE;

  if (!yolo_torch_pair (builder, module, "kernel_size", 1, MAX_WINDOW, kernel, error)
      || !yolo_torch_pair (builder, module, "stride", 1, MAX_WINDOW, stride, error)
      || !yolo_torch_pair (builder, module, "padding", 0, MAX_WINDOW, pad, error))
    return YOLO_LAYER_NONE;
  yolo_pickle_bool (yolo_pickle_attribute (module, "ceil_mode"), &ceil_mode);
  yolo_pickle_bool (yolo_pickle_attribute (module, "count_include_pad"), &counts_padding);
  if (ceil_mode || kernel[0] != kernel[1] || stride[0] != stride[1] || pad[0] != pad[1]
      || (pad[0] > 0 && !counts_padding)
      || !yolo_pickle_is_none (yolo_pickle_attribute (module, "divisor_override"))) {
    yolo_torch_refuse (
        builder, module, UNSUPPORTED, "has windows of a kind that is not supported", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_compose_average_pool (
      builder->graph, builder->path->str, in, kernel[0], stride[0], pad[0], error);
}

/* torch.nn.AdaptiveAvgPool2d to one pixel. */
static guint
global_pool (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint size[2];

  if (!yolo_torch_pair (builder, module, "output_size", 1, 1, size, error))
    return YOLO_LAYER_NONE;
  return yolo_graph_op (builder->graph, builder->path->str, YOLO_OP_GLOBAL_POOL, &in,
      &(YoloOpNumbers){ 0 }, error);
}

/* torch.nn.Linear, on the one pixel of what was pooled. */
static guint
linear (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  gsize dims[2] = { 0, yolo_layer_at (builder->graph->layers, in)->channels };
  g_autofree float *weights = NULL, *bias = NULL;

  if (!read_numbers (builder, module, "_parameters", "weight", FALSE, 2, dims, &weights, error)
      || !read_numbers (builder, module, "_parameters", "bias", TRUE, 1, dims, &bias, error))
    return YOLO_LAYER_NONE;
  if (dims[0] > G_MAXINT32) {
    yolo_torch_refuse (builder, module, FORMAT, "has too many channels", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_compose_linear (
      builder->graph, builder->path->str, in, (guint) dims[0], weights, bias, error);
}

/* torch.nn.Upsample. */
static guint
upsample (YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint factor[2];

  if (!yolo_pickle_is_none (yolo_pickle_attribute (module, "size"))
      || !yolo_pickle_is_string (yolo_pickle_attribute (module, "mode"), "nearest")) {
    yolo_torch_refuse (builder, module, UNSUPPORTED,
        "enlarges in another manner than by the nearest pixel, which is not supported", error);
    return YOLO_LAYER_NONE;
  }
  if (!yolo_torch_pair (builder, module, "scale_factor", 1, MAX_WINDOW, factor, error))
    return YOLO_LAYER_NONE;
  if (factor[0] != factor[1]) {
    yolo_torch_refuse (builder, module, UNSUPPORTED, "enlarges its two sides differently", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_graph_upsample (builder->graph, builder->path->str, in, factor[0], error);
}

/* By the last part of the class's name: what is in front of it changed between versions. */
static const struct {
  const char *class;
  YoloTorchModule *module;
} classes[] = {
  { "A2C2f", yolo_torch_a2c2f },
  { "AAttn", yolo_torch_area_attention },
  { "ABlock", yolo_torch_area_block },
  { "AConv", yolo_torch_aconv },
  { "ADown", yolo_torch_adown },
  { "AdaptiveAvgPool2d", global_pool },
  { "Attention", yolo_torch_attention },
  { "AvgPool2d", average_pool },
  { "BatchNorm2d", batch_norm },
  { "Bottleneck", yolo_torch_bottleneck },
  { "C2", yolo_torch_c2 },
  { "C2PSA", yolo_torch_c2psa },
  { "C2f", yolo_torch_c2f },
  { "C2fCIB", yolo_torch_c2f },
  { "C2fPSA", yolo_torch_c2f },
  { "C2f_v2", yolo_torch_c2f },
  { "C3", yolo_torch_c3 },
  { "C3k", yolo_torch_c3 },
  { "C3k2", yolo_torch_c2f },
  { "CIB", yolo_torch_cib },
  { "Conv", yolo_torch_conv_block },
  { "CBLinear", yolo_torch_cb_linear },
  { "Conv2d", conv },
  { "ConvTranspose2d", conv_transpose },
  { "DWConv", yolo_torch_conv_block },
  { "Dropout", identity },
  { "ELAN1", yolo_torch_elan },
  { "ELU", yolo_torch_activation },
  { "GELU", yolo_torch_gelu },
  { "Hardsigmoid", yolo_torch_activation },
  { "Hardswish", yolo_torch_activation },
  { "Hardtanh", yolo_torch_activation },
  { "Identity", identity },
  { "LeakyReLU", yolo_torch_activation },
  { "Linear", linear },
  { "MaxPool2d", max_pool },
  { "Mish", yolo_torch_activation },
  { "PReLU", prelu },
  { "PSA", yolo_torch_c2psa },
  { "PSABlock", yolo_torch_psa_block },
  { "ReLU", yolo_torch_activation },
  { "ReLU6", yolo_torch_activation },
  { "RepBottleneck", yolo_torch_bottleneck },
  { "RepCSP", yolo_torch_c3 },
  { "RepConv", yolo_torch_branches },
  { "RepConvN", yolo_torch_branches },
  { "RepNCSPELAN4", yolo_torch_elan },
  { "RepVGGDW", yolo_torch_branches },
  { "SCDown", yolo_torch_scdown },
  { "SPPELAN", yolo_torch_sppelan },
  { "SPPF", yolo_torch_sppf },
  { "Sequential", yolo_torch_sequence },
  { "SiLU", yolo_torch_activation },
  { "Sigmoid", yolo_torch_activation },
  { "Upsample", upsample },
};

guint
yolo_torch_module (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  const char *class = yolo_torch_class (module);

  for (guint i = 0; i < G_N_ELEMENTS (classes); i++) {
    if (strcmp (classes[i].class, class) == 0)
      return classes[i].module (builder, module, in, error);
  }
  yolo_torch_refuse (builder, module, UNSUPPORTED,
      "is not supported yet; the blocks of YOLOv5u and YOLOv8 to YOLO26 are", error);
  return YOLO_LAYER_NONE;
}
