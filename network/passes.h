/* SPDX-License-Identifier: MIT */
/* Makes few layers out of many. */

#ifndef YOLO_NETWORK_PASSES_H
#define YOLO_NETWORK_PASSES_H

#include "network/graph.h"

/* Drops what the head's maps do not need; folds affine layers (batch norm,
 * scales of quantised files) and activations into the convolutions before
 * them, additions into the convolutions' residuals; what is made of the input
 * into the convolutions that read it; takes out quantisers that stand between what is folded.
 * Changes the layers, and the outputs' numbers of them. Afterwards the kinds of
 * layer left are INPUT, CONV, ACT, ADD, MAX_POOL, UPSAMPLE, CONCAT, SLICE and QUANT. */
gboolean yolo_passes_run (YoloGraph *graph, GError **error);

/* Decides what numbers the file wants as its input, and folds what it makes of
 * them, and of our grey levels, into the convolutions that read it. Afterwards
 * there is no live layer of type YOLO_LAYER_IMAGE. What cannot be folded (an offset
 * before a convolution with padding, which is 0 behind the offset) becomes a
 * convolution of one pixel and a channel for itself. The layers' uses must be
 * counted. A part of yolo_passes_run(), in passes-image.c. */
gboolean yolo_passes_fold_image (GArray *layers, GError **error);

#endif
