/* SPDX-License-Identifier: MIT */
#include "network/onnx/eval.h"
#include "base/error.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

static const struct {
  const char *op;
  guint min_in, max_in, max_out;
  EvalFunc *eval;
} operators[] = {
  { "Add", 2, 2, 1, yolo_eval_binary },
  { "ArgMax", 1, 1, 1, yolo_eval_arg_max },
  { "BatchNormalization", 5, 5, 1, yolo_eval_batch_norm },
  { "Cast", 1, 1, 1, yolo_eval_cast },
  { "Ceil", 1, 1, 1, yolo_eval_unary },
  { "Clip", 1, 3, 1, yolo_eval_clip },
  { "Concat", 1, G_MAXUINT, 1, yolo_eval_concat },
  { "Constant", 0, 0, 1, yolo_eval_constant },
  { "ConstantOfShape", 1, 1, 1, yolo_eval_constant_of_shape },
  { "Conv", 2, 3, 1, yolo_eval_conv },
  { "ConvInteger", 2, 4, 1, yolo_eval_conv_integer },
  { "Cos", 1, 1, 1, yolo_eval_unary },
  { "DequantizeLinear", 2, 3, 1, yolo_eval_dequantize },
  { "Div", 2, 2, 1, yolo_eval_binary },
  { "Dropout", 1, 1, 1, yolo_eval_identity },
  { "DynamicQuantizeLinear", 1, 1, 3, yolo_eval_dynamic_quantize },
  { "Equal", 2, 2, 1, yolo_eval_binary },
  { "Exp", 1, 1, 1, yolo_eval_unary },
  { "Expand", 2, 2, 1, yolo_eval_expand },
  { "Flatten", 1, 1, 1, yolo_eval_flatten },
  { "Floor", 1, 1, 1, yolo_eval_unary },
  { "Gather", 2, 2, 1, yolo_eval_gather },
  { "GatherElements", 2, 2, 1, yolo_eval_gather_elements },
  { "GatherND", 2, 2, 1, yolo_eval_gather_nd },
  { "Greater", 2, 2, 1, yolo_eval_binary },
  { "Identity", 1, 1, 1, yolo_eval_identity },
  { "LessOrEqual", 2, 2, 1, yolo_eval_binary },
  { "Log", 1, 1, 1, yolo_eval_unary },
  { "MatMul", 2, 2, 1, yolo_eval_mat_mul },
  { "Max", 2, 2, 1, yolo_eval_binary },
  { "Min", 2, 2, 1, yolo_eval_binary },
  { "Mod", 2, 2, 1, yolo_eval_binary },
  { "Mul", 2, 2, 1, yolo_eval_binary },
  { "Neg", 1, 1, 1, yolo_eval_unary },
  { "NonMaxSuppression", 2, 5, 1, yolo_eval_suppression },
  { "NonZero", 1, 1, 1, yolo_eval_non_zero },
  { "Pad", 2, 4, 1, yolo_eval_pad },
  { "Pow", 2, 2, 1, yolo_eval_binary },
  { "QuantizeLinear", 2, 3, 1, yolo_eval_identity },
  { "Range", 3, 3, 1, yolo_eval_range },
  { "ReduceMax", 1, 2, 1, yolo_eval_reduce },
  { "ReduceSum", 1, 2, 1, yolo_eval_reduce },
  { "Reshape", 2, 2, 1, yolo_eval_reshape },
  { "ScatterND", 3, 3, 1, yolo_eval_scatter_nd },
  { "Shape", 1, 1, 1, yolo_eval_shape },
  { "Sigmoid", 1, 1, 1, yolo_eval_unary },
  { "Sin", 1, 1, 1, yolo_eval_unary },
  { "Slice", 3, 5, 1, yolo_eval_slice },
  { "Softmax", 1, 1, 1, yolo_eval_softmax },
  { "Split", 1, 2, G_MAXUINT, yolo_eval_split },
  { "Sqrt", 1, 1, 1, yolo_eval_unary },
  { "Squeeze", 1, 2, 1, yolo_eval_squeeze },
  { "Sub", 2, 2, 1, yolo_eval_binary },
  { "TopK", 2, 2, 2, yolo_eval_top_k },
  { "Transpose", 1, 1, 1, yolo_eval_transpose },
  { "Trilu", 1, 2, 1, yolo_eval_trilu },
  { "Unsqueeze", 1, 2, 1, yolo_eval_unsqueeze },
  { "Where", 3, 3, 1, yolo_eval_where },
};

gboolean
yolo_eval_knows (const OnnxNode *node)
{
  for (guint i = 0; node->standard && i < G_N_ELEMENTS (operators); i++) {
    if (strcmp (node->op, operators[i].op) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
yolo_eval (
    TensorScope *scope, const OnnxNode *node, Tensor *const *in, Tensor **out, GError **error)
{
  for (guint i = 0; node->standard && i < G_N_ELEMENTS (operators); i++) {
    if (strcmp (node->op, operators[i].op) != 0)
      continue;
    if (node->n_in < operators[i].min_in || node->n_in > operators[i].max_in
        || node->n_out < 1 || node->n_out > operators[i].max_out)
      return yolo_network_fail (error, FORMAT,
          ONNX_NODE_FORMAT " has %u inputs and %u outputs, which its operator does "
                           "not take",
          ONNX_NODE_ARGS (node), node->n_in, node->n_out);
    for (guint k = 0; k < node->n_in; k++) {
      /* optional inputs may be left out, but not those of operators with any number of inputs */
      if (in[k] == NULL && (k < operators[i].min_in || operators[i].max_in == G_MAXUINT))
        return yolo_onnx_bad (node, "lacks an input", error);
    }
    scope->node = node;
    return operators[i].eval (scope, node, in, out, error);
  }
  return yolo_network_fail (
      error, UNSUPPORTED, ONNX_NODE_FORMAT " is not supported", ONNX_NODE_ARGS (node));
}
