/* SPDX-License-Identifier: MIT */
#include "network/int8.h"
#include "base/error.h"
#include "network/private.h"

#include <math.h>
#include <string.h>

/* How a reader wants the output of a layer: the mode of a version. Where the file's own
 * quantisers leave a layer on a grid, PLAIN is on that grid. */
enum {
  PLAIN,                        /* as the layer makes it */
  FLOAT,                        /* in floats, where PLAIN is on a grid */
  OWN,                          /* on the grid of its calibrated range */
  /* + n: on the grid of the file's layer n, of type YOLO_LAYER_QUANT */
  FILE_GRID,
};

typedef struct {
  guint mode;
  guint layer;                  /* number in the new model; YOLO_LAYER_NONE until it is made */
} Version;

typedef struct {
  const Model *model;
  const YoloCalibration *calibration;
  YoloInt8Kind kind;
  GArray **versions;            /* [layers of the old model], of Version */
  /* [layers]: the mode FILE_GRID + n whose grid PLAIN is on; PLAIN if it is on no grid */
  guint *natural;
  /* [layers]: the mode that readers get which take floats and grids alike */
  guint *either;
  GArray *layers;               /* of YoloLayer: the new model's */
  GPtrArray *owned;
  guint n_demands;
  guint64 n_channels;           /* sum over all versions */
} Builder;

/* What a model may take in 8 bits. Quantisers that each read many parts want a version of
 * each part on their own grid, so that few layers become many. */
#define MAX_DEMANDS 100000
#define MAX_CHANNELS ((guint64) 1 << 24)

static YoloLayer *
old_layer (const Builder *builder, guint i)
{
  return yolo_layer_at (builder->model->layers, i);
}

static void *
own (Builder *builder, gsize n, gsize size)
{
  void *data = g_malloc0_n (MAX (n, 1), size);

  g_ptr_array_add (builder->owned, data);
  return data;
}

static gsize
taps (const YoloConv *conv)
{
  return (gsize) conv->kernel[0] * conv->kernel[1];
}

/* A sum must fit an int32: 65536 products of 128 * 255 fill it, and the bias is added.
 * Back ends have kernels of up to 7 x 7 pixels. */
static gboolean
fits_int8 (const YoloConv *conv)
{
  return conv->groups == 1 && conv->in_channels * taps (conv) <= 60000 && taps (conv) <= 49;
}

static gboolean
is_map (const YoloModel *model, guint layer)
{
  for (guint k = 0; k < model->n_outputs; k++) {
    if (model->outputs[k].layer == layer)
      return TRUE;
  }
  return FALSE;
}

/* Whether a layer hands on numbers as they are. */
static gboolean
passes_on (const YoloLayer *layer)
{
  return layer->type == YOLO_LAYER_SLICE || layer->type == YOLO_LAYER_CONCAT
      || (layer->type == YOLO_LAYER_OP && !yolo_layer_computes (layer));
}

/* Whether a layer is an operation that takes nothing but floats. */
static gboolean
reads_floats (const YoloLayer *layer)
{
  return layer->type == YOLO_LAYER_OP && yolo_op_traits (layer->op)->reads_floats;
}

/* Finds the grids that the file's own quantisers leave the layers on. Of two equal grids
 * the first stands for both. */
static void
find_natural (Builder *builder)
{
  g_autoptr (GHashTable) grids =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);

  for (guint i = 0; i < builder->model->layers->len; i++) {
    const YoloLayer *layer = old_layer (builder, i);

    builder->natural[i] = PLAIN;
    if (layer->type == YOLO_LAYER_QUANT && builder->calibration == NULL) {
      GBytes *grid = g_bytes_new (&layer->grid, sizeof layer->grid);
      guint first = GPOINTER_TO_UINT (g_hash_table_lookup (grids, grid));

      builder->natural[i] = first != 0 ? first : FILE_GRID + i;
      g_hash_table_insert (grids, grid, GUINT_TO_POINTER (builder->natural[i]));
    } else if (passes_on (layer)) {
      builder->natural[i] = builder->natural[layer->in[0]];
      for (guint k = 1; k < layer->n_in; k++) {
        if (builder->natural[layer->in[k]] != builder->natural[i])
          builder->natural[i] = PLAIN;
      }
    }
  }
}

static Version *
find_version (const Builder *builder, guint layer, guint mode)
{
  GArray *versions = builder->versions[layer];

  for (guint k = 0; k < versions->len; k++) {
    Version *version = &g_array_index (versions, Version, k);
    if (version->mode == mode)
      return version;
  }
  return NULL;
}

/* Whether a grid is that of grey levels, which the input is on. */
static gboolean
is_levels (YoloGrid grid)
{
  return grid.zero == 0 && fabsf (grid.scale - 1) < 1e-3f;
}

/* The mode that stands for this mode of the layer: PLAIN where both mean the same. */
static guint
canonical (const Builder *builder, guint layer, guint mode)
{
  guint natural = builder->natural[layer];

  if (mode == natural || (mode == FLOAT && natural == PLAIN))
    return PLAIN;
  if (layer == 0
      && (mode == OWN
          || (mode >= FILE_GRID && is_levels (old_layer (builder, mode - FILE_GRID)->grid))))
    return PLAIN;
  return mode;
}

static gboolean
too_many (const Builder *builder)
{
  return builder->n_demands > MAX_DEMANDS || builder->n_channels > MAX_CHANNELS;
}

static void
demand (Builder *builder, guint layer, guint mode)
{
  Version version = { canonical (builder, layer, mode), YOLO_LAYER_NONE };

  builder->n_demands++;
  if (too_many (builder) || find_version (builder, layer, version.mode) != NULL)
    return;
  builder->n_channels += old_layer (builder, layer)->channels;
  /* the PLAIN version comes first, since others are made of it */
  if (version.mode == PLAIN)
    g_array_prepend_val (builder->versions[layer], version);
  else
    g_array_append_val (builder->versions[layer], version);
}

/* The mode in which a convolution wants its input. *int8: whether it runs in int8. */
static guint
conv_mode (const Builder *builder, guint i, gboolean *int8)
{
  const YoloLayer *layer = old_layer (builder, i);

  if (builder->calibration != NULL) {
    *int8 = builder->calibration->layers[i].int8 && fits_int8 (&layer->conv);
    return *int8 ? OWN : PLAIN;
  }
  *int8 = layer->conv.weight_scale != NULL && fits_int8 (&layer->conv)
      && builder->natural[layer->in[0]] != PLAIN;
  return *int8 ? PLAIN : FLOAT;
}

/* Demands a version of a layer for readers that take floats and grids alike: one that is
 * there already, if there is one. */
static void
demand_either (Builder *builder, guint layer)
{
  gboolean own_grid =
      find_version (builder, layer, PLAIN) == NULL && find_version (builder, layer, OWN) != NULL;

  builder->either[layer] = own_grid ? OWN : PLAIN;
  demand (builder, layer, builder->either[layer]);
}

/* Whether a version is made of the PLAIN one by rounding it, or by turning it into floats. */
static gboolean
is_converted (const YoloLayer *layer, guint mode)
{
  if (mode == PLAIN)
    return FALSE;
  if (layer->type == YOLO_LAYER_QUANT)
    return mode != OWN;
  if (layer->type == YOLO_LAYER_SLICE)
    return mode != OWN;         /* converting the part is less than converting the whole */
  return !passes_on (layer) || mode == FLOAT;
}

/* The mode of the inputs of a layer that hands on numbers, or of a quantiser, of which the
 * version in this mode is made. */
static guint
input_mode (const Builder *builder, guint i, guint mode)
{
  if (mode != PLAIN)
    return mode;
  if (old_layer (builder, i)->type == YOLO_LAYER_QUANT)
    return builder->natural[i];
  /* parts on different grids are joined as floats */
  return builder->natural[i] == PLAIN ? FLOAT : PLAIN;
}

static void
demand_inputs (Builder *builder, guint i)
{
  const YoloLayer *layer = old_layer (builder, i);
  GArray *versions = builder->versions[i];
  gboolean converted = FALSE, int8;

  for (guint v = 0; v < versions->len; v++)
    converted |= is_converted (layer, g_array_index (versions, Version, v).mode);
  if (converted)
    demand (builder, i, PLAIN);
  if (layer->type == YOLO_LAYER_CONV && versions->len > 0)
    demand (builder, layer->in[0], conv_mode (builder, i, &int8));
  for (guint k = 0; reads_floats (layer) && versions->len > 0 && k < layer->n_in; k++)
    demand (builder, layer->in[k], FLOAT);
  for (guint v = 0; v < versions->len; v++) {
    guint mode = g_array_index (versions, Version, v).mode;

    if (is_converted (layer, mode) || (!passes_on (layer) && layer->type != YOLO_LAYER_QUANT))
      continue;
    for (guint k = 0; k < layer->n_in && !too_many (builder); k++)
      demand (builder, layer->in[k], input_mode (builder, i, mode));
  }
}

/* Demands versions from the outputs back: when it is a layer's turn, all layers that read
 * it have said what they want. */
static void
demand_all (Builder *builder)
{
  const YoloModel *public = &builder->model->public;
  g_autofree gboolean *wanted = g_new0 (gboolean, builder->model->layers->len);

  for (guint k = 0; k < public->n_outputs; k++)
    demand (builder, public->outputs[k].layer, PLAIN);
  for (guint i = builder->model->layers->len; i-- > 0 && !too_many (builder);) {
    const YoloLayer *layer = old_layer (builder, i);

    if (wanted[i])
      demand_either (builder, i);
    demand_inputs (builder, i);
    if (builder->versions[i]->len == 0)
      continue;
    if (layer->residual != YOLO_LAYER_NONE)
      wanted[layer->residual] = TRUE;
    if (layer->type != YOLO_LAYER_OP || !yolo_layer_computes (layer) || reads_floats (layer))
      continue;
    for (guint k = 0; k < layer->n_in; k++)
      wanted[layer->in[k]] = TRUE;
  }
}

static YoloGrid
grid_of_range (const Builder *builder, float low, float high)
{
  YoloGrid grid;

  if (builder->kind == YOLO_INT8_SYMMETRIC)
    return (YoloGrid) { MAX (-low, high) / 127, 0 };
  grid.scale = (high - low) / 255;
  grid.zero = (gint32) rintf (-low / grid.scale);
  return grid;
}

/* The grid of a file, whose zero point is 0 to 255, in the kind of the back end. */
static YoloGrid
grid_of_file (const Builder *builder, YoloGrid grid)
{
  if (builder->kind != YOLO_INT8_SYMMETRIC)
    return grid;
  if (grid.zero == 128)
    return (YoloGrid) { grid.scale, 0 };
  return (YoloGrid) { grid.scale * (float) MAX (grid.zero, 255 - grid.zero) / 127, 0 };
}

static void
fill_grid (Builder *builder, YoloLayer *layer, YoloGrid grid)
{
  layer->grid = grid;
  layer->grid_scale = own (builder, layer->channels, sizeof (float));
  layer->grid_zero = own (builder, layer->channels, sizeof (gint32));
  for (guint c = 0; c < layer->channels; c++) {
    layer->grid_scale[c] = grid.scale;
    layer->grid_zero[c] = grid.zero;
  }
}

/* Puts a layer that hands on numbers on the grids of its inputs, channel by channel. If an
 * input is in floats, so is the layer. */
static void
inherit_grid (Builder *builder, YoloLayer *layer)
{
  guint channel = 0;

  for (guint k = 0; k < layer->n_in; k++) {
    if (yolo_layer_at (builder->layers, layer->in[k])->grid_scale == NULL)
      return;
  }
  layer->grid_scale = own (builder, layer->channels, sizeof (float));
  layer->grid_zero = own (builder, layer->channels, sizeof (gint32));
  for (guint k = 0; k < layer->n_in; k++) {
    const YoloLayer *in = yolo_layer_at (builder->layers, layer->in[k]);
    guint begin = layer->type == YOLO_LAYER_SLICE ? layer->begin : 0;
    guint n = layer->type == YOLO_LAYER_CONCAT ? in->channels : layer->channels;

    memcpy (layer->grid_scale + channel, in->grid_scale + begin, n * sizeof (float));
    memcpy (layer->grid_zero + channel, in->grid_zero + begin, n * sizeof (gint32));
    channel += n;
  }
}

/* Appends a copy of an old layer with new inputs. What the copy points to stays the base
 * model's. Returns its number. */
static guint
append (Builder *builder, const YoloLayer *old, YoloLayerType type, guint n_in)
{
  YoloLayer layer = *old;

  layer.type = type;
  layer.n_in = n_in;
  layer.in = own (builder, n_in, sizeof (guint));
  layer.residual = YOLO_LAYER_NONE;
  layer.weights = layer.bias = layer.weight_scale = layer.scale = layer.shift = NULL;
  layer.grid_scale = NULL;
  layer.grid_zero = NULL;
  layer.uses = 0;
  g_array_append_val (builder->layers, layer);
  return builder->layers->len - 1;
}

static guint
version_layer (const Builder *builder, guint layer, guint mode)
{
  return find_version (builder, layer, canonical (builder, layer, mode))->layer;
}

/* Moves rounded weights to the other neighbour, the nearest to it first, until their
 * errors add up to half a step at most. @error: [n], what rounding has added to each
 * weight, in steps. */
static void
balance (gint8 *weights, float *error, gsize n)
{
  double sum = 0;

  for (gsize k = 0; k < n; k++)
    sum += error[k];
  while (fabs (sum) > .5) {
    gint down = sum > 0 ? 1 : -1;
    float most = 0;
    gsize best = n;

    for (gsize k = 0; k < n; k++) {
      if (down * error[k] > most && ABS (weights[k] - down) <= 127) {
        most = down * error[k];
        best = k;
      }
    }
    if (best == n)
      return;
    weights[best] = (gint8) (weights[best] - down);
    error[best] -= (float) down;
    sum -= down;
  }
}

/* Rounds the weights of one output channel to multiples of a step. Neighbouring pixels are
 * alike and most maps have a mean above 0, so that errors which add up over the taps of a
 * channel, or over all channels, do more harm than others. */
static void
round_weights (
    const YoloConv *conv, const float *weights, const float *scale, float step, gint8 *to)
{
  gsize n = taps (conv), all = n * conv->in_channels;
  g_autofree float *error = g_new (float, all);

  for (gsize k = 0; k < all; k++) {
    float exact = weights[k] * scale[k / n] / step;
    to[k] = (gint8) CLAMP (rintf (exact), -128, 127);
    error[k] = (float) to[k] - exact;
  }
  if (conv->weight_scale != NULL)
    return;
  for (guint i = 0; i < conv->in_channels; i++)
    balance (to + i * n, error + i * n, n);
  balance (to, error, all);
}

/* Takes the bias of a file that is a whole number of steps into the offset, so that the
 * sum is what the file's own runtime has, to the last bit. FALSE: the bias is no whole
 * number. */
static gboolean
whole_bias (float bias, float step, gint32 *offset)
{
  float q = rintf (bias / step);

  if (!(fabsf (q) < 1 << 22) || fabsf (q * step - bias) > 1e-3f * fabsf (step))
    return FALSE;
  *offset -= (gint32) q;
  return TRUE;
}

/* Makes a convolution in whole numbers, for input on these grids [in]. *bias [out] is what
 * is added in floats. NULL if a multiplier is not finite. */
static const YoloInt8Conv *
quantize_conv (Builder *builder, const YoloLayer *layer, const float *scale, const gint32 *zero,
    const float **bias)
{
  const YoloConv *conv = &layer->conv;
  gsize n = taps (conv), per_channel = n * conv->in_channels;
  YoloInt8Conv *int8 = own (builder, 1, sizeof *int8);
  /* what remains of the bias in floats */
  float *rest = own (builder, conv->out_channels, sizeof (float));

  int8->weights = own (builder, per_channel * conv->out_channels, 1);
  int8->multiplier = own (builder, conv->out_channels, sizeof (float));
  int8->offset = own (builder, conv->out_channels, sizeof (gint32));
  int8->zero = own (builder, conv->in_channels, sizeof (gint32));
  memcpy (int8->zero, zero, conv->in_channels * sizeof (gint32));
  if (builder->calibration == NULL && builder->kind == YOLO_INT8_ASYMMETRIC) {
    int8->sum = layer->sum_grid;
    int8->sigmoid = layer->sigmoid_grid;
    int8->act = layer->act_grid;
  }
  for (guint o = 0; o < conv->out_channels; o++) {
    const float *weights = conv->weights + o * per_channel;
    /* the step of weights that are whole already; then all channels have one scale */
    float step = conv->weight_scale != NULL ? scale[0] * conv->weight_scale[o] : 0;

    if (conv->weight_scale == NULL) {
      for (gsize k = 0; k < per_channel; k++)
        step = MAX (step, fabsf (weights[k] * scale[k / n]));
      step /= 127;
    }
    /* divided in this order, as runtimes of such files do, to the same last bit */
    int8->multiplier[o] = int8->sum.scale != 0 ? step / int8->sum.scale : step;
    if (!isfinite (int8->multiplier[o]))
      return NULL;
    if (step != 0)
      round_weights (conv, weights, scale, step, int8->weights + o * per_channel);
    for (gsize k = 0; k < per_channel; k++)
      int8->offset[o] += int8->weights[o * per_channel + k] * zero[k / n];
    if (conv->weight_scale == NULL || builder->kind == YOLO_INT8_SYMMETRIC
        || !whole_bias (conv->bias[o], step, &int8->offset[o]))
      rest[o] = int8->sum.scale != 0 ? conv->bias[o] / int8->sum.scale : conv->bias[o];
  }
  *bias = rest;
  return int8;
}

/* Makes the PLAIN version of layer @i: the layer itself. */
static guint
make_plain (Builder *builder, guint i)
{
  const YoloLayer *old = old_layer (builder, i);
  guint index = append (builder, old, old->type, old->n_in);
  YoloLayer *layer = yolo_layer_at (builder->layers, index);
  gboolean int8 = FALSE;

  for (guint k = 0; k < old->n_in; k++) {
    guint mode = old->type == YOLO_LAYER_CONV ? conv_mode (builder, i, &int8)
        : passes_on (old)                     ? input_mode (builder, i, PLAIN)
        : reads_floats (old)                  ? FLOAT
                                              : builder->either[old->in[k]];
    layer->in[k] = version_layer (builder, old->in[k], mode);
  }
  if (old->residual != YOLO_LAYER_NONE)
    layer->residual = version_layer (builder, old->residual, builder->either[old->residual]);
  if (old->type == YOLO_LAYER_INPUT)
    fill_grid (builder, layer,
        builder->kind == YOLO_INT8_SYMMETRIC ? (YoloGrid){ 255.f / 127, 0 } : (YoloGrid){ 1, 0 });
  else if (passes_on (layer))
    inherit_grid (builder, layer);
  if (int8) {
    const YoloLayer *in = yolo_layer_at (builder->layers, layer->in[0]);
    if (in->grid_scale != NULL)
      layer->conv.int8 =
          quantize_conv (builder, old, in->grid_scale, in->grid_zero, &layer->conv.bias);
  }
  return index;
}

/* Appends a layer that turns a version of layer @i, number @from, into another one. */
static guint
convert (Builder *builder, guint i, guint from, YoloLayerType type, YoloGrid grid)
{
  guint index = append (builder, old_layer (builder, i), type, 1);
  YoloLayer *layer = yolo_layer_at (builder->layers, index);

  layer->in[0] = from;
  layer->begin = 0;
  if (type == YOLO_LAYER_QUANT)
    fill_grid (builder, layer, grid);
  return index;
}

static guint
make_version (Builder *builder, guint i, guint mode)
{
  const YoloLayer *old = old_layer (builder, i);
  const YoloLayerCalibration *range =
      builder->calibration != NULL ? &builder->calibration->layers[i] : NULL;
  YoloGrid grid = { 0 };

  if (old->type == YOLO_LAYER_QUANT && !is_converted (old, mode))
    return version_layer (builder, old->in[0], input_mode (builder, i, mode));
  if (mode == PLAIN)
    return make_plain (builder, i);
  if (!is_converted (old, mode)) {
    guint index = append (builder, old, old->type, old->n_in);
    for (guint k = 0; k < old->n_in; k++)
      yolo_layer_at (builder->layers, index)->in[k] = version_layer (builder, old->in[k], mode);
    inherit_grid (builder, yolo_layer_at (builder->layers, index));
    return index;
  }
  if (mode == FLOAT)
    return convert (builder, i, version_layer (builder, i, PLAIN), YOLO_LAYER_DEQUANT, grid);
  grid = mode == OWN ? grid_of_range (builder, range->low, range->high)
      : grid_of_file (builder, old_layer (builder, mode - FILE_GRID)->grid);
  return convert (builder, i, version_layer (builder, i, PLAIN), YOLO_LAYER_QUANT, grid);
}

/* Counts the uses of layers, by which a plan knows what can be written on a grid at once. */
static void
count_uses (Model *model)
{
  for (guint i = 0; i < model->layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (model->layers, i);

    for (guint k = 0; k < layer->n_in; k++)
      yolo_layer_at (model->layers, layer->in[k])->uses++;
    if (layer->residual != YOLO_LAYER_NONE)
      yolo_layer_at (model->layers, layer->residual)->uses++;
  }
  for (guint k = 0; k < model->public.n_outputs; k++)
    yolo_layer_at (model->layers, model->public.outputs[k].layer)->uses++;
}

static gboolean
check_demands (const Builder *builder, GError **error)
{
  if (too_many (builder))
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
        "the model's quantisers read so many parts in so many "
        "ways that it is too large in int8; choose another precision");
  if (builder->calibration == NULL)
    return TRUE;
  for (guint i = 0; i < builder->model->layers->len; i++) {
    const YoloLayerCalibration *layer = &builder->calibration->layers[i];

    if (find_version (builder, i, OWN) != NULL && !passes_on (old_layer (builder, i))
        && old_layer (builder, i)->type != YOLO_LAYER_QUANT
        && !(layer->known && layer->high > layer->low))
      return yolo_network_fail (error, YOLO_NETWORK_ERROR_PRECISION,
          "the calibration table has no range for layer %u, "
          "'%.100s', which it wants in int8: calibrate again",
          i, old_layer (builder, i)->name);
  }
  return TRUE;
}

static void
builder_clear (Builder *builder)
{
  for (guint i = 0; i < builder->model->layers->len; i++)
    g_array_unref (builder->versions[i]);
  g_free (builder->versions);
  g_free (builder->natural);
  g_free (builder->either);
  g_clear_pointer (&builder->layers, g_array_unref);
  g_clear_pointer (&builder->owned, g_ptr_array_unref);
}

YoloModel *
yolo_model_to_int8 (
    YoloModel *public, const YoloCalibration *calibration, YoloInt8Kind kind, GError **error)
{
  const Model *base = (const Model *) public;
  guint n = base->layers->len;
  Builder builder = {
    .model = base,
    .calibration = calibration,
    .kind = kind,
    .versions = g_new (GArray *, n),
    .natural = g_new (guint, n),
    .either = g_new0 (guint, n),
    .layers = g_array_new (FALSE, FALSE, sizeof (YoloLayer)),
    .owned = g_ptr_array_new_with_free_func (g_free),
  };
  Model *model;

  g_return_val_if_fail (!public->int8 && (calibration == NULL || calibration->n_layers == n), NULL);
  for (guint i = 0; i < n; i++)
    builder.versions[i] = g_array_new (FALSE, FALSE, sizeof (Version));
  find_natural (&builder);
  demand_all (&builder);
  if (!check_demands (&builder, error)) {
    builder_clear (&builder);
    return NULL;
  }
  for (guint i = 0; i < n; i++) {
    for (guint v = 0; v < builder.versions[i]->len; v++) {
      guint mode = g_array_index (builder.versions[i], Version, v).mode;
      guint layer = make_version (&builder, i, mode);
      g_array_index (builder.versions[i], Version, v).layer = layer;
    }
  }

  model = g_new0 (Model, 1);
  model->public = *public;
  model->public.int8 = TRUE;
  model->public.calibration_problem = calibration != NULL ? g_strdup (calibration->problem) : NULL;
  model->ref = 1;
  model->base = (Model *) yolo_model_ref (public);
  model->rounding = base->rounding;
  if (calibration == NULL && kind == YOLO_INT8_ASYMMETRIC
      && (base->rounding.softmax.scale != 0 || base->rounding.distance.scale != 0))
    model->public.box_rounding = &model->rounding;
  for (guint k = 0; k < public->n_outputs; k++)
    model->public.outputs[k].layer = version_layer (&builder, public->outputs[k].layer, PLAIN);
  model->grid_dtype = kind == YOLO_INT8_SYMMETRIC ? YOLO_S8 : YOLO_U8;
  model->layers = g_steal_pointer (&builder.layers);
  model->owned = g_steal_pointer (&builder.owned);
  count_uses (model);
  builder_clear (&builder);
  return &model->public;
}

guint
yolo_model_n_layers (const YoloModel *model)
{
  return ((const Model *) model)->layers->len;
}

YoloLayerInfo
yolo_model_layer (const YoloModel *public, guint index)
{
  const Model *model = (const Model *) public;
  const YoloLayer *layer = yolo_layer_at (model->layers, index);

  return (YoloLayerInfo) {
    .name = layer->name,
    .conv = layer->type == YOLO_LAYER_CONV ? &layer->conv : NULL,
    .ranged = yolo_layer_computes (layer) && !is_map (public, index),
    .map = is_map (public, index),
    .height = layer->height, .width = layer->width, .channels = layer->channels,
  };
}
