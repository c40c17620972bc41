/* SPDX-License-Identifier: MIT */
/* What a file does with its input before the first convolution: a scale and an
 * offset of each channel, their order, the layout, the type. */

#ifndef YOLO_ONNX_IMAGE_H
#define YOLO_ONNX_IMAGE_H

#include "network/onnx/head.h"

/* The graph's input, as a picture of a few pixels of known numbers. */
gboolean image_start (Lowered *lowered, GError **error);

/* Runs a node that reads nothing but constants and what comes of the input, on
 * that picture; *done: it has been, and its outputs are such values. Other nodes
 * get their inputs turned into layers of type LAYER_IMAGE. */
gboolean image_node (Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);

/* Decides what numbers the file wants as its input, and folds what it makes of
 * them, and of our grey levels, into the convolutions that read it. Afterwards
 * there is no live layer of type LAYER_IMAGE. What cannot be folded (an offset
 * before a convolution with padding, which is 0 behind the offset) becomes a
 * convolution of one pixel and a channel for itself. The layers' uses must be
 * counted. */
gboolean image_fold (GArray *layers, GError **error);

#endif
