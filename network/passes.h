/* SPDX-License-Identifier: MIT */
/* Makes few layers out of many. */

#ifndef YOLO_NETWORK_PASSES_H
#define YOLO_NETWORK_PASSES_H

#include "network/onnx/head.h"

/* Drops what the head's maps do not need; folds affine layers (batch norm,
 * scales of quantised files) and activations into the convolutions before
 * them, additions into the convolutions' residuals; what is made of the input
 * into the convolutions that read it; takes out quantisers that stand between what is folded.
 * Changes the layers, and the outputs' numbers of them. Afterwards the kinds of
 * layer left are INPUT, CONV, ACT, ADD, MAX_POOL, UPSAMPLE, CONCAT, SLICE and QUANT. */
gboolean passes_run (
    GArray *layers, YoloOutput *outputs, guint n_outputs, GError **error);

#endif
