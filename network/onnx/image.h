/* SPDX-License-Identifier: MIT */
/* Finds what a file does with its input before the first convolution - a scale and an
 * offset of each channel, their order, the layout, the type -, by running it on a small
 * picture. */

#ifndef YOLO_ONNX_IMAGE_H
#define YOLO_ONNX_IMAGE_H

#include "network/onnx/lower.h"

/* Makes the value that is the graph's input a picture of a few pixels of known numbers. */
gboolean yolo_onnx_image_start (Lowered *lowered, GError **error);

/* Looks at a node before it is lowered. If it reads nothing but constants and what comes
 * of the input, it is run on the picture: *done is TRUE, and its outputs are such values.
 * For other nodes, inputs that come of the picture are made layers of type
 * YOLO_LAYER_IMAGE. */
gboolean yolo_onnx_image_node (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);

#endif
