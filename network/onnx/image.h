/* SPDX-License-Identifier: MIT */
/* What a file does with its input before the first convolution: a scale and an
 * offset of each channel, their order, the layout, the type. */

#ifndef YOLO_ONNX_IMAGE_H
#define YOLO_ONNX_IMAGE_H

#include "network/onnx/lower.h"

/* The graph's input, as a picture of a few pixels of known numbers. */
gboolean yolo_onnx_image_start (Lowered *lowered, GError **error);

/* Runs a node that reads nothing but constants and what comes of the input, on
 * that picture; *done: it has been, and its outputs are such values. Other nodes
 * get their inputs turned into layers of type YOLO_LAYER_IMAGE. */
gboolean yolo_onnx_image_node (
    Lowered *lowered, const OnnxNode *node, gboolean *done, GError **error);

#endif
