/* SPDX-License-Identifier: MIT */
/* The operators that choose among numbers, by which a file with
 * non-maximum suppression (nms=True) goes from boxes and scores to detections. */

#ifndef YOLO_ONNX_SELECT_H
#define YOLO_ONNX_SELECT_H

#include "network/onnx/tensor.h"

/* Each runs the node of its name, as tensor_eval() does. */
gboolean eval_arg_max (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_reduce_max (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_non_zero (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_gather_nd (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_scatter_nd (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_pad (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);
gboolean eval_suppression (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);

/* Intersection over union of two boxes by any two opposite corners, x and y in either order. */
float select_overlap (const float *a, const float *b);

#endif
