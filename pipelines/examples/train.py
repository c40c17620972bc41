#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the small networks of this folder on what draw.py draws, and writes them.

  train.py [--steps N] FOLDER [NAME...]     NAME: scene, plates, faces, states; all by default

scene finds cars, people and machines in a frame; plates looks at cars, faces at people; states
says of a machine what its lamp shows. Needs numpy and onnx (PyPI; made with 2.4.6 and 1.23.2),
and ten minutes of one core: convolutions, their gradients and Adam (Kingma and Ba, ICLR 2015)
are written out below. Pictures are [N][H][W][3], R G B from 0 to 1, maps [N][H][W][C]. A
detector's head gives distances to the four sides, without distributions, as YOLO26's does.
"""

import argparse
import os
import random

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

import draw

OPSET = 17
BATCH, EXAMPLES = 16, 1600      # pictures of a step, and those that are drawn for a network
GREY = 114 / 255                # around a picture of another shape, as yoloinfer has it
# R G B of Y Cb Cr: the inverse of draw.yuv().
TO_RGB = np.array([[1.16438, 0, 1.59603], [1.16438, -.39176, -.81297], [1.16438, 2.01723, 0]])


# -- pictures

def pixels(canvas):
    """[H][W][3], with the chroma of 4:2:0."""
    y, cb, cr = (np.frombuffer(b''.join(plane), np.uint8).reshape(canvas.height, canvas.width)
                 for plane in canvas.planes)
    cb, cr = (plane[::2, ::2].repeat(2, 0).repeat(2, 1) for plane in (cb, cr))
    return np.clip(np.stack([y - 16., cb - 128., cr - 128.], -1) @ TO_RGB.T / 255, 0, 1)


def resize(picture, width, height):
    """Bilinear, between the middles of pixels."""
    for axis, size in (1, width), (0, height):
        scale = picture.shape[axis] / size
        at = np.clip((np.arange(size) + .5) * scale - .5, 0, picture.shape[axis] - 1)
        first = np.minimum(at.astype(int), picture.shape[axis] - 2)
        share = np.expand_dims(at - first, (1, 2) if axis == 0 else (0, 2))
        picture = (np.take(picture, first, axis) * (1 - share)
                   + np.take(picture, first + 1, axis) * share)
    return picture


def letterbox(picture, boxes, size):
    """The picture in a grey one of size (width, height), and its boxes [n][4] there."""
    width, height = size
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    out = np.full((height, width, 3), GREY)
    out[top:top + inner[1], left:left + inner[0]] = resize(picture, *inner)
    return out, np.reshape(boxes, (-1, 4)) * scale + (left, top, left, top)


def disturb(chance, picture):
    """Noise, and another exposure; as bytes, which are kept by the thousand."""
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, .012, picture.shape)
    picture = picture * chance.uniform(.85, 1.15) + noise
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def scene_of(chance, size):
    """A frame with up to six things in places of their own: (picture, boxes, classes)."""
    canvas = draw.Canvas(draw.WIDTH, draw.HEIGHT)
    draw.background(canvas, chance)
    boxes, classes = [], []
    for _ in range(24):
        label = chance.choice(draw.CLASSES)
        kind = draw.KINDS[label](chance)
        width = chance.uniform(38, 82) if label == 'person' else chance.uniform(72, 168)
        height = width * kind.shape
        left = chance.uniform(-.1 * width, canvas.width - .9 * width)
        top = chance.uniform(0, max(1, canvas.height - height))
        box = left, top, left + width, top + height
        if len(boxes) < 6 and all(box[0] > b[2] + 4 or b[0] > box[2] + 4 or box[1] > b[3] + 4
                                  or b[1] > box[3] + 4 for b in boxes):
            kind.draw(canvas, box)
            boxes.append(box)
            classes.append(draw.CLASSES.index(label))
    picture, boxes = letterbox(pixels(canvas), boxes, size)
    return disturb(chance, picture), boxes, classes


def crop_of(chance, kind, square=False):
    """A thing cut out of a frame, a little aside of where it is, as a network finds it, and the
    boxes of its parts there."""
    width = chance.uniform(40, 80) if kind.label == 'person' else chance.uniform(72, 168)
    height, edge = width * kind.shape, 24
    canvas = draw.Canvas(int(width + height) // 2 * 2 + 2 * edge, int(width + height) // 2 * 2
                         + 2 * edge)
    draw.background(canvas, chance)
    box = (canvas.width - width) / 2, (canvas.height - height) / 2
    box = np.array([*box, box[0] + width, box[1] + height])
    parts = [part for _, part in kind.draw(canvas, box)]
    box += np.array([chance.uniform(-.2, .2) for _ in range(4)]) * np.tile((width, height), 2)
    if square:
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() / 2
        box = np.concatenate([middle - half, middle + half])
    left, top, right, bottom = box.round().astype(int)
    left, top = max(0, left), max(0, top)
    picture = pixels(canvas)[top:bottom, left:right]
    return picture, np.reshape(parts, (-1, 4)) - (left, top, left, top)


def part_of(label):
    def example(chance, size):
        picture, boxes = crop_of(chance, draw.KINDS[label](chance))
        picture, boxes = letterbox(picture, boxes, size)
        return disturb(chance, picture), boxes, [0] * len(boxes)
    return example


def state_of(chance, size):
    machine = draw.Machine(chance)
    picture, _ = crop_of(chance, machine, square=True)
    return disturb(chance, resize(picture, *size)), None, draw.STATES.index(machine.state)


# -- layers, with what their gradient needs

class Conv:
    """A convolution with a bias, and with a ReLU behind it or not."""

    def __init__(self, generator, before, after, kernel, stride=1, relu=True):
        self.kernel, self.stride, self.relu = kernel, stride, relu
        fan = before * kernel * kernel                  # He et al., ICCV 2015
        self.weight = generator.normal(0, (2 / fan) ** .5, (fan, after)).astype(np.float32)
        self.bias = np.zeros(after, np.float32)
        self.shape = self.columns = self.out = None

    def forward(self, x):
        edge = self.kernel // 2
        x = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
        windows = sliding_window_view(x, (self.kernel, self.kernel), (1, 2))
        windows = windows[:, ::self.stride, ::self.stride]
        self.shape = x.shape
        self.columns = windows.reshape(*windows.shape[:3], -1)  # [N][H][W][C kernel kernel]
        self.out = self.columns @ self.weight + self.bias
        if self.relu:
            self.out = np.maximum(self.out, 0)
        return self.out

    def backward(self, gradient):
        """gradient: of the output. Returns the gradient of the input, or None in the first layer,
        which reads a picture, and leaves those of the weight and the bias in .gradients."""
        if self.relu:
            gradient = gradient * (self.out > 0)
        flat = gradient.reshape(-1, gradient.shape[-1])
        self.gradients = [self.columns.reshape(len(flat), -1).T @ flat, flat.sum(0)]
        _, height, width, channels = self.shape
        if channels == 3:
            return None
        each = (gradient @ self.weight.T).reshape(
            *gradient.shape[:3], channels, self.kernel, self.kernel)
        back = np.zeros(self.shape, np.float32)
        rows, columns = (size * self.stride for size in gradient.shape[1:3])
        for y in range(self.kernel):
            for x in range(self.kernel):
                back[:, y:y + rows:self.stride, x:x + columns:self.stride][
                    :, :gradient.shape[1], :gradient.shape[2]] += each[..., y, x]
        edge = self.kernel // 2
        return back[:, edge:height - edge, edge:width - edge]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# -- networks

class Detector:
    """Convolutions that halve the map each; boxes and classes are read off the last two maps."""

    def __init__(self, generator, channels, names, size):
        self.names, self.size, self.task = names, size, 'detect'
        sides = [3, *channels]
        self.body = [Conv(generator, *pair, 3, 2) for pair in zip(sides, sides[1:])]
        self.strides = [1 << len(channels) - 1, 1 << len(channels)]
        self.heads = []
        for width in channels[-2:]:
            head = [Conv(generator, width, 12, 3), Conv(generator, 12, 4, 1, relu=False),
                    Conv(generator, 12, len(names), 1, relu=False)]
            head[1].bias[:], head[2].bias[:] = 1, -4
            self.heads.append(head)
        self.layers = self.body + [layer for head in self.heads for layer in head]

    def forward(self, x):
        """[(distances, logits)] of both levels: [N][H][W][4] in strides, [N][H][W][classes]."""
        maps = []
        for layer in self.body:
            maps.append(x := layer.forward(x))
        found = []
        for x, (first, box, cls) in zip(maps[-2:], self.heads):
            x = first.forward(x)
            found.append((box.forward(x), cls.forward(x)))
        return found

    def backward(self, gradients):
        before = [first.backward(box.backward(b) + cls.backward(c))
                  for (first, box, cls), (b, c) in zip(self.heads, gradients)]
        back = before[1]
        for i, layer in reversed(list(enumerate(self.body))):
            if i == len(self.body) - 2:
                back = back + before[0]
            back = layer.backward(back)

    def targets(self, stride, boxes, classes):
        """Of one picture: distances [H][W][4] in strides, classes [H][W][n], and the weight of
        each cell. An object is found by the cells around its middle alone, which see its sides
        best; that others inside it are not it weighs less, for they look much like these."""
        height, width = self.size[1] // stride, self.size[0] // stride
        y, x = np.mgrid[:height, :width] + .5
        distances = np.zeros((height, width, 4), np.float32)
        wanted = np.zeros((height, width, len(self.names)), np.float32)
        weight = np.ones((height, width), np.float32)
        limit = 3.5 * self.strides[0]           # objects of this size are found by either level
        for box, which in zip(boxes, classes):
            left, top, right, bottom = np.asarray(box) / stride
            weight[(x > left) & (x < right) & (y > top) & (y < bottom)] = .3
            size = ((right - left) * (bottom - top)) ** .5 * stride
            if size < .75 * limit if stride == self.strides[1] else size > 1.33 * limit:
                continue
            middle = (left + right) / 2, (top + bottom) / 2
            cells = (abs(x - middle[0]) < .6) & (abs(y - middle[1]) < .6)
            weight[cells], wanted[cells] = 1, np.eye(len(self.names))[which]
            distances[cells] = np.stack([x - left, y - top, right - x, bottom - y], -1)[cells]
        return distances, wanted, weight

    def loss(self, found, truth):
        """Cross entropy of classes and absolute error of distances, and their gradients."""
        total, gradients = 0, []
        for stride, (box, cls) in zip(self.strides, found):
            distances, wanted, weight = map(np.stack, zip(
                *(self.targets(stride, *each) for each in truth)))
            positive = wanted.max(-1, keepdims=True)
            count, share = max(1, positive.sum()), sigmoid(cls)
            entropy = -(wanted * np.log(share + 1e-9) + (1 - wanted) * np.log(1 - share + 1e-9))
            error = (box - distances) * positive
            # In shares of the object's size, so that small ones count as much.
            size = np.maximum(distances[..., :2] + distances[..., 2:], .5)
            size = np.concatenate([size, size], -1)
            total += ((entropy * weight[..., None]).sum() + 2 * (abs(error) / size).sum()) / count
            gradients.append((2 * np.sign(error) / size / count,
                              (share - wanted) * weight[..., None] / count))
        return total, gradients


class Classifier:
    """Convolutions that halve the map each, and classes off the mean of the last map."""

    def __init__(self, generator, channels, names, size):
        self.names, self.size, self.task = names, size, 'classify'
        sides = [3, *channels]
        self.body = [Conv(generator, *pair, 3, 2) for pair in zip(sides, sides[1:])]
        self.last = Conv(generator, sides[-1], len(names), 1, relu=False)
        self.layers = self.body + [self.last]

    def forward(self, x):
        for layer in self.body:
            x = layer.forward(x)
        return self.last.forward(x.mean((1, 2), keepdims=True))[:, 0, 0]

    def backward(self, gradient):
        back = self.last.backward(gradient[:, None, None])
        out = self.body[-1].out
        back = np.broadcast_to(back / (out.shape[1] * out.shape[2]), out.shape)
        for layer in reversed(self.body):
            back = layer.backward(back)

    def loss(self, logits, truth):
        wanted = np.eye(len(self.names))[[which for _, which in truth]]
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        return (-np.log((share * wanted).sum(1) + 1e-9).mean(),
                ((share - wanted) / len(truth)).astype(np.float32))


def train(net, example, steps, seed):
    """Adam; the rate falls as half a cosine does. Returns the loss of the first and last steps."""
    chance, losses, rate = random.Random(seed), [], 4e-3
    examples = [example(chance, net.size) for _ in range(min(EXAMPLES, steps * BATCH))]
    weights = [array for layer in net.layers for array in (layer.weight, layer.bias)]
    means, squares = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, steps + 1):
        pictures, *truth = zip(*chance.sample(examples, BATCH))
        loss, gradients = net.loss(net.forward(np.stack(pictures) / np.float32(255)),
                                   list(zip(*truth)))
        net.backward(gradients)
        gradients = [g for layer in net.layers for g in layer.gradients]
        now = rate * (1 + np.cos(np.pi * step / steps)) / 2 * min(1, step / 50)
        for w, g, mean, square in zip(weights, gradients, means, squares):
            mean += .1 * (g - mean)
            square += .01 * (g * g - square)
            w -= now * mean / (1 - .9 ** step) / (np.sqrt(square / (1 - .99 ** step)) + 1e-8)
        losses.append(loss)
        if step % 50 == 0:
            print(f'step {step} of {steps}: {np.mean(losses[-50:]):.4f}', flush=True)
    return losses


# -- files

class Graph:
    """Nodes and weights, in the form of Ultralytics' exporter. Methods take and give names."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, values, kind=np.float32):
        name = f'constant_{len(self.weights)}'
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def node(self, operator, inputs, outputs=1, **attributes):
        names = [f'{operator.lower()}_{len(self.nodes)}_{i}' for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def reshape(self, x, *shape):
        return self.node('Reshape', [x, self.constant(shape, np.int64)])

    def split(self, x, *sizes):
        return self.node('Split', [x, self.constant(sizes, np.int64)], len(sizes), axis=1)

    def conv(self, layer, x):
        side = layer.kernel
        weight = layer.weight.T.reshape(len(layer.bias), -1, side, side)
        y = self.node('Conv', [x, self.constant(weight), self.constant(layer.bias)],
                      kernel_shape=[side] * 2, strides=[layer.stride] * 2, pads=[side // 2] * 4)
        return self.node('Relu', [y]) if layer.relu else y

    def detector(self, net):
        """[1][4 + classes][anchors]: x, y of the middle, width, height, scores."""
        maps, x, classes = [], 'images', len(net.names)
        for layer in net.body:
            maps.append(x := self.conv(layer, x))
        levels, anchors, strides = [], [], []
        for x, stride, (first, box, cls) in zip(maps[-2:], net.strides, net.heads):
            x = self.conv(first, x)
            both = self.node('Concat', [self.conv(box, x), self.conv(cls, x)], axis=1)
            levels.append(self.reshape(both, 1, 4 + classes, -1))
            y, x = np.mgrid[:net.size[1] // stride, :net.size[0] // stride] + .5
            anchors.append(np.stack([x.ravel(), y.ravel()]))
            strides.append(np.full((1, x.size), stride))
        box, cls = self.split(self.node('Concat', levels, axis=2), 4, classes)
        anchors = self.constant(np.concatenate(anchors, 1)[None])
        before, behind = self.split(box, 2, 2)
        least = self.node('Sub', [anchors, before])
        most = self.node('Add', [anchors, behind])
        middle = self.node('Div', [self.node('Add', [least, most]), self.constant(2)])
        sides = self.node('Sub', [most, least])
        boxes = self.node('Mul', [self.node('Concat', [middle, sides], axis=1),
                                  self.constant(np.concatenate(strides, 1)[None])])
        self.node('Concat', [boxes, self.node('Sigmoid', [cls])], axis=1)
        return [1, 4 + classes, sum(net.size[0] // s * (net.size[1] // s) for s in net.strides)]

    def classifier(self, net):
        x = 'images'
        for layer in net.body:
            x = self.conv(layer, x)
        x = self.node('Flatten', [self.node('GlobalAveragePool', [x])], axis=1)
        x = self.node('Gemm', [x, self.constant(net.last.weight.T), self.constant(net.last.bias)],
                      transB=1)
        self.node('Softmax', [x], axis=1)
        return [1, len(net.names)]


def write(net, path):
    graph = Graph()
    shape = graph.detector(net) if net.task == 'detect' else graph.classifier(net)
    graph.nodes[-1].output[0] = 'output0'
    width, height = net.size
    model = helper.make_model(helper.make_graph(
        graph.nodes, os.path.splitext(os.path.basename(path))[0],
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info('output0', TensorProto.FLOAT, shape)], graph.weights),
        producer_name='yolo', opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)
    facts = {'task': net.task, 'batch': '1', 'imgsz': str([height, width]),
             'names': str(dict(enumerate(net.names)))}
    if net.task == 'detect':
        facts['stride'] = str(net.strides[-1])
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)


# Class, channels, names of classes, width and height of the picture, what it learns from, steps.
NETWORKS = {
    'scene': (Detector, (8, 8, 14, 16, 20), draw.CLASSES, (256, 160), scene_of, 1500),
    'plates': (Detector, (8, 12, 16), ('plate',), (96, 96), part_of('car'), 800),
    'faces': (Detector, (8, 12, 16), ('face',), (96, 96), part_of('person'), 800),
    'states': (Classifier, (8, 12, 16), draw.STATES, (64, 64), state_of, 600),
}


def main():
    parser = argparse.ArgumentParser(description='Trains the networks of the examples.')
    parser.add_argument('--steps', type=int, help='steps of training, in place of as many as help')
    parser.add_argument('folder')
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(NETWORKS))
    options = parser.parse_args()
    if unknown := set(options.names) - set(NETWORKS):
        parser.error(f'no network is called {min(unknown)}; there are {", ".join(NETWORKS)}')
    os.makedirs(options.folder, exist_ok=True)
    for name in options.names or NETWORKS:
        kind, channels, names, size, example, steps = NETWORKS[name]
        print(name, flush=True)
        net = kind(np.random.default_rng(1), channels, names, size)
        losses = train(net, example, options.steps or steps, 1)
        path = os.path.join(options.folder, name + '.onnx')
        write(net, path)
        print(f'{path}: loss {np.mean(losses[:10]):.3f}, then {np.mean(losses[-10:]):.3f}')


if __name__ == '__main__':
    main()
