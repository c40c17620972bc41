/* SPDX-License-Identifier: MIT */
/* Makes a model in whole numbers out of one in floats. */

#ifndef YOLO_NETWORK_INT8_H
#define YOLO_NETWORK_INT8_H

#include "network/calibration.h"

G_BEGIN_DECLS

/* How a back end holds activations. */
typedef enum {
  YOLO_INT8_ASYMMETRIC,         /* uint8, any zero point */
  /* int8, zero point 0; a file's own grid with its middle at 0 is moved by 128 */
  YOLO_INT8_SYMMETRIC,
} YoloInt8Kind;

/**
 * yolo_model_to_int8:
 * @model: as loaded; the result keeps a reference
 * @calibration: ranges and decisions, or NULL: what the file says itself
 * (@model->quantized)
 *
 * A model whose plans run in int8 where the table or the file says so and in
 * floats elsewhere. Where both need a map, it is there twice.
 *
 * What the numbers mean. A map on a grid holds q for (q - zero) * scale, q
 * rounded to the nearest (ties to even) and clamped. Of a range [low, high]
 * the grid is: scale (high - low) / 255 and zero -low / scale rounded, or
 * scale max (-low, high) / 127 and zero 0. Each output channel's weights are
 * multiplied by the scales of the input channels, divided by the multiplier
 * max |w| / 127, and rounded, a few of them to the farther neighbour so that the
 * errors of each input channel's taps, and of all, add up to half a step at most
 * (sum-preserving rounding); where the file brings 8-bit weights, they are
 * taken as they are. A convolution sums in int32, from there on it is floats:
 * act (sum * multiplier + bias) [+ residual], rounded to the output's grid. What
 * a file rounds in between (YoloInt8Conv.sum, sigmoid, act) is rounded in the
 * asymmetric kind. Where a number is divided by a grid's scale, the product with
 * the inverse will do: it may differ at the edge of two steps.
 *
 * Returns: (transfer full): the model, or NULL with @error
 */
YoloModel *yolo_model_to_int8 (
    YoloModel *model, const YoloCalibration *calibration, YoloInt8Kind kind, GError **error);

/* What calibration and profiles want to know of a layer of the network after the passes. */
typedef struct {
  const char *name;             /* what the file calls it; the model's */
  const YoloConv *conv;         /* the model's; NULL: the layer is no convolution */
  /* computes numbers that a convolution may read, so that a grid needs their range */
  gboolean ranged;
  gboolean map;                 /* is a map of the head: always in floats */
  guint height, width, channels;        /* at the model's own size */
} YoloLayerInfo;

guint yolo_model_n_layers (const YoloModel *model);
YoloLayerInfo yolo_model_layer (const YoloModel *model, guint layer);

G_END_DECLS

#endif
