#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the small ONNX models of tests/data and their reference tensors.

  make-models.py [FOLDER]           writes them (default: tests/data)
  make-models.py --check [FOLDER]   compares the folder with what would be written

Needs numpy, onnx and onnxruntime (PyPI; made with 2.4.6, 1.23.2 and 1.32.0).
Weights are random. Graphs are built node by node, in the structures
that Ultralytics' exporter writes for YOLOv8 and YOLOv5u. See README.md there.
"""

import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import heads
import qoperators

MAPS_TOLERANCE = 1e-5           # of --check, relative to the map's largest value
FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}


def noise(batch, height, width):
    """Grey levels of the reference input [batch][height][width][3]: the top
    byte of x = 1664525 x + 1013904223 modulo 2**32, from x = 1 on."""
    x, out = 1, np.empty(batch * height * width * 3, np.uint8)
    for i in range(out.size):
        x = (1664525 * x + 1013904223) & 0xffffffff
        out[i] = x >> 24
    return out.reshape(batch, height, width, 3)


# What is in front of the first convolution (Graph.front_*): whether its input is 0 to 1,
# the order of the channels, whether they come last, whether it is uint8.
FRONTS = {None: (True, 'RGB', False, False), 'div': (False, 'RGB', False, False),
          'last': (False, 'RGB', True, True), 'bgr': (False, 'BGR', True, False),
          'norm': (True, 'RGB', False, False), 'split': (False, 'BGR', False, True),
          'half': (False, 'BGR', False, False)}


class Graph(heads.Heads):
    """One model while it is built. `names`: full (as the exporter's), short
    or numbers. What the exporter would fold is Constant nodes if not simplify."""

    def __init__(self, seed=1, front=None, opset=18, batch=1, height=64, width=64, classes=3,
                 layout='8.4', dynamic=False, half=False, unfused=False, nms=False, simplify=True,
                 naming='short', act='SiLU', reg_max=16, task='detect', points=None,
                 form=heads.POSE, sigmoid=True, rows=0, limit=300):
        self.random = np.random.RandomState(seed)       # its streams are frozen
        self.opset, self.batch, self.height, self.width = opset, batch, height, width
        self.classes, self.layout, self.dynamic, self.half = classes, layout, dynamic, half
        self.unfused, self.nms, self.simplify, self.naming = unfused, nms, simplify, naming
        self.act_type, self.n_acts, self.reg_max, self.front = act, 0, reg_max, front
        self.nodes, self.inits, self.shared, self.n_names = [], {}, {}, 0
        self.box, self.cls, self.levels = [], [], []
        self.float = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        self.channels = {}                              # of each tensor
        self.limit = limit                              # of rows behind a suppression
        self.set_task(task, points, form, sigmoid, rows)

    # -- nodes and constants

    def name(self, scope, what):
        self.n_names += 1
        if self.naming == 'full':
            prefix = '/model' if self.nms else ''
            return '%s/model.%s/%s_%d' % (prefix, scope.replace('.', '/', 1), what, self.n_names)
        return '%s%d' % (what[0].lower() if self.naming == 'short' else '', self.n_names)

    def node(self, op, inputs, scope='', outputs=1, **attributes):
        name = self.name(scope, op)
        outs = [name + ('_output_%d' % i if self.naming == 'full' else '_%d' % i if i else '')
                for i in range(outputs)]
        self.nodes.append(helper.make_node(
            op, inputs, outs, name='' if self.naming == 'numbers' else name, **attributes))
        if inputs and inputs[0] in self.channels:
            self.channels[outs[0]] = self.channels[inputs[0]]
        return outs[0] if outputs == 1 else outs

    def weight(self, scope, what, array):
        name = {'full': 'model.%s%s.%s' % ('model.' if self.nms else '', scope, what),
                'short': '%s.%s' % (scope, what)}.get(self.naming) or self.name(scope, what)
        self.inits[name] = np.asarray(array)
        return name

    def constant(self, array, shared=True):
        """Constants of equal value share one initialiser, as onnxslim leaves them."""
        array = np.asarray(array)
        if not self.simplify:
            return self.node('Constant', [], value=numpy_helper.from_array(array))
        key = (array.dtype.str, array.shape, array.tobytes())
        if not shared or key not in self.shared:
            self.shared[key] = self.name('', 'Constant')
            self.inits[self.shared[key]] = array
        return self.shared[key]

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def int(self, value):
        return self.constant(np.array(value, np.int64))

    def real(self, value, dtype=None):
        return self.constant(np.array(value, dtype or FLOATS[self.float]))

    # -- operators whose form depends on the opset

    def split(self, x, sizes, scope):
        if self.opset < 13:
            outs = self.node('Split', [x], scope, len(sizes), axis=1, split=sizes)
        else:
            outs = self.node('Split', [x, self.ints(*sizes)], scope, len(sizes), axis=1)
        for out, size in zip(outs, sizes):
            self.channels[out] = size
        return outs

    def unsqueeze(self, x, *axes):
        if self.opset < 13:
            return self.node('Unsqueeze', [x], axes=list(axes))
        return self.node('Unsqueeze', [x, self.ints(*axes)])

    def reshape(self, x, shape, scope=''):
        extra = {'allowzero': 0} if self.opset >= 14 else {}
        return self.node('Reshape', [x, shape], scope, **extra)

    def concat(self, tensors, axis=1, scope=''):
        out = self.node('Concat', tensors, scope, axis=axis)
        if axis == 1 and tensors[0] in self.channels:
            self.channels[out] = sum(self.channels[t] for t in tensors)
        return out

    def slice(self, x, start, end, axis, step=None):
        return self.node('Slice', [x, start, end, axis] + ([step] if step else []))

    # -- layers

    def conv(self, x, out, kernel, stride=1, scope='', act=True, groups=1, bias=None, gain=1.6):
        channels = self.channels[x]
        pad = (kernel - 1) // 2 if kernel != 6 else 2
        fan = channels // groups * kernel * kernel
        shape = (out, channels // groups, kernel, kernel)
        weights = self.random.standard_normal(shape) * gain / fan ** .5
        bias = self.random.standard_normal(out) * .4 if bias is None else bias
        bn = self.unfused and act
        inside = scope + '.conv' if act else scope
        dtype = FLOATS[self.float]
        inputs = [x, self.weight(inside, 'weight', weights.astype(dtype))]
        if not bn:
            inputs.append(self.weight(inside, 'bias', bias.astype(dtype)))
        y = self.node('Conv', inputs, scope, dilations=[1, 1], group=groups,
                      kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
        self.channels[y] = out
        if bn:
            scale = .5 + self.random.random_sample(out)
            mean = self.random.standard_normal(out) * .3
            variance = .5 + self.random.random_sample(out)
            y = self.node('BatchNormalization', [y] + [
                self.weight(scope + '.bn', n, v.astype(np.float32)) for n, v in (
                    ('weight', scale), ('bias', bias), ('running_mean', mean),
                    ('running_var', variance))],
                scope, epsilon=1e-3, momentum=.97)
        return self.activation(y, scope) if act else y

    def activation(self, x, scope):
        """The activation of the model, or the next one of several, as exporters write it."""
        kind = self.act_type
        if isinstance(kind, list):
            kind = kind[self.n_acts % len(kind)]
            self.n_acts += 1

        def node(op, *inputs, **attributes):
            return self.node(op, list(inputs), scope, **attributes)

        def clip(y, low, high):
            return node('Clip', y, self.real(low), self.real(high))

        if kind == 'SiLU':
            return node('Mul', x, node('Sigmoid', x))
        if kind == 'ReLU':
            return node('Relu', x)
        if kind == 'LeakyReLU':
            return node('LeakyRelu', x, alpha=.1)
        if kind == 'ReLU6':
            return clip(x, 0, 6)
        if kind == 'Hardtanh':
            return clip(x, -.7, 1.2)
        if kind == 'Hardsigmoid':
            return node('HardSigmoid', x, alpha=1 / 6)
        if kind == 'Hardswish' and self.opset >= 14:
            return node('HardSwish', x)
        if kind == 'Hardswish':
            return node('Mul', x, node('HardSigmoid', x, alpha=1 / 6))
        if kind == 'Hardswish of ReLU6':
            y = node('Mul', x, clip(node('Add', x, self.real(3)), 0, 6))
            return node('Div', y, self.real(6))
        if kind == 'GELU' and self.opset >= 20:
            return node('Gelu', x)
        if kind == 'GELU':
            y = node('Erf', node('Div', x, self.real(2 ** .5)))
            y = node('Mul', x, node('Add', y, self.real(1)))
            return node('Mul', y, self.real(.5))
        if kind == 'GELU by tanh':
            return node('Gelu', x, approximate='tanh')
        if kind == 'ELU':
            return node('Elu', x, alpha=1.3)
        if kind == 'Mish' and self.opset >= 18:
            return node('Mish', x)
        if kind == 'Mish':
            return node('Mul', x, node('Tanh', node('Softplus', x)))
        slopes = [.3] if kind == 'PReLU' else .2 * np.arange(self.channels[x]) - .1
        return node('PRelu', x, self.weight(scope + '.act', 'weight', np.array(
            slopes, FLOATS[self.float]).reshape(-1, 1, 1)))

    def c2f(self, x, out, n, shortcut, scope, groups=1):
        hidden = out // 2
        parts = self.split(self.conv(x, 2 * hidden, 1, 1, scope + '.cv1'), [hidden, hidden], scope)
        for i in range(n):
            y = self.conv(parts[-1], hidden, 3, 1, '%s.m.%d.cv1' % (scope, i))
            y = self.conv(y, hidden, 3, 1, '%s.m.%d.cv2' % (scope, i), gain=.8, groups=groups)
            if shortcut:
                y = self.node('Add', [parts[-1], y], scope)
            parts.append(y)
        return self.conv(self.concat(parts, 1, scope), out, 1, 1, scope + '.cv2')

    def c3(self, x, out, n, shortcut, scope):
        hidden = out // 2
        a = self.conv(x, hidden, 1, 1, scope + '.cv1')
        b = self.conv(x, hidden, 1, 1, scope + '.cv2')
        for i in range(n):
            y = self.conv(a, hidden, 1, 1, '%s.m.%d.cv1' % (scope, i))
            y = self.conv(y, hidden, 3, 1, '%s.m.%d.cv2' % (scope, i), gain=.8)
            a = self.node('Add', [a, y], scope) if shortcut else y
        return self.conv(self.concat([a, b], 1, scope), out, 1, 1, scope + '.cv3')

    def sppf(self, x, out, scope):
        parts = [self.conv(x, self.channels[x] // 2, 1, 1, scope + '.cv1')]
        for _ in range(3):
            extra = {'dilations': [1, 1]} if self.opset >= 12 else {}
            parts.append(self.node('MaxPool', [parts[-1]], scope, ceil_mode=0, kernel_shape=[5, 5],
                                   pads=[2] * 4, strides=[1, 1], **extra))
        return self.conv(self.concat(parts, 1, scope), out, 1, 1, scope + '.cv2')

    def upsample(self, x, scope):
        # The roi of opset 11 may not be left out; it is of float's size 0.
        roi = self.constant(np.zeros(0, np.float32)) if self.opset < 13 else ''
        return self.node('Resize', [x, roi, self.constant(np.array([1, 1, 2, 2], np.float32))],
                         scope, coordinate_transformation_mode='asymmetric', cubic_coeff_a=-.75,
                         mode='nearest', nearest_mode='floor')

    # -- attention

    def part(self, x, out, kernel, scope, act=False, groups=1, gain=1.):
        """A module of an attention block: a convolution, mostly without activation."""
        return self.conv(x, out, kernel, 1, scope if act else scope + '.conv', act, groups,
                         gain=gain)

    def sides(self, x, stride):
        """Batch, height and width of a map: numbers, or nodes where they are open."""
        if not self.dynamic:
            return self.batch, self.height // stride, self.width // stride
        shape = self.node('Shape', [x])
        return [self.node('Gather', [shape, self.int(i)], axis=0) for i in (0, 2, 3)]

    def shape(self, *sizes):
        """A shape of numbers and of nodes."""
        if not self.dynamic:
            return self.ints(*sizes)
        return self.concat([self.ints(s) if isinstance(s, int) else self.unsqueeze(s, 0)
                            for s in sizes], 0)

    def scaled(self, op, a, b):
        """a op b of sizes."""
        if not self.dynamic:
            return a * b if op == 'Mul' else a // b
        a, b = (self.int(s) if isinstance(s, int) else s for s in (a, b))
        return self.node(op, [a, b])

    def weighted(self, x, key, value, scope, after):
        """[..., 2 key + value, positions]: values and their means by the softmax of products of
        queries and keys, [..., value, positions]. after: the factor is behind the products."""
        if self.opset < 13:
            q, k, v = self.node('Split', [x], scope, 3, axis=2, split=[key, key, value])
        else:
            q, k, v = self.node('Split', [x, self.ints(key, key, value)], scope, 3, axis=2)
        factor = self.real(key ** -.5)
        if not after:
            q = self.node('Mul', [q, factor], scope)
        q = self.node('Transpose', [q], scope, perm=[0, 1, 3, 2])
        scores = self.node('MatMul', [q, k], scope)
        if after:
            scores = self.node('Mul', [scores, factor], scope)
        axis = -1 if self.opset >= 13 else 3
        weights = self.node('Softmax', [scores], scope, axis=axis)
        weights = self.node('Transpose', [weights], scope, perm=[0, 1, 3, 2])
        return v, self.node('MatMul', [v, weights], scope)

    def attention(self, x, heads, key, stride, scope, after):
        """Attention of C2PSA."""
        channels = self.channels[x]
        value = channels // heads
        n, h, w = self.sides(x, stride)
        y = self.part(x, heads * (2 * key + value), 1, scope + '.qkv')
        y = self.reshape(y, self.shape(n, heads, 2 * key + value, self.scaled('Mul', h, w)), scope)
        v, mean = self.weighted(y, key, value, scope, after)
        v, mean = (self.reshape(t, self.shape(n, channels, h, w), scope) for t in (v, mean))
        self.channels[v] = self.channels[mean] = channels
        near = self.part(v, channels, 3, scope + '.pe', groups=channels)
        return self.part(self.node('Add', [mean, near], scope), channels, 1, scope + '.proj')

    def area_attention(self, x, heads, area, stride, scope):
        """AAttn: positions come first, and are cut into areas."""
        channels = self.channels[x]
        key = channels // heads
        n, h, w = self.sides(x, stride)
        y = self.reshape(self.part(x, 3 * channels, 1, scope + '.qkv'),
                         self.shape(n, 3 * channels, -1), scope)
        y = self.node('Transpose', [y], scope, perm=[0, 2, 1])
        areas, count = n, self.scaled('Mul', h, w)
        if area > 1:
            areas, count = self.scaled('Mul', n, area), self.scaled('Div', count, area)
            if self.dynamic:
                y = self.reshape(y, self.shape(areas, count, 3 * channels), scope)
        y = self.reshape(y, self.shape(areas, count, heads, 3 * key), scope)
        y = self.node('Transpose', [y], scope, perm=[0, 2, 3, 1])
        parts = []
        for t in self.weighted(y, key, key, scope, False):
            t = self.node('Transpose', [t], scope, perm=[0, 3, 1, 2])
            if area > 1 and self.dynamic:
                t = self.reshape(t, self.shape(n, self.scaled('Mul', h, w), channels), scope)
            t = self.reshape(t, self.shape(n, h, w, channels), scope)
            parts.append(self.node('Transpose', [t], scope, perm=[0, 3, 1, 2]))
            self.channels[parts[-1]] = channels
        near = self.part(parts[0], channels, 7, scope + '.pe', groups=channels)
        return self.part(self.node('Add', [parts[1], near], scope), channels, 1, scope + '.proj')

    def shortcuts(self, x, attention, scope, more):
        """x + attention (x), and the same with two convolutions."""
        x = self.node('Add', [x, attention(x)], scope)
        channels = self.channels[x]
        y = self.part(x, 2 * channels, 1, '%s.%s.0' % (scope, more), act=True)
        y = self.part(y, channels, 1, '%s.%s.1' % (scope, more), gain=.5)
        return self.node('Add', [x, y], scope)

    def c2psa(self, x, heads, key, stride, scope, after):
        hidden = self.channels[x] // 2
        a, b = self.split(self.conv(x, 2 * hidden, 1, 1, scope + '.cv1'), [hidden, hidden], scope)
        inner = scope + '.m.0'
        b = self.shortcuts(
            b, lambda t: self.attention(t, heads, key, stride, inner + '.attn', after), inner,
            'ffn')
        return self.conv(self.concat([a, b], 1, scope), 2 * hidden, 1, 1, scope + '.cv2')

    def a2c2f(self, x, heads, area, stride, scope, gamma):
        hidden = self.channels[x] // 2
        parts = [self.conv(x, hidden, 1, 1, scope + '.cv1')]
        y = parts[0]
        for i in range(2):
            inner = '%s.m.0.%d' % (scope, i)
            y = self.shortcuts(
                y, lambda t: self.area_attention(t, heads, area, stride, inner + '.attn'), inner,
                'mlp')
        y = self.conv(self.concat(parts + [y], 1, scope), 2 * hidden, 1, 1, scope + '.cv2')
        if not gamma:
            return y
        factor = self.random.standard_normal((1, 2 * hidden, 1, 1)) * .5
        factor = self.weight(scope, 'gamma', factor.astype(FLOATS[self.float]))
        y = self.node('Mul', [factor, y], scope)
        self.channels[y] = 2 * hidden
        return self.node('Add', [x, y], scope)

    # -- the head

    def head(self, maps, strides, scope, box_channels=4, class_channels=4, depthwise=False):
        """The per-level convolutions; decode() is the rest."""
        self.scope = scope
        bias = self.random.standard_normal(4 * self.reg_max) * .5
        if self.reg_max == 1:
            bias = np.full(4, 2.)               # distances, which are not negative
        for i, (x, stride) in enumerate(zip(maps, strides)):
            y = self.conv(x, box_channels, 3, 1, '%s.cv2.%d.0' % (scope, i))
            y = self.conv(y, box_channels, 3, 1, '%s.cv2.%d.1' % (scope, i))
            # every level's box bias is the same tensor, as after training's start
            self.box.append(self.conv(y, 4 * self.reg_max, 1, 1, '%s.cv2.%d.2' % (scope, i), False,
                                      bias=bias, gain=2.5))
            y = x
            for j in range(2):
                if depthwise:
                    y = self.conv(y, self.channels[y], 3, 1, '%s.cv3.%d.%d.0' % (scope, i, j),
                                  groups=self.channels[y])
                y = self.conv(y, class_channels, 1 if depthwise else 3, 1,
                              '%s.cv3.%d.%d' % (scope, i, j))
            self.cls.append(self.conv(y, self.classes, 1, 1, '%s.cv3.%d.2' % (scope, i), False,
                                      gain=3))
            if self.other:
                self.others.append(self.other_branch(x, i, scope))
            self.levels.append(stride)
        if self.task == 'segment':
            self.mask_prototypes(maps, scope, fused=self.reg_max == 1)

    def anchors(self):
        """[2][anchors] points and [1][anchors] strides, in map pixels."""
        points, strides = [], []
        for s in self.levels:
            h, w = self.height // s, self.width // s
            y, x = np.meshgrid(np.arange(h) + .5, np.arange(w) + .5, indexing='ij')
            points.append(np.stack([x.ravel(), y.ravel()]))
            strides.append(np.full((1, h * w), s))
        dtype = FLOATS[self.float]
        return np.concatenate(points, 1).astype(dtype), np.concatenate(strides, 1).astype(dtype)

    def dynamic_anchors(self):
        points, strides = [], []
        for x, s in zip(self.box, self.levels):
            shape = self.node('Shape', [x])
            h, w = (self.node('Gather', [shape, self.int(i)], axis=0) for i in (2, 3))
            axes = []
            for n in (w, h):
                r = self.node('Range', [self.int(0), n, self.int(1)])
                axes.append(self.node('Add',
                                      [self.node('Cast', [r], to=self.float), self.real(.5)]))
            sizes = self.concat([self.node('Shape', [a]) for a in reversed(axes)], 0)
            row = self.node('Expand', [self.reshape(axes[1], self.ints(-1, 1)), sizes])
            column = self.node('Expand', [self.reshape(axes[0], self.ints(1, -1)), sizes])
            grid = self.concat([self.unsqueeze(column, -1), self.unsqueeze(row, -1)], -1)
            points.append(self.reshape(grid, self.ints(-1, 2)))
            count = self.unsqueeze(self.node('Mul', [h, w]), 0)
            strides.append(self.node(
                'ConstantOfShape', [self.concat([count, self.ints(1)], 0)],
                value=helper.make_tensor('value', self.float, [1], [s])))
        points = self.node('Transpose', [self.concat(points, 0)], perm=[1, 0])
        return (points, self.unsqueeze(points, 0),
                self.node('Transpose', [self.concat(strides, 0)], perm=[1, 0]))

    def decode(self):
        scope, bins, b = self.scope, self.reg_max, self.batch
        count = len(self.levels)
        if self.dynamic:
            shape = self.node('Shape', [self.box[0]], scope)
            first = self.unsqueeze(self.node('Gather', [shape, self.int(0)], axis=0), 0)
            sized = lambda n: self.concat([first, self.ints(n), self.ints(-1)], 0)
        else:
            sized = lambda n: self.ints(b, n, -1)
        if self.layout == '8.4':
            shapes = sized(4 * bins), sized(self.classes)
            box, cls = (self.concat([self.reshape(x, s, scope) for x in maps], -1, scope)
                        for maps, s in ((self.box, shapes[0]), (self.cls, shapes[1])))
        else:
            shape = sized(4 * bins + self.classes)
            both = [self.reshape(self.concat([self.box[i], self.cls[i]], 1, scope), shape, scope)
                    for i in range(count)]
            box, cls = self.split(self.concat(both, 2, scope), [4 * bins, self.classes], scope)

        other = None
        if self.other:
            other = self.concat([self.reshape(x, sized(self.other), scope) for x in self.others],
                                2, scope)
        d = self.distances(box, scope) if bins > 1 else box
        if self.dynamic:
            flat, points, strides = self.dynamic_anchors()
        else:
            flat, strides = self.anchors()
            points, strides = self.constant(flat[None]), self.constant(strides)
        if self.task == 'obb':
            other = self.angles(other, scope)
            boxes = self.turned_boxes(d, points, other, scope)
        else:
            boxes = self.straight_boxes(d, points, scope)
        boxes = self.node('Mul', [boxes, strides], scope)
        if self.task == 'pose':
            other = self.placed_points(other, flat, strides, scope)
        parts = [boxes, self.node('Sigmoid', [cls], scope)] + ([other] if other else [])
        out = self.concat(parts, 1, scope)
        if self.rows:
            return self.choose(out, scope)
        return self.suppress(out) if self.nms else out

    def straight_boxes(self, d, points, scope):
        """Centres and sizes, or corners where boxes are chosen."""
        if self.simplify:
            half, full = self.ints(2), self.ints(4)
        else:                                   # chunk (2, 1), traced
            n = self.node('Gather', [self.node('Shape', [d]), self.ints(1)], axis=0)
            n = self.node('Div', [self.node('Add', [n, self.ints(1)]), self.int(2)])
            half = self.node('Mul', [n, self.ints(1)])
            full = self.node('Mul', [n, self.ints(2)])
        lt = self.slice(d, self.ints(0), half, self.ints(1))
        rb = self.slice(d, half, full, self.ints(1))
        lt = self.node('Sub', [points, lt], scope)
        rb = self.node('Add', [points, rb], scope)
        if not self.nms and not self.rows:
            centre = self.node('Div', [self.node('Add', [lt, rb], scope), self.real(2)], scope)
            lt, rb = centre, self.node('Sub', [rb, lt], scope)
        return self.concat([lt, rb], 1, scope)

    def distances(self, box, scope):
        """The means of the distributions: softmax over the bins, then a 1x1 convolution."""
        bins, b = self.reg_max, self.batch
        total = sum((self.height // s) * (self.width // s) for s in self.levels)
        if self.dynamic or not self.simplify:
            shape = self.node('Shape', [box], scope)
            n, a = (self.unsqueeze(self.node('Gather', [shape, self.int(i)], axis=0), 0)
                    for i in (0, 2))
            four = self.concat([n, self.ints(4), self.ints(bins), a], 0)
            three = self.concat([n, self.ints(4), a], 0)
        else:
            four, three = self.ints(b, 4, bins, total), self.ints(b, 4, total)
        d = self.reshape(box, four, scope)
        if self.opset >= 13:
            d = self.node('Transpose', [d], scope, perm=[0, 2, 1, 3])
            d = self.node('Softmax', [d], scope, axis=1)
        else:                                   # whose Softmax flattens: along the last axis
            if self.simplify:
                d = self.node('Transpose', [d], scope, perm=[0, 3, 1, 2])
            else:
                d = self.node('Transpose', [d], scope, perm=[0, 2, 1, 3])
                d = self.node('Transpose', [d], scope, perm=[0, 3, 2, 1])
            d = self.node('Softmax', [d], scope, axis=3)
            d = self.node('Transpose', [d], scope, perm=[0, 3, 2, 1])
        dfl = self.weight(scope + '.dfl.conv', 'weight',
                          np.arange(bins).reshape(1, bins, 1, 1).astype(FLOATS[self.float]))
        d = self.node('Conv', [d, dfl], scope, dilations=[1, 1], group=1, kernel_shape=[1, 1],
                      pads=[0] * 4, strides=[1, 1])
        return self.reshape(d, three, scope)

    def candidates(self, out):
        """Of one image, what is above the threshold, and the longer side of the input."""
        n = self.int(0)
        out = self.node('Transpose', [out], perm=[0, 2, 1])
        boxes = self.slice(out, self.ints(0), self.ints(4), self.ints(2))
        scores = self.slice(out, self.ints(4), self.ints(4 + self.classes), self.ints(2))
        if self.opset < 18:
            best = self.node('ReduceMax', [scores], axes=[-1], keepdims=0)
        else:
            best = self.node('ReduceMax', [scores, self.ints(-1)], keepdims=0)
        which = self.node('ArgMax', [scores], axis=-1, keepdims=0)
        more = []
        if self.other:
            more.append(self.slice(out, self.ints(4 + self.classes),
                                   self.ints(4 + self.classes + self.other), self.ints(2)))
        boxes, which, best, *more = (self.node('Gather', [x, n], axis=0)
                                     for x in [boxes, which, best] + more)
        keep = self.node('NonZero', [self.node('Greater', [best, self.real(.25)])])
        keep = self.node('Transpose', [keep], perm=[1, 0])
        boxes, best, which, *more = (self.node('GatherND', [x, keep])
                                     for x in [boxes, best, which] + more)
        # class offsets keep boxes of different classes apart, in units of the longer side
        size = self.real(max(self.height, self.width))
        if self.dynamic:
            sides = self.slice(self.node('Shape', ['images']), self.ints(2), self.ints(4),
                               self.ints(0))
            size = self.node('Cast', [self.node('ReduceMax', [sides], keepdims=0)], to=self.float)
        return boxes, which, best, more, size

    def suppression(self, boxes, _, which, best, size):
        """Indices of the boxes that NonMaxSuppression leaves."""
        offset = self.node('Cast', [self.reshape(which, self.ints(-1, 1))], to=self.float)
        apart = self.node('Add', [self.node('Mul', [self.node('Div', [boxes, size]),
                                                    self.real(1 / self.classes)]),
                                  self.node('Mul', [offset, self.real(1 / self.classes)])])
        nms_boxes, nms_scores = self.unsqueeze(apart, 0), self.unsqueeze(best, 0, 1)
        if self.half:
            nms_boxes, nms_scores = (self.node('Cast', [x], to=TensorProto.FLOAT)
                                     for x in (nms_boxes, nms_scores))
        chosen = self.node('NonMaxSuppression', [
            nms_boxes, nms_scores, self.ints(2 ** 63 - 1),
            self.constant(np.array([.7], np.float32))])
        chosen = self.node('Gather', [chosen, self.ints(2)], axis=1)
        chosen = (self.node('Squeeze', [chosen, self.ints(1)]) if self.opset >= 13 else
                  self.node('Squeeze', [chosen], axes=[1]))
        return chosen

    def suppress(self, out):
        """nms=True: one image's detections [1][limit][6 + other]."""
        n = self.int(0)
        boxes, which, best, more, size = self.candidates(out)
        how = self.turned_suppression if self.task == 'obb' else self.suppression
        chosen = self.slice(how(boxes, more[0] if more else None, which, best, size),
                            self.ints(0), self.ints(self.limit), self.ints(0), self.ints(1))
        boxes, best, which, *more = (self.node('Gather', [x, chosen], axis=0)
                                     for x in [boxes, best, which] + more)
        which = self.node('Cast', [self.reshape(which, self.ints(-1, 1))], to=self.float)
        rows = self.concat([boxes, self.reshape(best, self.ints(-1, 1)), which] + more, -1)
        missing = self.node('Sub', [self.int(self.limit), self.node(
            'Gather', [self.node('Shape', [rows]), n], axis=0)])
        pads = self.concat([self.ints(0, 0), self.unsqueeze(missing, 0), self.ints(0)], 0)
        rows = self.node('Pad', [rows, pads], mode='constant')
        shape = (1, self.limit, 6 + self.other)
        rows = self.reshape(rows, self.ints(*shape))
        empty = self.constant(np.zeros(shape, FLOATS[self.float]), shared=False)
        return self.node('ScatterND', [empty, self.constant(np.zeros((1, 1), np.int64)), rows])

    # -- the whole

    def start(self):
        x = getattr(self, 'front_' + self.front)('images') if self.front else 'images'
        if self.half:
            x = self.node('Cast', [x], to=TensorProto.FLOAT16)
        self.channels[x] = 3
        return x

    def images(self, grey):
        """Grey levels [batch][height][width][R G B] as the file wants them."""
        unit, order, last, whole = FRONTS[self.front]
        images = grey[..., ::-1] if order == 'BGR' else grey
        images = images if whole else images.astype(np.float32) / (255 if unit else 1)
        return np.ascontiguousarray(images if last else images.transpose(0, 3, 1, 2))

    def three(self, *values, shape=(1, 3, 1, 1)):
        return self.constant(np.array(values, np.float32).reshape(shape))

    def front_div(self, x):
        return self.node('Div', [x, self.real(255, np.float32)])

    def front_last(self, x):
        x = self.node('Cast', [self.node('Transpose', [x], perm=[0, 3, 1, 2])],
                      to=TensorProto.FLOAT)
        x = self.node('Sub', [self.node('Div', [x, self.real(255)]), self.three(.485, .456, .406)])
        return self.node('Div', [x, self.three(.229, .224, .225)])

    def front_bgr(self, x):
        x = self.node('Sub', [x, self.three(103.53, 116.28, 123.675, shape=(3,))])
        x = self.node('Mul', [x, self.three(1 / 57.375, 1 / 57.12, 1 / 58.395, shape=(3,))])
        return self.node('Gather', [self.node('Transpose', [x], perm=[0, 3, 1, 2]),
                                    self.ints(2, 1, 0)], axis=1)

    def front_norm(self, x):
        return self.node('BatchNormalization', [x] + [
            self.weight('bn', n, np.array(v, np.float32))
            for n, v in (('weight', [1.1, .9, 1]), ('bias', [.1, -.2, 0]), ('mean', [.4, .5, .6]),
                         ('var', [.06, .07, .05]))])

    def front_split(self, x):
        parts = self.split(self.node('Cast', [x], to=TensorProto.FLOAT), [1, 1, 1], '')
        parts = [self.node('Mul', [self.node('Add', [p, self.real(-100 - 10 * i)]),
                                   self.real(.02 + .001 * i)])
                 for i, p in enumerate(parts)]
        return self.concat(parts[::-1])

    def front_half(self, x):
        x = self.slice(x, self.ints(2), self.ints(-4), self.ints(1), self.ints(-1))
        return self.node('Mul', [x, self.real(1 / 255, np.float32)])

    def share_biases(self):
        """simplify=False: tensors of equal value are one initialiser and Identity nodes."""
        first, identities = {}, []
        for name in list(self.inits):
            key = (self.inits[name].dtype.str, self.inits[name].shape, self.inits[name].tobytes())
            if key in first:
                del self.inits[name]
                identities.append(helper.make_node('Identity', [first[key]], [name],
                                                   name='Identity_' + name))
            else:
                first[key] = name
        self.nodes[:0] = identities

    def spread(self):
        """Scales the last convolutions: box logits of deviation 1.2 around the
        bias, class logits such that some anchors pass .25."""
        names = self.box + self.cls + self.others
        maps = run(self.model({}), names,
                   self.images(noise(self.batch, self.height, self.width)))
        convs = {n.output[0]: n for n in self.nodes if n.op_type == 'Conv'}
        for i, (name, values) in enumerate(zip(names, maps)):
            weight, bias = convs[name].input[1:]
            w, b = (self.inits[n].astype(np.float64) for n in (weight, bias))
            values = values - b.reshape(-1, 1, 1)
            if i < len(self.box) or i >= 2 * len(self.box):
                scale = float('%.2g' % (1.2 / values.std()))
            else:
                scale = float('%.2g' % (1.4 / values.std()))
                mean = -3 if self.classes < 10 else -5
                b += mean - float('%.2g' % values.mean()) * scale
                self.inits[bias] = b.astype(FLOATS[self.float])
            self.inits[weight] = (w * scale).astype(FLOATS[self.float])

    def result(self):
        """The shape of the first output."""
        if self.logits:
            return [self.batch, self.classes]
        batch, total = self.batch, sum((self.height // s) * (self.width // s) for s in self.levels)
        if self.dynamic:
            batch, total = 'batch', 'anchors'
        if self.nms or self.rows:
            return [batch, self.rows or self.limit, 6 + self.other]
        return [batch, 4 + self.classes + self.other, total]

    def model(self, metadata, shuffle=False, value_info=False):
        nodes, inits = list(self.nodes), dict(self.inits)
        last = nodes[-1]
        out = 'output0'
        if self.half:
            nodes.append(helper.make_node('Cast', [last.output[0]], [out],
                                          name='graph_output_cast0', to=TensorProto.FLOAT))
        else:
            renamed = helper.make_node(last.op_type, list(last.input), [out], name=last.name)
            renamed.attribute.extend(last.attribute)
            nodes[-1] = renamed
        if shuffle:
            nodes = shuffled(nodes, inits, self.random)
        _, _, last, whole = FRONTS[self.front]
        shape = (['batch', 3, 'height', 'width'] if self.dynamic
                 else [self.batch, 3, self.height, self.width])
        shape = [shape[i] for i in (0, 2, 3, 1)] if last else shape
        outputs = [helper.make_tensor_value_info(out, TensorProto.FLOAT, self.result())]
        if self.prototypes:
            sides = self.height // self.levels[0] * 2, self.width // self.levels[0] * 2
            outputs.append(helper.make_tensor_value_info(
                'output1', TensorProto.FLOAT, [self.batch, self.other, *sides]))
            last = next(n for n in nodes if n.output[0] == self.prototypes)
            renamed = helper.make_node(last.op_type, list(last.input), ['output1'], name=last.name)
            nodes[nodes.index(last)] = renamed
        graph = helper.make_graph(
            nodes, 'main_graph',
            [helper.make_tensor_value_info(
                'images', TensorProto.UINT8 if whole else TensorProto.FLOAT, shape)],
            outputs,
            [numpy_helper.from_array(a, n) for n, a in inits.items()])
        ir = {11: 6, 12: 7, 13: 7, 17: 8, 18: 8, 20: 9}[self.opset]
        model = helper.make_model(graph, ir_version=ir, producer_name='yolo-tests',
                                  opset_imports=[helper.make_opsetid('', self.opset)])
        if value_info:
            model = onnx.shape_inference.infer_shapes(model)
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        return model


def shuffled(nodes, inits, random):
    """Another topological order."""
    known, rest, out = set(inits) | {'images', ''}, list(nodes), []
    while rest:
        ready = [n for n in rest if all(i in known for i in n.input)]
        node = ready[random.randint(len(ready))]
        rest.remove(node)
        out.append(node)
        known.update(node.output)
    return out


def yolov8(g, widths=(2, 4, 4, 6, 6), depths=(1, 2, 2, 1), neck=1, first=3, last=5, **head):
    """Backbone, neck and head with levels P`first` to P`last`."""
    x, layer, taps = g.start(), 0, {}
    for p in range(1, max(last, 5) + 1 if last >= 5 else last + 1):
        x = g.conv(x, widths[min(p, len(widths)) - 1], 3, 2, str(layer))
        layer += 1
        if p > 1:
            x = g.c2f(x, g.channels[x], depths[min(p - 2, len(depths) - 1)], True, str(layer))
            layer += 1
        taps[p] = x
    top = max(taps)
    x = taps[top] = g.sppf(x, g.channels[x], str(layer))
    layer += 1
    for p in range(top - 1, first - 1, -1):
        x = g.concat([g.upsample(x, str(layer)), taps[p]], 1, str(layer + 1))
        x = taps[p] = g.c2f(x, g.channels[taps[p]], neck, False, str(layer + 2))
        layer += 3
    outs = [x]
    for p in range(first + 1, top + 1):
        x = g.conv(x, g.channels[x], 3, 2, str(layer))
        x = g.c2f(g.concat([x, taps[p]], 1, str(layer + 1)), g.channels[taps[p]], neck, False,
                  str(layer + 2))
        outs.append(x)
        layer += 3
    g.head(outs, [2 ** p for p in range(first, top + 1)], str(layer), **head)


def yolov5u(g, widths=(2, 4, 4, 6, 6), depths=(1, 2, 3, 1), neck=1, **head):
    x, taps, layer = g.start(), {}, 0
    for p, width in enumerate(widths, 1):
        x = g.conv(x, width, 6 if p == 1 else 3, 2, str(layer))
        layer += 1
        if p > 1:
            x = taps[p] = g.c3(x, width, depths[p - 2], True, str(layer))
            layer += 1
    x = g.sppf(x, widths[4], str(layer))
    layer += 1
    lateral = {}
    for p in (4, 3):
        lateral[p + 1] = x = g.conv(x, g.channels[taps[p]], 1, 1, str(layer))
        x = g.concat([g.upsample(x, str(layer + 1)), taps[p]], 1, str(layer + 2))
        x = g.c3(x, g.channels[taps[p]], neck, False, str(layer + 3))
        layer += 4
    outs = [x]
    for p in (4, 5):
        x = g.conv(x, g.channels[x], 3, 2, str(layer))
        x = g.c3(g.concat([x, lateral[p]], 1, str(layer + 1)), widths[p - 1], neck, False,
                 str(layer + 2))
        outs.append(x)
        layer += 3
    g.head(outs, [8, 16, 32], str(layer), **head)


def micro(g, width=2, bottlenecks=1, depthwise=False, groups=1):
    """Every kind of node once or twice; small enough to be mutated quickly."""
    x = g.conv(g.start(), width, 3, 2, '0')
    p2 = g.c2f(g.conv(x, width, 3, 2, '1'), width, bottlenecks, True, '2', groups)
    p3 = g.sppf(g.conv(p2, width, 3, 2, '3'), width, '4')
    p2 = g.conv(g.concat([g.upsample(p3, '5'), p2], 1, '6'), width, 1, 1, '7')
    g.head([p2, p3], [4, 8], '8', box_channels=width, class_channels=width, depthwise=depthwise)


def micro_head(g, width=2):
    """Three convolutions and a head: what there is to read is the head."""
    p2 = g.conv(g.conv(g.start(), width, 3, 2, '0'), width, 3, 2, '1')
    p3 = g.conv(p2, width, 3, 2, '2')
    if g.task == 'classify':
        g.classifier(p3, 6, '3')
    else:
        g.head([p2, p3], [4, 8], '3', box_channels=width, class_channels=width)


def micro_attention(g, heads=2, key=3, area=0, gamma=False, after=False):
    """C2PSA, or A2C2f in areas, on the larger of two levels."""
    x = g.conv(g.conv(g.start(), 4, 3, 2, '0'), 16, 3, 2, '1')
    if area:
        p2 = g.a2c2f(x, heads, area, 4, '2', gamma)
    else:
        p2 = g.c2psa(x, heads, key, 4, '2', after)
    p3 = g.sppf(g.conv(p2, 4, 3, 2, '3'), 4, '4')
    g.head([p2, p3], [4, 8], '5')


def micro_blocks(g):
    """AConv, RepNCSPELAN4, ADown and SPPELAN of YOLOv9, C2fCIB and SCDown of YOLOv10."""
    def average(x, scope):
        channels = g.channels[x]
        weights = np.full((channels, 1, 2, 2), .25, FLOATS[g.float])
        y = g.node('Conv', [x, g.weight(scope + '.average', 'weight', weights)], scope,
                   dilations=[1, 1], group=channels, kernel_shape=[2, 2], pads=[0] * 4,
                   strides=[1, 1])
        g.channels[y] = channels
        return y

    def pool(x, scope, kernel, stride):
        return g.node('MaxPool', [x], scope, ceil_mode=0, dilations=[1, 1],
                      kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, strides=[stride] * 2)

    def csp(x, out, scope):
        hidden = out // 2
        a = g.conv(x, hidden, 1, 1, scope + '.cv1')
        y = g.conv(a, hidden, 3, 1, scope + '.m.0.cv1')
        a = g.node('Add', [a, g.conv(y, hidden, 3, 1, scope + '.m.0.cv2', gain=.8)], scope)
        b = g.conv(x, hidden, 1, 1, scope + '.cv2')
        return g.conv(g.concat([a, b], 1, scope), out, 1, 1, scope + '.cv3')

    x = g.conv(g.start(), 4, 3, 2, '0')
    x = g.conv(average(x, '1'), 4, 3, 2, '1.cv1')
    parts = g.split(g.conv(x, 8, 1, 1, '2.cv1'), [4, 4], '2')
    for i in (2, 3):
        parts.append(g.conv(csp(parts[-1], 4, '2.cv%d.0' % i), 4, 3, 1, '2.cv%d.1' % i))
    p2 = g.conv(g.concat(parts, 1, '2'), 4, 1, 1, '2.cv4')
    a, b = g.split(average(p2, '3'), [2, 2], '3')
    a = g.conv(a, 2, 3, 2, '3.cv1')
    x = g.concat([a, g.conv(pool(b, '3', 3, 2), 2, 1, 1, '3.cv2')], 1, '3')
    parts = [g.conv(x, 2, 1, 1, '4.cv1')]
    for _ in range(3):
        parts.append(pool(parts[-1], '4', 5, 1))
    x = g.conv(g.concat(parts, 1, '4'), 4, 1, 1, '4.cv5')
    parts = g.split(g.conv(x, 4, 1, 1, '5.cv1'), [2, 2], '5')
    y = parts[1]
    for i, (out, kernel) in enumerate(((2, 3), (4, 1), (4, 7), (2, 1), (2, 3))):
        y = g.conv(y, out, kernel, 1, '5.m.0.cv1.%d' % i, groups=1 if kernel == 1 else out)
    y = g.node('Add', [parts[1], y], '5')
    p3 = g.conv(g.concat(parts + [y], 1, '5'), 4, 1, 1, '5.cv2')
    y = g.conv(p3, 4, 1, 1, '6.cv1')
    p4 = g.conv(y, 4, 3, 2, '6.cv2.conv', False, groups=4)
    g.head([p2, p3, p4], [4, 8, 16], '7')


def micro_fuse(g):
    """CBLinear and CBFuse of YOLOv9e: a second backbone that takes in parts of the first."""
    sizes = ([4], [4, 4], [4, 4, 6])
    image = g.start()
    maps, parts, x = [], [], image
    for i, out in enumerate((4, 4, 6)):
        x = g.conv(x, out, 3, 2, str(i + 1))
        maps.append(x)
    for i, x in enumerate(maps):
        y = g.conv(x, sum(sizes[i]), 1, 1, '%d.conv' % (i + 4), False)
        parts.append(g.split(y, sizes[i], str(i + 4)) if len(sizes[i]) > 1 else [y])
    x, fused = image, []
    for i, out in enumerate((4, 4, 6)):
        x = g.conv(x, out, 3, 2, str(2 * i + 7))
        stack = []
        for k in range(i, 3):
            part = parts[k][i]
            for _ in range(k - i):
                part = g.upsample(part, str(2 * i + 8))
            stack.append(g.unsqueeze(part, 0))
        stack.append(g.unsqueeze(x, 0))
        x = g.node('ReduceSum', [g.node('Concat', stack, str(2 * i + 8), axis=0), g.ints(0)],
                   str(2 * i + 8), keepdims=0)
        g.channels[x] = out
        fused.append(x)
    g.head(fused[1:], [4, 8], '13')


def run(model, names, images):
    """The named tensors, [batch][channels][height][width], float32."""
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    del extended.graph.output[:]
    for name in names:
        extended.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(extended.SerializeToString(), options,
                                   providers=['CPUExecutionProvider'])
    return [np.asarray(a, np.float32) for a in session.run(names, {'images': images})]


def as_float(model):
    """The same network in float32: weights dequantised or widened, no rounding
    of activations. What a file with float16 or 8-bit weights means exactly."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    inits = {i.name: numpy_helper.to_array(i) for i in m.graph.initializer}
    nodes, alias, values = [], {}, {}
    convs = {n.output[0] for n in m.graph.node if n.op_type == 'Conv'}
    for n in m.graph.node:
        inputs = [alias.get(i, i) for i in n.input]
        if n.op_type == 'QuantizeLinear':
            zero = inits[n.input[2]]
            if inputs[0] in inits:              # weights
                shape = [-1] + [1] * (inits[inputs[0]].ndim - 1) if zero.ndim else []
                low, high = np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max
                inits[n.output[0]] = np.clip(
                    np.rint(inits[inputs[0]] / inits[n.input[1]].reshape(shape))
                    + zero.reshape(shape), low, high).astype(zero.dtype)
                continue
            alias[n.output[0]] = inputs[0]
            if n.input[0] in convs and zero == np.iinfo(zero.dtype).min:
                # the quantiser took out a Relu, which its clipping does already
                nodes.append(helper.make_node('Relu', [inputs[0]], [n.output[0] + '_f']))
                alias[n.output[0]] = n.output[0] + '_f'
            continue
        if n.op_type == 'DequantizeLinear':
            if inputs[0] not in inits:
                alias[n.output[0]] = inputs[0]
                continue
            q, scale = inits[inputs[0]].astype(np.float64), inits[inputs[1]].astype(np.float64)
            zero = inits[inputs[2]].astype(np.float64) if len(inputs) > 2 else np.zeros_like(scale)
            if scale.ndim and scale.size > 1:
                axis = next((a.i for a in n.attribute if a.name == 'axis'), 1)
                shape = [-1 if i == axis else 1 for i in range(q.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            values[n.output[0]] = ((q - zero) * scale).astype(np.float32).reshape(q.shape)
            continue
        if n.op_type == 'DynamicQuantizeLinear':
            alias[n.output[0]] = inputs[0]
            inits[n.output[1]] = np.array(1, np.float32)
            continue
        kind = n.op_type
        if kind == 'ConvInteger':               # its result is cast and scaled behind it
            kind = 'Conv'
            zero = inits[inputs[3]] if len(inputs) > 3 else np.zeros((), np.int8)
            zero = zero.astype(np.float32).reshape([-1] + [1] * 3 if zero.ndim else [])
            values[inputs[1] + '_f'] = inits[inputs[1]].astype(np.float32) - zero
            inputs = [inputs[0], inputs[1] + '_f']
        copy = helper.make_node(kind, inputs, list(n.output), name=n.name)
        for a in n.attribute:
            if n.op_type == 'Cast' and a.i == TensorProto.FLOAT16:
                a = helper.make_attribute('to', TensorProto.FLOAT)
            if a.type == onnx.AttributeProto.TENSOR and a.t.data_type == TensorProto.FLOAT16:
                a = helper.make_attribute(a.name, numpy_helper.from_array(
                    numpy_helper.to_array(a.t).astype(np.float32)))
            copy.attribute.append(a)
        nodes.append(copy)
    nodes += [helper.make_node('Identity', [alias[o.name]], [o.name]) for o in m.graph.output
              if o.name in alias]
    inits.update(values)
    del m.graph.node[:], m.graph.initializer[:], m.graph.value_info[:]
    m.graph.node.extend(nodes)
    m.graph.initializer.extend(
        numpy_helper.from_array(a.astype(np.float32) if a.dtype == np.float16 else a, n)
        for n, a in inits.items())
    return m


def shortened(model):
    """The quantisers' long names cost half of the file."""
    g = model.graph
    keep = {'images', 'output0', ''}
    for n in g.node:
        n.name = short(n.name)
        n.input[:] = [i if i in keep else short(i) for i in n.input]
        n.output[:] = [o if o in keep else short(o) for o in n.output]
    for i in g.initializer:
        i.name = short(i.name)
    del g.value_info[:]
    return model


def short(name):
    for long, s in (('_QuantizeLinear', '_Q'), ('_DequantizeLinear', '_D'), ('_Input', '_I'),
                    ('_Output', '_O'), ('_zero_point', '_z'), ('_scale', '_s'),
                    ('_quantized', '_q'), ('_output', '_o')):
        name = name.replace(long, s)
    return name


def quantised(g, model, how, exclude, operators, **options):
    """By onnxruntime's own quantisers."""
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):
        def __init__(self):
            self.images = iter([{'images': g.images(i[None])} for i in noise(3, g.height, g.width)])

        def get_next(self):
            return next(self.images, None)

    with tempfile.TemporaryDirectory() as folder:
        a, b = os.path.join(folder, 'a.onnx'), os.path.join(folder, 'b.onnx')
        onnx.save(model, a)
        if how == 'dynamic':
            q.quantize_dynamic(a, b, weight_type=q.QuantType.QInt8)
        else:
            kind = q.QuantType.QUInt8 if how == 'u8' else q.QuantType.QInt8
            q.quantize_static(a, b, Reader(), quant_format=(
                                  q.QuantFormat.QOperator if operators else q.QuantFormat.QDQ),
                              weight_type=q.QuantType.QInt8, activation_type=kind,
                              nodes_to_exclude=exclude, **options)
        return shortened(onnx.load(b))


def set_apart(model):
    """Gives each part of a Concat a grid of its own, as quantisers do that look at one tensor
    at a time; onnxruntime's has them share one."""
    producer = {out: n for n in model.graph.node for out in n.output}
    values = {i.name: i for i in model.graph.initializer}
    for concat in [n for n in model.graph.node if n.op_type == 'Concat']:
        for k, name in enumerate(concat.input):
            after = producer.get(name)
            before = (producer.get(after.input[0])
                      if after is not None and after.op_type == 'DequantizeLinear' else None)
            if before is None or before.op_type != 'QuantizeLinear':
                continue
            scale = numpy_helper.to_array(values[before.input[1]])
            apart = '%s_%d' % (before.input[1], k)
            if apart not in values:
                values[apart] = numpy_helper.from_array(
                    (scale * np.float32(1 + .3 * k)).astype(np.float32), apart)
                model.graph.initializer.append(values[apart])
            before.input[1] = after.input[1] = apart
    onnx.checker.check_model(model)
    return model


def with_float_weights(model):
    """Weights in floats with a QuantizeLinear of their own, as tools write them that train with
    rounding: half a step or less from what is read."""
    draw = np.random.default_rng(0)
    values = {i.name: i for i in model.graph.initializer}
    convs = {n.input[1] for n in model.graph.node if n.op_type == 'Conv'}
    nodes = []
    for n in model.graph.node:
        if n.op_type == 'DequantizeLinear' and n.output[0] in convs and n.input[0] in values:
            whole = values.pop(n.input[0])
            q, scale = numpy_helper.to_array(whole), numpy_helper.to_array(values[n.input[1]])
            scale = scale.reshape([-1] + [1] * (q.ndim - 1) if scale.ndim else [])
            moved = q + draw.uniform(-.45, .45, q.shape)
            moved[q == 127] += 3                # beyond the grid, which clips
            floats = whole.name + 'f'
            values[floats] = numpy_helper.from_array((moved * scale).astype(np.float32), floats)
            nodes.append(helper.make_node('QuantizeLinear', [floats, *n.input[1:]], [whole.name],
                                          name=whole.name))
            nodes[-1].attribute.extend(n.attribute)
        nodes.append(n)
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(values.values())
    onnx.checker.check_model(model)
    return model


def last_concat(nodes):
    """The last Concat, and the convolution and SiLU that read it."""
    names = [max((n for n in nodes if n.op_type == 'Concat'), key=nodes.index)]
    for n in nodes:
        if len(names) < 4 and any(o in n.input for m in names for o in m.output):
            names.append(n)
    return [n.name for n in names]


def check_output(g, model, reference):
    """That the file as a whole says what its maps say."""
    batch, height, width, _, maps = reference
    out = run(model, ['output0'], g.images(noise(batch, height, width)))[0]
    loose = g.half or any(n.op_type in ('QuantizeLinear', 'ConvInteger') for n in model.graph.node)
    if g.logits:
        p = np.exp(maps[0][1].reshape(batch, -1).astype(np.float64))
        p /= p.sum(-1, keepdims=True)
        assert np.abs(out - p).max() < (.05 if loose else 1e-5), 'softmax'
        return
    rows = g.expected(maps)
    if g.rows:
        best = np.stack([g.best_pairs(r) for r in rows])
        assert np.abs(out - best).max() < 1e-3, 'best pairs'
        return
    if not g.nms:
        assert np.abs(out.transpose(0, 2, 1) - rows).max() < (8 if loose else 1e-3), 'decode'
        return
    assert out.shape == (1, g.limit, 6 + g.other) and out[0, 0, 4] > .25
    scores = rows[0][:, 4:4 + g.classes]
    best = rows[0][scores.max(-1).argmax()]
    assert np.abs(out[0, 0, :4] - best[:4]).max() < (.5 if g.half else 1e-3), 'nms'
    assert out[0, 0, 5] == best[4:4 + g.classes].argmax()
    assert np.abs(out[0, 0, 6:] - best[4 + g.classes:]).max(initial=0) < 1e-3, 'nms'


def metadata(g, names, **change):
    m = {
        'description': 'random weights, for tests', 'author': 'tests',
        'date': '2026-01-01T00:00:00', 'version': '8.4.190' if g.layout == '8.4' else '8.3.202',
        'license': 'MIT', 'stride': str(max(g.levels, default=1)), 'task': g.task,
        'batch': str(g.batch), 'imgsz': '[%d, %d]' % (g.height, g.width), 'names': repr(names),
        'channels': '3',
        'args': repr({'batch': g.batch, 'half': g.half, 'dynamic': g.dynamic,
                      'simplify': g.simplify, 'opset': g.opset, 'nms': g.nms})}
    if g.layout == '8.4':
        m.update(head=heads.HEADS[g.task], end2end=str(g.rows > 0))
    if g.points:
        m['kpt_shape'] = str(list(g.points))
    m.update(change)
    return m


# name: options of Graph, then of the network, then of the file
ALPHABET = ['alpha', 'beta', 'gamma', 'delta']
NAMES = {0: 'person', 1: "driver's cab", 2: 'Straße "A", {7: x}', 3: '\u8eca\\両'}
# widths that are no multiple of 4 put channel views at odd places
MICRO = dict(arch='micro', height=16, width=24, classes=2, reg_max=4)
MICRO_QDQ = dict(arch='micro', height=16, width=24, classes=2, reg_max=4,
                 net=dict(width=10, bottlenecks=2))
MICRO_ATTENTION = dict(arch='attention', height=16, width=24, classes=2, reg_max=4)
MICRO_HEAD = dict(arch='head', height=16, width=24, classes=2, reg_max=4)
MICRO_26 = dict(MICRO_HEAD, reg_max=1)
ACTIVATIONS = ['LeakyReLU', 'ReLU6', 'Hardtanh', 'Hardsigmoid', 'Hardswish', 'Hardswish of ReLU6',
               'GELU', 'ELU', 'Mish', 'PReLU', 'PReLU of channels', 'ReLU', 'SiLU']
QUANTISED = ['LeakyReLU', 'Hardswish', 'ReLU6', 'SiLU']
READERS = {'OpTypesToExcludeOutputQuantization': ['Conv']}
MODELS = {
    'v8n': dict(naming='full'),
    'v8n-83': dict(opset=13, layout='8.3', width=32, names=NAMES, classes=4,
                   file=dict(value_info=True)),
    'v8s-opset11': dict(opset=11, layout='8.3', width=96, height=32, classes=2,
                        net=dict(widths=(2, 4, 8, 8, 8), box_channels=8)),
    'v8m-opset12': dict(opset=12, height=32, width=64, net=dict(depths=(2, 4, 4, 2), neck=2)),
    'v8l-opset13': dict(opset=13, height=32, width=64, net=dict(depths=(3, 6, 6, 3), neck=3)),
    'v8x-opset20': dict(opset=20, height=64, width=32, classes=80, naming='numbers',
                        file=dict(shuffle=True),
                        net=dict(depths=(3, 6, 6, 3), neck=3, widths=(4, 4, 6, 6, 6))),
    'v5u': dict(arch='v5u'),
    'v5u-l': dict(arch='v5u', opset=17, layout='8.3', height=64, width=32,
                  net=dict(depths=(3, 6, 9, 3), neck=3)),
    'v8n-dynamic': dict(dynamic=True, height=32, also=[(2, 96, 32)]),
    'v8n-83-dynamic': dict(opset=12, layout='8.3', dynamic=True, also=[(1, 32, 96)], classes=2),
    'v8n-half': dict(half=True, height=64, width=96, names=ALPHABET, classes=4, reg_max=8),
    'v8n-half-dynamic': dict(half=True, opset=17, layout='8.3', dynamic=True, width=32),
    'v8n-b4': dict(batch=4, height=32, width=64),
    'v8n-unfused': dict(unfused=True, opset=17),
    'v8n-nms': dict(nms=True, height=32),
    'v8n-nms-half': dict(nms=True, half=True, opset=17, width=32),
    'v8n-nms-dynamic': dict(nms=True, dynamic=True, width=32),
    'v8n-plain': dict(simplify=False, width=32),
    'v8n-83-plain-opset12': dict(simplify=False, opset=12, layout='8.3', classes=1, height=32),
    'v8n-qdq-u8': dict(quantise='u8', height=32, options=dict(per_channel=True)),
    'v8n-qdq-s8': dict(quantise='s8', height=32, options=dict(op_types_to_quantize=['Conv'])),
    'v8n-dynquant': dict(quantise='dynamic', opset=20, height=32),
    'v8n-nometa': dict(classes=1, opset=17, unfused=True, naming='numbers', meta=None, width=32),
    'v8-p34': dict(net=dict(last=4), height=48, width=80),
    'v8-p2': dict(net=dict(first=2), opset=17, classes=1, reg_max=8),
    'v8-p6': dict(net=dict(last=6), reg_max=8, width=128),
    'v8n-relu': dict(act='ReLU', opset=13, height=32),
    'v8n-depthwise': dict(net=dict(depthwise=True), width=32),
    'micro': dict(arch='micro', height=16, width=24, classes=2, reg_max=4),
    # 8 bits, what the two of YOLOv8n above do not cover
    'micro-qdq-u8-conv': dict(MICRO_QDQ, quantise='u8', opset=20,
                              options=dict(op_types_to_quantize=['Conv'], per_channel=True)),
    'micro-qdq-u8-readers': dict(MICRO_QDQ, quantise='u8', opset=11,
                                 options=dict(op_types_to_quantize=['Conv'],
                                              extra_options=READERS)),
    'micro-qdq-s8-all': dict(MICRO_QDQ, quantise='s8', opset=17),
    'micro-qdq-s8-dfl': dict(MICRO_QDQ, quantise='s8', decode_too=True,
                             options=dict(op_types_to_quantize=['Conv'])),
    'micro-qdq-depthwise': dict(MICRO_QDQ, quantise='u8', opset=13,
                                net=dict(width=5, depthwise=True), options=dict(per_channel=True)),
    'micro-qdq-relu': dict(MICRO_QDQ, quantise='u8', act='ReLU', options=dict(per_channel=True)),
    'micro-qdq-apart': dict(MICRO_QDQ, quantise='u8', apart=True),
    'micro-grouped': dict(arch='micro', height=16, width=24, classes=2, reg_max=4,
                          net=dict(width=8, groups=2)),
    # what is in front of the first convolution
    'micro-front-div': dict(MICRO, front='div'),
    'micro-front-last': dict(MICRO, front='last', dynamic=True),
    'micro-front-bgr': dict(MICRO, front='bgr'),
    'micro-front-norm': dict(MICRO, front='norm'),
    'micro-front-split': dict(MICRO, front='split', opset=12),
    'micro-front-half': dict(MICRO, front='half', half=True),
    'micro-front-qdq': dict(MICRO_QDQ, front='div', quantise='u8', options=dict(per_channel=True)),
    'micro-front-qdq-norm': dict(MICRO_QDQ, front='norm', quantise='s8', net=dict(width=4)),
    # attention
    'micro-attention': dict(MICRO_ATTENTION),
    'micro-attention-b3': dict(MICRO_ATTENTION, batch=3, net=dict(heads=1, key=4)),
    'micro-attention-dynamic': dict(MICRO_ATTENTION, dynamic=True, opset=12,
                                    net=dict(heads=4, key=1, after=True), also=[(1, 24, 16)]),
    'micro-attention-half': dict(MICRO_ATTENTION, half=True, opset=13),
    # What it rounds within the attention is not rounded here.
    'micro-attention-qdq': dict(MICRO_ATTENTION, quantise='u8', kinds=['float'],
                                options=dict(op_types_to_quantize=['Conv'])),
    'micro-area': dict(MICRO_ATTENTION, batch=2, net=dict(area=4, gamma=True)),
    'micro-area-dynamic': dict(MICRO_ATTENTION, dynamic=True, net=dict(area=4, heads=1),
                               also=[(2, 24, 16)]),
    'micro-area-whole': dict(MICRO_ATTENTION, net=dict(area=1, heads=4)),
    'micro-blocks': dict(arch='blocks', height=32, width=48, classes=2, reg_max=4),
    # heads
    'micro-segment': dict(MICRO_HEAD, task='segment'),
    'micro-segment-nms': dict(MICRO_HEAD, task='segment', nms=True, limit=20),
    'micro-segment-e2e': dict(MICRO_26, task='segment', rows=20),
    'micro-segment-qdq': dict(MICRO_HEAD, task='segment', quantise='u8',
                              options=dict(per_channel=True)),
    'micro-pose': dict(MICRO_HEAD, task='pose', classes=1, points=(5, 3)),
    'micro-pose-dynamic': dict(MICRO_HEAD, task='pose', points=(5, 3), dynamic=True, opset=12,
                               also=[(2, 24, 16)]),
    'micro-pose26': dict(MICRO_26, task='pose', points=(4, 2), form=heads.POSE26),
    'micro-pose-e2e': dict(MICRO_26, task='pose', classes=1, points=(3, 3), form=heads.POSE26,
                           rows=20),
    'micro-pose-qdq': dict(MICRO_HEAD, task='pose', points=(3, 3), quantise='s8',
                           options=dict(op_types_to_quantize=['Conv'])),
    'micro-obb': dict(MICRO_HEAD, task='obb'),
    'micro-obb26': dict(MICRO_26, task='obb', sigmoid=False),
    'micro-obb-e2e': dict(MICRO_26, task='obb', sigmoid=False, classes=3, rows=20),
    'micro-e2e': dict(MICRO_26, classes=3, rows=20),
    'micro-e2e-dynamic': dict(MICRO_26, rows=20, dynamic=True, also=[(2, 24, 16)]),
    'micro-classify': dict(MICRO_HEAD, task='classify', classes=5),
    'micro-obb-nms': dict(MICRO_HEAD, task='obb', nms=True, limit=20),
    # activations, each behind some convolution: as operators, and as several nodes
    'micro-activations': dict(MICRO, seed=55, opset=20, act=ACTIVATIONS + ['GELU by tanh']),
    'micro-activations-nodes': dict(MICRO, seed=56, opset=12, act=ACTIVATIONS, net=dict(width=4)),
    'micro-qdq-activations': dict(MICRO_QDQ, seed=57, quantise='u8', opset=13, act=QUANTISED,
                                  options=dict(per_channel=True)),
    'micro-fuse': dict(MICRO, seed=80, arch='fuse'),
    # operators of whole numbers (QLinearConv and its like)
    'micro-qop-u8': dict(MICRO_QDQ, seed=58, quantise='u8', operators=True,
                         options=dict(per_channel=True)),
    'micro-qop-s8': dict(MICRO, seed=58, quantise='s8', operators=True, opset=13, decode_too=True),
    'micro-qop-relu': dict(MICRO, seed=66, quantise='u8', operators=True, opset=11, act='ReLU'),
    'micro-qop-leaky': dict(MICRO, seed=61, quantise='u8', operators=True, act='LeakyReLU'),
    'micro-qop-conv': dict(MICRO, seed=62, quantise='u8', operators=True,
                           options=dict(op_types_to_quantize=['Conv'])),
    # What it rounds within the attention, and behind the mean of the map, is not rounded here.
    'micro-qop-attention': dict(MICRO_ATTENTION, seed=63, quantise='u8', operators=True,
                                kinds=['float']),
    'micro-qop-classify': dict(MICRO_HEAD, seed=64, task='classify', classes=5, quantise='u8',
                               operators=True, kinds=['float']),
    # weights in floats behind quantisers of their own
    'micro-qdq-floats': dict(MICRO, seed=67, quantise='s8', float_weights=True,
                             options=dict(op_types_to_quantize=['Conv'], per_channel=True)),
    'micro-qdq-floats-u8': dict(MICRO, seed=68, quantise='u8', float_weights=True, opset=13,
                                options=dict(op_types_to_quantize=['Conv'],
                                             extra_options=READERS)),
    # angles by the pi of float16
    'micro-obb-nms-half': dict(MICRO_HEAD, seed=69, task='obb', nms=True, limit=20, half=True,
                               opset=17),
}


def with_data_file(model, location):
    """(model, bytes): the weights in a file of their own, each at a multiple of
    64, as exporters write models of more than 2 GB, and small ones by default."""
    apart, out = onnx.ModelProto(), bytearray()
    apart.CopyFrom(model)
    for tensor in apart.graph.initializer:
        raw = onnx.numpy_helper.to_array(tensor).tobytes()
        out.extend(bytes(-len(out) % 64))
        for key, value in (('location', location), ('offset', len(out)), ('length', len(raw))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
        tensor.ClearField('raw_data')
        tensor.data_location = onnx.TensorProto.EXTERNAL
        out.extend(raw)
    return apart, bytes(out)


def class_maps(reference):
    return [m for role, m in reference[4] if role in ('class', 'logit')]


def build(name, spec, index):
    """(model, list of (reference's suffix, batch, height, width, kind, maps))"""
    spec = dict(spec)
    arch, net, file = spec.pop('arch', 'v8'), spec.pop('net', {}), spec.pop('file', {})
    also, quantise = spec.pop('also', []), spec.pop('quantise', None)
    options = spec.pop('options', {})
    apart, operators = spec.pop('apart', False), spec.pop('operators', False)
    float_weights = spec.pop('float_weights', False)
    names, meta = spec.pop('names', None), spec.pop('meta', {})
    decode_too = spec.pop('decode_too', False)
    kinds = spec.pop('kinds', ['float', 'int8'] if quantise else ['float'])
    g = Graph(**{'seed': index + 1, **spec})
    {'v8': yolov8, 'v5u': yolov5u, 'micro': micro, 'attention': micro_attention,
     'blocks': micro_blocks, 'fuse': micro_fuse, 'head': micro_head}[arch](g, **net)
    first = len(g.nodes)
    if not g.logits:
        g.decode()
        g.spread()
    if not g.simplify:
        g.share_biases()
    if names is None:
        names = {i: ALPHABET[i] if g.classes <= 4 else 'class %d' % i for i in range(g.classes)}
    model = g.model(metadata(g, names) if meta is not None else {}, **file)
    if quantise:
        floats = [] if decode_too else [n.name for n in model.graph.node[first:]]
        if apart:
            floats += last_concat(list(model.graph.node[:first]))
        model = quantised(g, model, quantise, floats, operators, **options)
        if apart:
            model = set_apart(model)
        if float_weights:
            model = with_float_weights(model)
    references = []
    for batch, height, width in [(g.batch, g.height, g.width)] + also:
        for kind in kinds:
            roles, tensors = zip(*g.maps())
            tensors = ['output1' if t == g.prototypes else t for t in tensors]
            source = qoperators.with_floats(model, tensors) if operators else model
            if kind == 'float' and (g.half or quantise):
                source = as_float(qoperators.as_qdq(source) if operators else source)
            maps = run(source, tensors, g.images(noise(batch, height, width)))
            maps = [m.reshape(m.shape[:2] + (m.shape[2:] or (1, 1))).transpose(0, 2, 3, 1)
                    for m in maps]
            references.append((batch, height, width, kind, list(zip(roles, maps))))
    if not references:
        return model, g, [], []
    check_output(g, model, references[0])
    if g.half:
        rough = run(model, g.cls, g.images(noise(references[0][0], g.height, g.width)))
        for a, b in zip(rough, class_maps(references[0])):
            assert np.abs(a.transpose(0, 2, 3, 1) - b).max() < 2e-2 * np.abs(b).max(), name
    model_names = list(names.values()) if isinstance(names, dict) else list(names)
    if meta is None:
        model_names = [str(i) for i in range(g.classes)]
    return model, g, model_names, references


def main():
    arguments = sys.argv[1:]
    check = '--check' in arguments
    arguments = [a for a in arguments if a != '--check']
    here = os.path.dirname(os.path.abspath(__file__))
    folder = arguments[0] if arguments else os.path.join(here, '..', 'data')
    lines = ['# file\treference\tkind\tbatch\theight\twidth\treg_max\tstrides\tnames'
             '\ttask\tother\tform']
    bad, total = [], 0

    def put(name, data, same=None):
        nonlocal total
        total += len(data)
        path = os.path.join(folder, name)
        if not check:
            with open(path, 'wb') as f:
                f.write(data)
        elif not os.path.exists(path):
            bad.append(name + ' is missing')
        else:
            with open(path, 'rb') as f:
                old = f.read()
            if old != data and not (same and same(old)):
                bad.append(name + ' differs')

    for index, (name, spec) in enumerate(MODELS.items()):
        model, g, names, references = build(name, spec, index)
        data = model.SerializeToString(deterministic=True)
        assert len(data) < 100000, (name, len(data))
        put(name + '.onnx', data)
        for batch, height, width, kind, maps in references:
            suffix = '' if (height, width) == (g.height, g.width) else '-%dx%d' % (height, width)
            if kind != 'float':
                suffix += '-' + kind
            flat = np.concatenate([m.ravel() for _, m in maps]).astype('<f4')
            scale = np.concatenate([np.full(m.size, np.abs(m).max()) for _, m in maps])
            assert np.isfinite(flat).all()

            def close(old):
                old = np.frombuffer(old, '<f4')
                return (old.size == flat.size
                        and (np.abs(old - flat) <= MAPS_TOLERANCE * scale).all())
            put(name + suffix + '.maps', flat.tobytes(), close)
            lines.append('\t'.join(map(str, (
                name + '.onnx', name + suffix + '.maps', kind, batch, height, width,
                g.reg_max if g.levels else 0, ','.join(map(str, g.levels)), '|'.join(names),
                g.task, g.other, g.form_numbers()))))
        if not references:
            continue
        passing = np.mean([(m.max(-1) > np.log(.25 / .75)).mean()
                           for m in class_maps(references[0])])
        deviation = [float(m.std()) for _, m in references[0][4]]
        print('%-24s %6d bytes, %3.0f %% of the anchors above .25, deviations %s' % (
            name, len(data), 100 * passing, ' '.join('%.2f' % d for d in deviation)))
        assert 0 < passing < (1.1 if g.logits else .7), name
        if name == 'micro':
            apart, weights = with_data_file(model, 'micro-external.onnx.data')
            put('micro-external.onnx', apart.SerializeToString(deterministic=True))
            put('micro-external.onnx.data', weights)
            put('micro-external.maps', flat.tobytes(), close)
            lines.append(lines[-1].replace('micro.', 'micro-external.'))
    put('models.tsv', ('\n'.join(lines) + '\n').encode())
    print('%d bytes in all' % total)
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
