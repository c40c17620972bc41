/* SPDX-License-Identifier: MIT */
/* Makes few layers out of the many that a reader has added. */

#ifndef YOLO_NETWORK_PASSES_H
#define YOLO_NETWORK_PASSES_H

#include "network/graph.h"

/* Drops the layers that no output needs; folds affine layers (batch norm, scales of
 * quantised files) and activations into the convolutions before them, additions into the
 * residuals of convolutions, and what the file makes of its input into the convolutions
 * that read it; takes out quantisers that stand between layers that become one. Numbers
 * the layers anew, also in the outputs. Layers of the types INPUT, CONV, ACT, ADD,
 * MAX_POOL, UPSAMPLE, CONCAT, SLICE and QUANT are left. */
gboolean yolo_passes_run (YoloGraph *graph, GError **error);

/* A part of yolo_passes_run(), in passes-image.c, for layers whose uses are counted.
 * Decides what numbers the file wants as its input, and folds what it makes of them, and
 * of our grey levels, into the convolutions that read it. What cannot be folded (an offset
 * before a convolution with padding, which is 0 behind the offset) becomes a convolution
 * of one pixel with a group for each channel. No layer of type YOLO_LAYER_IMAGE is left
 * that is used. */
gboolean yolo_passes_fold_image (GArray *layers, GError **error);

#endif
