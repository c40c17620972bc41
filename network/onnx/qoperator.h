/* SPDX-License-Identifier: MIT */
/* Operators of whole numbers as operators of floats between quantisers. */

#ifndef YOLO_ONNX_QOPERATOR_H
#define YOLO_ONNX_QOPERATOR_H

#include "network/onnx/file.h"

/* Rewrites each node of a file whose operator works on whole numbers with their scales and zero
 * points (QLinearConv and its like, which ONNX Runtime's quantiser writes as "QOperator") to what
 * it is defined to compute: a DequantizeLinear of each input, the operator on floats, and a
 * QuantizeLinear of the output. What follows then sees a QDQ file alone. The values' producers are
 * set anew; the nodes are in no order yet. Nodes that compute something else in an operator's
 * name (other attributes, parameters that are no constants), and operators that are not known,
 * stay as they are.
 *
 * FALSE with @error (FORMAT) where such a node has a wrong number of inputs or outputs, or scales
 * or zero points that are missing, of the wrong type or length, or not above 0.
 *
 * Sources: ONNX, docs/Operators.md, QLinearConv and QLinearMatMul; ONNX Runtime,
 * docs/ContribOperators.md, for those of com.microsoft. */
gboolean yolo_onnx_expand_qoperators (OnnxFile *file, GError **error);

#endif
