# SPDX-License-Identifier: MIT
"""Files that onnxruntime's quantiser writes as QOperator, as the QDQ files that they stand for."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

# the operator in floats, how many tensors it has, the bias's input, the input that is the
# output's scale
OPERATORS = {
    'QGemm': ('Gemm', 2, 6, 7), 'QLinearAdd': ('Add', 2, None, 6),
    'QLinearAveragePool': ('AveragePool', 1, None, 3), 'QLinearConv': ('Conv', 2, 8, 6),
    'QLinearGlobalAveragePool': ('GlobalAveragePool', 1, None, 3),
    'QLinearLeakyRelu': ('LeakyRelu', 1, None, 3), 'QLinearMatMul': ('MatMul', 2, None, 6),
    'QLinearMul': ('Mul', 2, None, 6), 'QLinearSigmoid': ('Sigmoid', 1, None, 3),
    'QLinearSoftmax': ('Softmax', 1, None, 3)}


def as_qdq(model):
    """The same with each QLinear... between quantisers."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    inits = {i.name: numpy_helper.to_array(i) for i in m.graph.initializer}
    nodes = []
    for n in model.graph.node:
        if n.op_type == 'QLinearConcat':
            kind, bias, output = 'Concat', None, 0
            triples = [list(n.input[k:k + 3]) for k in range(2, len(n.input), 3)]
        elif n.op_type in OPERATORS:
            kind, count, bias, output = OPERATORS[n.op_type]
            triples = [list(n.input[3 * k:3 * k + 3]) for k in range(count)]
        else:
            nodes.append(n)
            continue
        name, inputs = n.output[0], []
        for k, triple in enumerate(triples):
            inputs.append('%s_in%d' % (name, k))
            columns = kind == 'MatMul' or (kind == 'Gemm' and not any(
                a.name == 'transB' and a.i for a in n.attribute))
            nodes.append(helper.make_node('DequantizeLinear', triple, [inputs[-1]],
                                          axis=int(k == 1 and columns)))
        if bias is not None and len(n.input) > bias and n.input[bias]:
            scale = '%s_bias_scale' % name
            inits[scale] = inits[triples[0][1]] * inits[triples[1][1]]
            m.graph.initializer.append(numpy_helper.from_array(
                np.asarray(inits[scale], np.float32), scale))
            inputs.append('%s_bias' % name)
            nodes.append(helper.make_node('DequantizeLinear', [n.input[bias], scale],
                                          [inputs[-1]], axis=0))
        copy = helper.make_node(kind, inputs, [name + '_float'], name=n.name)
        copy.attribute.extend(a for a in n.attribute if a.name not in ('opset', 'channels_last'))
        nodes.append(copy)
        nodes.append(helper.make_node(
            'QuantizeLinear', [name + '_float', *n.input[output:output + 2]], [name]))
    del m.graph.node[:]
    m.graph.node.extend(nodes)
    return m


def with_floats(model, names):
    """The same with tensors of these names as outputs, in floats, which nothing else may read."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    made = {o for n in m.graph.node for o in n.output}
    for name in names:
        if name not in made:
            m.graph.node.append(helper.make_node(
                'DequantizeLinear', [name + '_q', name + '_s', name + '_z'], [name]))
    m.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return m
