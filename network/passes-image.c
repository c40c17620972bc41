/* SPDX-License-Identifier: MIT */
#include "network/passes.h"
#include "base/error.h"

#include <math.h>

#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

/* layers of type YOLO_LAYER_IMAGE; each is looked for in all layers */
#define MAX_IMAGES 16

/* What the file takes as its input: 0 to 1, 0 to 255, or what is open by one channel's
 * constants. */
typedef enum { RANGE_OPEN, RANGE_UNIT, RANGE_GREY } Range;

/* Tells the range by what the constants of a channel make of it, since networks are
 * trained on numbers of about 1: constants that divide by 16 or more, or take off a mean
 * of more than 1, want 0 to 255; constants that leave the numbers nearly as they are, or
 * spread them, want 0 to 1, as Ultralytics' files do. */
static Range
channel_range (float factor, float offset)
{
  float size = fabsf (factor);

  if (size <= 1.f / 16 || fabsf (offset) > size)
    return RANGE_GREY;
  return size >= .5f ? RANGE_UNIT : RANGE_OPEN;
}

/* Decides the range of the file's input and the order of its channels. A file that
 * reverses them takes pictures as OpenCV has them, B G R, and its first convolution gets R
 * G B, on which Ultralytics trains. Either way channel c of the layer is made of our
 * channel c. *unit is what a grey level is in the file's input. */
static gboolean
settle (const YoloLayer *layer, float *unit, GError **error)
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
            "R, G, B nor B, G, R; export the model with Ultralytics",
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

/* What each of our channels becomes: grey level / divisor + offset. */
typedef struct {
  float divisor[3], offset[3];
  gboolean plain;               /* all divisors are the same, all offsets 0 */
} Affine;

static gboolean
affine_of (const YoloLayer *layer, Affine *affine, GError **error)
{
  gboolean reversed = layer->channels == 3 && layer->weights[2] != 0;
  float unit;

  if (!settle (layer, &unit, error))
    return FALSE;
  affine->plain = TRUE;
  for (guint c = 0; c < 3; c++) {
    float factor = layer->weights[3 * c + (reversed ? 2 - c : c)];
    /* exactly 255 for files that take numbers as Ultralytics' do */
    affine->divisor[c] = unit == 1 ? 1 / factor : 255 / factor;
    affine->offset[c] = layer->bias[c];
    affine->plain = affine->plain && affine->offset[c] == 0
        && fabsf (affine->divisor[c] - affine->divisor[0]) <= 1e-6f * affine->divisor[0];
  }
  return TRUE;
}

static gboolean
reads (const YoloLayer *layer, guint index)
{
  for (guint k = 0; k < layer->n_in; k++) {
    if (layer->in[k] == index)
      return TRUE;
  }
  return layer->residual == index;
}

/* Whether every layer that reads layer `index` can read grey levels in its place. */
static gboolean
can_fold (const GArray *layers, guint index, const Affine *affine)
{
  for (guint i = index + 1; i < layers->len; i++) {
    const YoloLayer *layer = yolo_layer_at (layers, i);
    const YoloConv *conv = &layer->conv;

    if (layer->uses == 0 || !reads (layer, index))
      continue;
    if (layer->type == YOLO_LAYER_QUANT) {
      if (!affine->plain || affine->divisor[0] < 0 || !can_fold (layers, i, affine))
        return FALSE;
    } else if (layer->type != YOLO_LAYER_CONV || layer->residual == index
        || (!affine->plain
            && (conv->groups != 1 || conv->weight_scale != NULL
                || yolo_layer_at (layers, index)->type == YOLO_LAYER_QUANT))) {
      return FALSE;
    }
    for (guint c = 0; layer->type == YOLO_LAYER_CONV && c < 3; c++) {
      if (affine->offset[c] != 0 && (conv->pad[0] > 0 || conv->pad[1] > 0))
        return FALSE;
    }
  }
  return TRUE;
}

/* Changes the weights and the bias of a convolution so that it reads grey levels. */
static void
fold_conv (YoloLayer *layer, const Affine *affine)
{
  gsize taps = (gsize) layer->conv.kernel[0] * layer->conv.kernel[1];
  /* channels that an output reads; with groups, which only plain constants allow, all are alike */
  guint n = layer->conv.in_channels / layer->conv.groups;

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
    YoloLayer *layer = yolo_layer_at (layers, i);

    if (layer->uses == 0 || !reads (layer, index))
      continue;
    if (layer->type == YOLO_LAYER_QUANT) {
      layer->grid.scale *= affine->divisor[0];
      fold_readers (layers, i, affine);
    } else {
      fold_conv (layer, affine);
    }
    if (yolo_layer_at (layers, index)->type == YOLO_LAYER_IMAGE) {
      layer->in[0] = 0;
      yolo_layer_at (layers, 0)->uses++;
      yolo_layer_at (layers, index)->uses--;
    }
  }
}

static void
make_conv (YoloLayer *layer, const Affine *affine)
{
  for (guint c = 0; c < 3; c++)
    layer->weights[c] = 1 / affine->divisor[c];
  layer->type = YOLO_LAYER_CONV;
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
yolo_passes_fold_image (GArray *layers, GError **error)
{
  guint n = 0;

  for (guint i = 1; i < layers->len; i++) {
    YoloLayer *layer = yolo_layer_at (layers, i);
    Affine affine;

    if (layer->uses == 0 || layer->type != YOLO_LAYER_IMAGE)
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
