# SPDX-License-Identifier: MIT
"""YOLOv8 and YOLO11 to detect, as modules of PyTorch: what they compute is described in docs and
papers alone (Ultralytics' documentation of the architecture, SPPF by Jocher, DFL by Li et al. 2020,
attention by Vaswani et al. 2017), the attributes are called as in Ultralytics' checkpoints so that
names of weights fit.

Every constructor is told the width of each of its layers, since pruning leaves layers of a
block with widths that have nothing to do with each other. Tensors are [batch][channels][rows]
[columns]; pictures are R G B from 0 to 1, whose sides are multiples of the largest stride.
"""

import math

import torch
from torch import nn
from torch.nn import functional

# Of Ultralytics' batch norms; PyTorch's own defaults are 1e-5 and .1.
NORM_EPSILON, NORM_MOMENTUM = 1e-3, .03

# Depth, width and the most channels, before the width's factor, of the published networks.
SCALES = {'n': (1 / 3, .25, 1024), 's': (1 / 3, .5, 1024), 'm': (2 / 3, .75, 768),
          'l': (1, 1, 512), 'x': (1, 1.25, 512)}


class Conv(nn.Module):
    """Convolution, batch norm, activation. Padding keeps the size where the stride is 1."""

    def __init__(self, inputs, outputs, kernel=1, stride=1, groups=1, act=nn.SiLU):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups,
                              bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=NORM_EPSILON, momentum=NORM_MOMENTUM)
        self.act = act()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Two convolutions, and perhaps a residual around them."""

    def __init__(self, first, second, add):
        super().__init__()
        self.cv1, self.cv2, self.add = first, second, add

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C3k(nn.Module):
    """What a chain of bottlenecks makes of one projection of the input, and another projection,
    joined."""

    def __init__(self, first, second, last, bottlenecks):
        super().__init__()
        self.cv1, self.cv2, self.cv3 = first, second, last
        self.m = nn.Sequential(*bottlenecks)

    def forward(self, x):
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class C2f(nn.Module):
    """The second half of cv1's channels goes through a chain of bottlenecks, or C3k in YOLO11's
    C3k2; both halves and what each of the chain gives are joined."""

    def __init__(self, first, last, bottlenecks):
        super().__init__()
        self.cv1, self.cv2, self.m = first, last, nn.ModuleList(bottlenecks)

    def forward(self, x):
        y = self.cv1(x)
        parts = list(y.split(y.shape[1] // 2, 1))
        for bottleneck in self.m:
            parts.append(bottleneck(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class SPPF(nn.Module):
    """A map and what `pools` poolings, one behind the other, make of it, joined."""

    def __init__(self, first, last, kernel=5, pools=3):
        super().__init__()
        self.cv1, self.cv2, self.pools = first, last, pools
        self.m = nn.MaxPool2d(kernel, 1, kernel // 2)

    def forward(self, x):
        parts = [self.cv1(x)]
        for _ in range(self.pools):
            parts.append(self.m(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class Attention(nn.Module):
    """Scaled dot products of all places of a map with each other, in heads, and of each value a
    depthwise convolution besides, which tells places apart. qkv gives for each head `key` channels
    of queries, as many of keys, and its part of as many values as the input has channels."""

    def __init__(self, qkv, proj, pe, heads, key):
        super().__init__()
        self.qkv, self.proj, self.pe, self.heads, self.key = qkv, proj, pe, heads, key

    def forward(self, x):
        n, channels, rows, columns = x.shape
        each = channels // self.heads
        q, k, v = self.qkv(x).view(n, self.heads, 2 * self.key + each, rows * columns).split(
            (self.key, self.key, each), 2)
        weights = (q.transpose(2, 3) @ k * self.key ** -.5).softmax(-1)
        mean = (v @ weights.transpose(2, 3)).view(n, channels, rows, columns)
        return self.proj(mean + self.pe(v.reshape(n, channels, rows, columns)))


class PSABlock(nn.Module):
    """Attention, and two convolutions, each perhaps with a residual around it."""

    def __init__(self, attention, first, second, add):
        super().__init__()
        self.attn, self.ffn, self.add = attention, nn.Sequential(first, second), add

    def forward(self, x):
        x = x + self.attn(x) if self.add else self.attn(x)
        return x + self.ffn(x) if self.add else self.ffn(x)


class C2PSA(nn.Module):
    """The second half of cv1's channels goes through a chain of PSABlocks; both are joined."""

    def __init__(self, first, last, blocks):
        super().__init__()
        self.cv1, self.cv2, self.m = first, last, nn.Sequential(*blocks)

    def forward(self, x):
        a, b = self.cv1(x).chunk(2, 1)
        return self.cv2(torch.cat((a, self.m(b)), 1))


class Concat(nn.Module):
    def forward(self, maps):
        return torch.cat(maps, 1)


class Detect(nn.Module):
    """Two branches for each level: logits of the four sides' distributions, and of classes.

    boxes, classes: for each level a branch, whose last layer gives 4 * bins channels (left,
    top, right, bottom) or one for each class. strides: pixels of the picture that a pixel of
    the level's map stands for.
    """

    def __init__(self, boxes, classes, bins, strides):
        super().__init__()
        self.cv2, self.cv3 = nn.ModuleList(boxes), nn.ModuleList(classes)
        self.bins, self.strides = bins, list(strides)

    def forward(self, maps):
        """[(box logits, class logits)] of the levels."""
        return [(box(x), cls(x)) for box, cls, x in zip(self.cv2, self.cv3, maps)]


class Network(nn.Module):
    """Layers in order. A layer's `f` says whose outputs it reads: -1 is the layer before, others
    are numbers of layers; a list of them for Concat and Detect, which is the last layer."""

    def __init__(self, layers, froms, names):
        super().__init__()
        self.model = nn.ModuleList(layers)
        for i, (layer, f) in enumerate(zip(layers, froms)):
            layer.i, layer.f = i, f
        self.names = dict(names)
        self.kept = {source for f in froms for source in (f if isinstance(f, list) else [f])} - {-1}

    @property
    def head(self):
        return self.model[-1]

    def forward(self, x):
        """The head's maps: [(box logits, class logits)] of the levels."""
        return self.head(self.features(x))

    def features(self, x):
        """[map [N][channels][rows][columns]] of the levels, which the head reads."""
        outputs = {}
        for layer in self.model:
            if isinstance(layer.f, list):
                inputs = [x if source == -1 else outputs[source] for source in layer.f]
            else:
                inputs = x if layer.f == -1 else outputs[layer.f]
            if layer is self.head:
                return inputs
            x = layer(inputs)
            if layer.i in self.kept:
                outputs[layer.i] = x
        raise AssertionError('a network without a head')


def anchors_of(sizes, strides, device=None):
    """Centres [A][x, y] in pixels of the picture, and strides [A][1], of all anchors; `sizes`
    are the rows and columns of the levels' maps."""
    points, steps = [], []
    for (rows, columns), stride in zip(sizes, strides):
        y, x = torch.meshgrid(torch.arange(rows, device=device),
                              torch.arange(columns, device=device), indexing='ij')
        points.append((torch.stack((x, y), -1).view(-1, 2) + .5) * stride)
        steps.append(torch.full((rows * columns, 1), float(stride), device=device))
    return torch.cat(points), torch.cat(steps)


def joined(maps):
    """Box logits [N][4 * bins][A] and class logits [N][classes][A] of all levels."""
    return (torch.cat([box.flatten(2) for box, _ in maps], 2),
            torch.cat([cls.flatten(2) for _, cls in maps], 2))


def distances(logits, bins):
    """The sides' distances in strides, [N][4][A], of logits [N][4 * bins][A]: the expectation of
    the distribution over 0 ... bins - 1 (Li et al. 2020, "Generalized Focal Loss", eq. 4)."""
    n, _, anchors = logits.shape
    each = logits.view(n, 4, bins, anchors).transpose(1, 2).softmax(1)
    numbers = torch.arange(bins, dtype=logits.dtype, device=logits.device)
    return functional.conv2d(each, numbers.view(1, bins, 1, 1)).view(n, 4, anchors)


def decode(maps, bins, strides):
    """[N][4 + classes][A]: centre, width and height in pixels of the picture, and confidences;
    the output of Ultralytics' exported files."""
    boxes, classes = joined(maps)
    points, steps = anchors_of([box.shape[2:] for box, _ in maps], strides, boxes.device)
    points, steps = points.T[None], steps.T[None]
    sides = distances(boxes.float(), bins) * steps
    least, most = points - sides[:, :2], points + sides[:, 2:]
    return torch.cat(((least + most) / 2, most - least, classes.sigmoid()), 1)


def fuse(network):
    """Folds batch norms into their convolutions, in place and in double precision, and gives the
    network back. What it computes in evaluation stays; it can no longer be trained."""
    for module in list(network.modules()):
        if isinstance(module, Conv) and isinstance(module.bn, nn.BatchNorm2d):
            norm, old = module.bn, module.conv
            factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            new = nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, old.stride,
                            old.padding, groups=old.groups).to(old.weight)
            with torch.no_grad():
                new.weight.copy_(old.weight.double() * factor[:, None, None, None])
                new.bias.copy_(norm.bias.double() - norm.running_mean.double() * factor)
            module.conv, module.bn = new, nn.Identity()
    return network


def join(first, second):
    """One Conv that gives the channels of two that read the same input."""
    a, b = first.conv, second.conv
    both = Conv(a.in_channels, a.out_channels + b.out_channels, a.kernel_size[0], a.stride[0],
                act=type(first.act)).to(a.weight)
    with torch.no_grad():
        both.conv.weight.copy_(torch.cat((a.weight, b.weight)))
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            getattr(both.bn, name).copy_(
                torch.cat((getattr(first.bn, name), getattr(second.bn, name))))
    both.bn.eps = first.bn.eps
    return both.train(first.training)


def c2f(inputs, outputs, bottlenecks, add):
    half = outputs // 2
    return C2f(Conv(inputs, 2 * half), Conv((2 + bottlenecks) * half, outputs),
               [Bottleneck(Conv(half, half, 3), Conv(half, half, 3), add)
                for _ in range(bottlenecks)])


def detect(channels, classes, bins, strides):
    """A head as published. The last layers begin with a bias that makes every class rare: five
    objects in a picture of 640x640 pixels (the prior of Lin et al. 2017, "Focal Loss")."""
    box, cls = max(16, channels[0] // 4, 4 * bins), max(channels[0], min(classes, 100))
    boxes = [nn.Sequential(Conv(c, box, 3), Conv(box, box, 3), nn.Conv2d(box, 4 * bins, 1))
             for c in channels]
    logits = [nn.Sequential(Conv(c, cls, 3), Conv(cls, cls, 3), nn.Conv2d(cls, classes, 1))
              for c in channels]
    for branch, last, stride in zip(boxes, logits, strides):
        nn.init.constant_(branch[-1].bias, 1.)
        nn.init.constant_(last[-1].bias, math.log(5 / classes / (640 / stride) ** 2))
    return Detect(boxes, logits, bins, strides)


def yolov8(names, scale='n', bins=16):
    """A network with random weights. names: {number: name of a class}; scale: one of SCALES, or
    (depth, width, most channels)."""
    depth, factor, most = SCALES.get(scale, scale)

    def width(channels):
        return math.ceil(min(channels, most) * factor / 8) * 8

    def count(bottlenecks):
        return max(round(bottlenecks * depth), 1)

    a, b, c, d, e = map(width, (64, 128, 256, 512, 1024))
    short, long = count(3), count(6)
    layers = [
        (-1, Conv(3, a, 3, 2)), (-1, Conv(a, b, 3, 2)), (-1, c2f(b, b, short, True)),
        (-1, Conv(b, c, 3, 2)), (-1, c2f(c, c, long, True)),
        (-1, Conv(c, d, 3, 2)), (-1, c2f(d, d, long, True)),
        (-1, Conv(d, e, 3, 2)), (-1, c2f(e, e, short, True)),
        (-1, SPPF(Conv(e, e // 2), Conv(e // 2 * 4, e))),
        (-1, nn.Upsample(scale_factor=2)), ([-1, 6], Concat()), (-1, c2f(e + d, d, short, False)),
        (-1, nn.Upsample(scale_factor=2)), ([-1, 4], Concat()), (-1, c2f(d + c, c, short, False)),
        (-1, Conv(c, c, 3, 2)), ([-1, 12], Concat()), (-1, c2f(c + d, d, short, False)),
        (-1, Conv(d, d, 3, 2)), ([-1, 9], Concat()), (-1, c2f(d + e, e, short, False)),
        ([15, 18, 21], detect((c, d, e), len(names), bins, (8, 16, 32)))]
    return Network([layer for _, layer in layers], [f for f, _ in layers], names)
