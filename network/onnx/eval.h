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

/* Whether yolo_eval() knows the node's operator. */
gboolean yolo_eval_knows (const OnnxNode *node);
/* Runs any node that yolo_eval_knows() knows. Activations are never rounded:
 * quantising and dequantising them is the identity here. */
EvalFunc yolo_eval;

/* Intersection over union of two boxes by any two opposite corners, x and y in either order. */
float yolo_eval_overlap (const float *a, const float *b);

/* The operators themselves. yolo_eval() has checked how many inputs there are
 * and that the required ones are not left out. */

/* eval-numbers.c: operators that compute new numbers */
EvalFunc yolo_eval_batch_norm, yolo_eval_binary, yolo_eval_cast, yolo_eval_clip, yolo_eval_conv,
    yolo_eval_conv_integer, yolo_eval_dequantize, yolo_eval_dynamic_quantize, yolo_eval_mat_mul,
    yolo_eval_softmax, yolo_eval_unary, yolo_eval_where;

/* The floats that QuantizeLinear and DequantizeLinear with the same numbers make of constants:
 * in[0] on the grid of in[1], scales, and in[2], zero points or NULL, whole numbers from low to
 * high. yolo_eval() leaves constants as they are, since it does not tell what is rounded for good
 * from what passes a quantiser of activations. Errors as EvalFunc's. */
gboolean yolo_eval_round (TensorScope *scope, const OnnxNode *node, Tensor *const *in, gint64 low,
    gint64 high, Tensor **out, GError **error);

/* eval-shapes.c: operators that make numbers out of nothing, or move them */
EvalFunc yolo_eval_concat, yolo_eval_constant, yolo_eval_constant_of_shape, yolo_eval_expand,
    yolo_eval_flatten, yolo_eval_gather, yolo_eval_identity, yolo_eval_range, yolo_eval_reshape,
    yolo_eval_shape, yolo_eval_slice, yolo_eval_split, yolo_eval_squeeze, yolo_eval_transpose,
    yolo_eval_unsqueeze;

/* eval-select.c: operators that choose among numbers, by which a file with non-maximum
 * suppression (nms=True), or one that is end to end, goes from boxes and scores to
 * detections */
EvalFunc yolo_eval_arg_max, yolo_eval_gather_elements, yolo_eval_gather_nd, yolo_eval_non_zero,
    yolo_eval_pad, yolo_eval_reduce, yolo_eval_scatter_nd, yolo_eval_suppression, yolo_eval_top_k,
    yolo_eval_trilu;

#endif
