/* SPDX-License-Identifier: MIT */
/* ONNX's operators on small concrete tensors: they fold constants, do the
 * arithmetic on shapes, and run what follows a network's body to check it. */

#ifndef YOLO_ONNX_EVAL_H
#define YOLO_ONNX_EVAL_H

#include "network/onnx/tensor.h"

/* Runs a node. in[] holds NULL for inputs that are left out; out[] is filled with
 * references that the caller owns, also where the node fails. */
typedef gboolean EvalFunc (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error);

/* Whether tensor_eval() knows the node's operator. */
gboolean tensor_can_eval (const OnnxNode *node);
/* Runs any node that tensor_can_eval() knows. Activations are never rounded:
 * quantising and dequantising them is the identity here. */
EvalFunc tensor_eval;

/* Intersection over union of two boxes by any two opposite corners, x and y in either order. */
float select_overlap (const float *a, const float *b);

/* The operators themselves. tensor_eval() has checked how many inputs there are
 * and that the required ones are not left out. */

/* eval-numbers.c: operators that compute new numbers */
EvalFunc eval_batch_norm, eval_binary, eval_cast, eval_conv, eval_conv_integer, eval_dequantize,
    eval_dynamic_quantize, eval_floor, eval_sigmoid, eval_softmax, eval_where;

/* eval-shapes.c: operators that make numbers out of nothing, or move them */
EvalFunc eval_concat, eval_constant, eval_constant_of_shape, eval_expand, eval_flatten, eval_gather,
    eval_identity, eval_range, eval_reshape, eval_shape, eval_slice, eval_split, eval_squeeze,
    eval_transpose, eval_unsqueeze;

/* eval-select.c: operators that choose among numbers, by which a file with
 * non-maximum suppression (nms=True) goes from boxes and scores to detections */
EvalFunc eval_arg_max, eval_gather_nd, eval_non_zero, eval_pad, eval_reduce_max, eval_scatter_nd,
    eval_suppression;

#endif
