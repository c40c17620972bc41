# SPDX-License-Identifier: MIT
"""Writes a Network as .onnx, in the form of Ultralytics' exporter: batch norms folded, boxes and
points decoded to [N][4 + classes + more][A], prototypes of masks beside that, and what else a
reader wants to know in the metadata.

The nodes are written out of the tree of modules, so that the file has what the network is and
nothing that a tracer leaves.
"""

import copy
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from . import network
from .cost import sizes_of

OPSET = 17
# Objects that a file with a one-to-one head gives, as Ultralytics' do.
MOST = 300


class Graph:
    """Nodes and weights in the order of execution. Methods take and give names of tensors."""

    def __init__(self, sizes):
        """sizes: {Conv2d: (rows, columns) of its output}"""
        self.nodes, self.weights, self.count, self.sizes = [], [], 0, sizes

    def constant(self, values, kind=np.float32):
        self.count += 1
        name = f'constant_{self.count}'
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def node(self, operator, inputs, outputs=1, **attributes):
        self.count += 1
        names = [f'{operator.lower()}_{self.count}_{i}' for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, f'/{operator}_{self.count}',
                                           **attributes))
        return names[0] if outputs == 1 else names

    def split(self, x, sizes, axis=1):
        return self.node('Split', [x, self.constant(sizes, np.int64)], len(sizes), axis=axis)

    def reshape(self, x, *shape):
        return self.node('Reshape', [x, self.constant(shape, np.int64)])

    def conv2d(self, module, x):
        inputs = [x, self.constant(module.weight.detach().numpy())]
        if module.bias is not None:
            inputs.append(self.constant(module.bias.detach().numpy()))
        return self.node('Conv', inputs, kernel_shape=list(module.kernel_size),
                         strides=list(module.stride), pads=list(module.padding) * 2,
                         dilations=[1, 1], group=module.groups)

    def transposed(self, module, x):
        inputs = [x, self.constant(module.weight.detach().numpy())]
        if module.bias is not None:
            inputs.append(self.constant(module.bias.detach().numpy()))
        return self.node('ConvTranspose', inputs, kernel_shape=list(module.kernel_size),
                         strides=list(module.stride), pads=[0] * 4, dilations=[1, 1], group=1)

    def act(self, module, x):
        if isinstance(module, nn.SiLU):
            return self.node('Mul', [x, self.node('Sigmoid', [x])])
        return self.node('Relu', [x]) if isinstance(module, nn.ReLU) else x

    def layer(self, module, x):
        """x: a tensor, or a list of them for Concat."""
        if isinstance(module, network.Conv):
            return self.act(module.act, self.conv2d(module.conv, x))
        if isinstance(module, nn.Conv2d):
            return self.conv2d(module, x)
        if isinstance(module, nn.ConvTranspose2d):
            return self.transposed(module, x)
        if isinstance(module, network.Proto):
            for part in (module.cv1, module.upsample, module.cv2, module.cv3):
                x = self.layer(part, x)
            return x
        if isinstance(module, nn.Sequential):
            for part in module:
                x = self.layer(part, x)
            return x
        if isinstance(module, network.Bottleneck):
            y = self.layer(module.cv2, self.layer(module.cv1, x))
            return self.node('Add', [x, y]) if module.add else y
        if isinstance(module, network.C2f):
            half = module.cv1.conv.out_channels // 2
            parts = self.split(self.layer(module.cv1, x), [half, half])
            for bottleneck in module.m:
                parts.append(self.layer(bottleneck, parts[-1]))
            return self.layer(module.cv2, self.node('Concat', parts, axis=1))
        if isinstance(module, network.C3k):
            parts = [self.layer(module.m, self.layer(module.cv1, x)), self.layer(module.cv2, x)]
            return self.layer(module.cv3, self.node('Concat', parts, axis=1))
        if isinstance(module, network.C2PSA):
            half = module.cv1.conv.out_channels // 2
            a, b = self.split(self.layer(module.cv1, x), [half, half])
            return self.layer(module.cv2, self.node('Concat', [a, self.layer(module.m, b)],
                                                    axis=1))
        if isinstance(module, network.PSABlock):
            y = self.attention(module.attn, x)
            x = self.node('Add', [x, y]) if module.add else y
            y = self.layer(module.ffn, x)
            return self.node('Add', [x, y]) if module.add else y
        if isinstance(module, network.SPPF):
            parts, size = [self.layer(module.cv1, x)], module.m.kernel_size
            for _ in range(module.pools):
                parts.append(self.node('MaxPool', [parts[-1]], kernel_shape=[size] * 2,
                                       strides=[1, 1], pads=[size // 2] * 4))
            y = self.layer(module.cv2, self.node('Concat', parts, axis=1))
            return self.node('Add', [x, y]) if module.add else y
        if isinstance(module, nn.Upsample):
            return self.node('Resize', [x, '', self.constant([1, 1, 2, 2])], mode='nearest',
                             nearest_mode='floor', coordinate_transformation_mode='asymmetric')
        if isinstance(module, network.Concat):
            return self.node('Concat', x, axis=1)
        raise TypeError(f'{type(module).__name__} cannot be exported')

    def attention(self, module, x):
        channels, key = module.pe.conv.out_channels, module.key
        each = channels // module.heads
        rows, columns = self.sizes[module.qkv.conv]
        parts = self.reshape(self.layer(module.qkv, x), 1, module.heads, 2 * key + each, -1)
        q, k, v = self.split(parts, [key, key, each], axis=2)
        weights = self.node('MatMul', [self.node('Transpose', [q], perm=[0, 1, 3, 2]), k])
        weights = self.node('Softmax', [self.node('Mul', [weights, self.constant(key ** -.5)])],
                            axis=-1)
        mean = self.node('MatMul', [v, self.node('Transpose', [weights], perm=[0, 1, 3, 2])])
        mean, v = (self.reshape(t, 1, channels, rows, columns) for t in (mean, v))
        return self.layer(module.proj, self.node('Add', [mean, self.layer(module.pe, v)]))

    def head(self, module, maps, size):
        """network.decode(), for pictures of that many rows and columns, or network.best() of a
        head that is end to end."""
        bins, classes = module.bins, module.cv3[0][-1].out_channels
        branches = module.one if module.end_to_end else module.branches
        levels = [self.node('Concat', [self.layer(box, x), self.layer(cls, x)], axis=1)
                  for box, cls, x in zip(*branches[:2], maps)]
        flat = [self.reshape(level, 1, 4 * bins + classes, -1) for level in levels]
        box, cls = self.split(self.node('Concat', flat, axis=2), [4 * bins, classes])
        left, right = self.split(self.distances(box, bins), [2, 2])
        points, strides = anchors(size, module.strides)
        points = self.constant(points)
        least = self.node('Sub', [points, left])
        most = self.node('Add', [points, right])
        if module.end_to_end:
            boxes = self.node('Mul', [self.node('Concat', [least, most], axis=1),
                                      self.constant(strides)])
            return self.best(boxes, self.node('Sigmoid', [cls]), classes, strides.shape[2])
        centre = self.node('Div', [self.node('Add', [least, most]), self.constant(2)])
        sides = self.node('Sub', [most, least])
        boxes = self.node('Mul', [self.node('Concat', [centre, sides], axis=1),
                                  self.constant(strides)])
        parts = [boxes, self.node('Sigmoid', [cls])]
        if len(module.branches) > 2:
            flat = [self.layer(branch, x) for branch, x in zip(module.branches[2], maps)]
            flat = [self.reshape(each, 1, channels_of(module.branches[2]), -1) for each in flat]
            parts.append(self.node('Concat', flat, axis=2))
        if isinstance(module, network.Pose):
            parts[-1] = self.points(parts[-1], module.shape, size, module.strides)
        return self.node('Concat', parts, axis=1)

    def distances(self, box, bins):
        if bins == 1:
            return box
        each = self.node('Transpose', [self.reshape(box, 1, 4, bins, -1)], perm=[0, 2, 1, 3])
        mean = self.node('Conv', [self.node('Softmax', [each], axis=1), self.constant(
            np.arange(bins).reshape(1, bins, 1, 1))], kernel_shape=[1, 1])
        return self.reshape(mean, 1, 4, -1)

    def best(self, boxes, scores, classes, count):
        """network.best() of boxes by their corners: the best anchors, and of these the best pairs
        of anchor and class."""
        def integers(*values):
            return self.constant(values, np.int64)

        def column(x):
            return self.node('Unsqueeze', [x, integers(2)])
        rows = self.node('Transpose', [self.node('Concat', [boxes, scores], axis=1)],
                         perm=[0, 2, 1])
        boxes, scores = self.split(rows, [4, classes], axis=2)
        most = min(MOST, count)
        _, anchors_kept = self.node('TopK', [self.node('ReduceMax', [scores], axes=[2], keepdims=0),
                                             integers(most)], 2, axis=1)
        wide = self.node('Expand', [column(anchors_kept), integers(1, 1, classes)])
        flat = self.node('Flatten', [self.node('GatherElements', [scores, wide], axis=1)], axis=1)
        score, place = self.node('TopK', [flat, integers(most)], 2, axis=1)
        by = self.constant(classes, np.int64)
        kind = self.node('Cast', [column(self.node('Mod', [place, by]))], to=TensorProto.FLOAT)
        anchor = self.node('GatherElements', [anchors_kept, self.node('Div', [place, by])], axis=1)
        wide = self.node('Expand', [column(anchor), integers(1, 1, 4)])
        return self.node('Concat', [self.node('GatherElements', [boxes, wide], axis=1),
                                    column(score), kind], axis=2)

    def points(self, x, shape, size, strides):
        """network.places(), in pixels of the picture."""
        corners, strides = anchors(size, strides)
        parts = self.split(self.reshape(x, 1, *shape, -1), [2] + [1] * (shape[1] - 2), axis=2)
        parts = [parts] if shape[1] == 2 else parts
        fine = self.node('Mul', [parts[0], self.constant(2)])
        from_anchor = self.node('Add', [fine, self.constant(corners[:, None] - .5)])
        parts[0] = self.node('Mul', [from_anchor, self.constant(strides)])
        if shape[1] == 3:
            parts[1] = self.node('Sigmoid', [parts[1]])
            parts = [self.node('Concat', parts, axis=2)]
        return self.reshape(parts[0], 1, shape[0] * shape[1], -1)


def channels_of(branches):
    """Of the maps that a head's branches give."""
    return branches[0][-1].out_channels


def anchors(size, strides):
    """Centres in strides [1][x, y][A], and strides [1][1][A]."""
    sizes = [(size[0] // stride, size[1] // stride) for stride in strides]
    points, steps = network.anchors_of(sizes, strides)
    return (points / steps).T[None].numpy(), steps.T[None].numpy()


def graph_of(net, size):
    graph, outputs, x = Graph(sizes_of(net, size)), {}, 'images'
    for layer in net.model[:-1]:
        named = {-1: x, **outputs}
        inputs = [named[f] for f in layer.f] if isinstance(layer.f, list) else named[layer.f]
        x = outputs[layer.i] = graph.layer(layer, inputs)
    named, head = {-1: x, **outputs}, net.head
    maps, anchors_count = [named[f] for f in head.f], sum(
        size[0] // s * (size[1] // s) for s in head.strides)
    shapes = {}
    if isinstance(head, network.Segment):
        graph.layer(head.proto, maps[0])
        graph.nodes[-1].output[0] = 'output1'
        shapes['output1'] = [1, channels_of(head.cv4), *graph.sizes[head.proto.cv3.conv]]
    graph.head(head, maps, size)
    graph.nodes[-1].output[0] = 'output0'
    rows = 4 + sum(channels_of(branches) for branches in head.branches[1:])
    shapes = {'output0': [1, min(MOST, anchors_count), 6] if head.end_to_end
              else [1, rows, anchors_count], **shapes}
    return helper.make_graph(
        graph.nodes, 'yolo',
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
         for name, shape in shapes.items()],
        graph.weights)


def write(net, path, size=(640, 640)):
    """size: rows and columns of the pictures. The network stays as it is. A file that is there
    is replaced once the new one is whole."""
    stride = max(net.head.strides)
    if any(side < stride or side % stride for side in size):
        raise ValueError(f'{path}: no file for pictures of {size[1]}x{size[0]}; give multiples of '
                         f'{stride}')
    plain = network.fuse(copy.deepcopy(net).float().cpu()).eval()
    model = helper.make_model(graph_of(plain, size), producer_name='yolo',
                              opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)
    said = {'task': net.head.task, 'stride': str(stride), 'batch': '1',
            'imgsz': str(list(size)), 'names': str(net.names)}
    if isinstance(net.head, network.Pose):
        said['kpt_shape'] = str(list(net.head.shape))
    if net.head.end_to_end:
        said['end2end'] = 'True'
    helper.set_model_props(model, said)
    onnx.checker.check_model(model)
    part = f'{path}.part-{os.getpid()}'
    try:
        onnx.save(model, part)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
