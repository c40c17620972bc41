# SPDX-License-Identifier: MIT
"""YOLOv8 and YOLO11 to detect, to segment and to find points, as modules of PyTorch: what they
compute is described in docs and papers alone (Ultralytics' documentation of the architecture, SPPF
by Jocher, DFL by Li et al. 2020, attention by Vaswani et al. 2017, prototypes by Bolya et al.
2019), the attributes are called as in Ultralytics' checkpoints so that names of weights fit.

Every constructor is told the width of each of its layers, since pruning leaves layers of a
block with widths that have nothing to do with each other. Tensors are [batch][channels][rows]
[columns]; pictures are R G B from 0 to 1, whose sides are multiples of the largest stride.
"""

import copy
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
    """The second half of cv1's channels goes through a chain of bottlenecks, or in C3k2 of C3k
    (YOLO11), or of bottlenecks and attention (YOLO26); both halves and what each of the chain gives
    are joined."""

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
    """A map and what `pools` poolings, one behind the other, make of it, joined; perhaps with a
    residual around it."""

    def __init__(self, first, last, kernel=5, pools=3, add=False):
        super().__init__()
        self.cv1, self.cv2, self.pools, self.add = first, last, pools, add
        self.m = nn.MaxPool2d(kernel, 1, kernel // 2)

    def forward(self, x):
        parts = [self.cv1(x)]
        for _ in range(self.pools):
            parts.append(self.m(parts[-1]))
        y = self.cv2(torch.cat(parts, 1))
        return x + y if self.add else y


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


class Maps(list):
    """What a head gives of each level: (box logits, class logits), and a third map, coefficients of
    masks or points, where it has such. prototypes: [N][coefficients][rows][columns] of a segmenting
    head; one: Maps of the one-to-one head that YOLO26 has beside the other."""

    prototypes = one = None


def tensors_of(maps):
    """All that is in Maps."""
    return [part for level in maps for part in level] + (
        [] if maps.prototypes is None else [maps.prototypes]) + (
        [] if maps.one is None else tensors_of(maps.one))


class Detect(nn.Module):
    """Two branches for each level: logits of the four sides' distributions, and of classes.

    boxes, classes: for each level a branch, whose last layer gives 4 * bins channels (left,
    top, right, bottom) or one for each class; of one bin, the distances themselves. strides: pixels
    of the picture that a pixel of the level's map stands for. one: (boxes, classes) of a second
    head, by which each object is found once (Wang et al. 2024, "YOLOv10", section 3.1), or None; it
    does not change what it reads. end_to_end: whether files are written with that head.
    """

    task = 'detect'

    def __init__(self, boxes, classes, bins, strides, one=None, end_to_end=False):
        super().__init__()
        self.cv2, self.cv3 = nn.ModuleList(boxes), nn.ModuleList(classes)
        self.bins, self.strides, self.end_to_end = bins, list(strides), end_to_end
        if one:
            self.one2one_cv2, self.one2one_cv3 = map(nn.ModuleList, one)

    @property
    def branches(self):
        """For each kind of map the branches of the levels."""
        return [self.cv2, self.cv3]

    @property
    def one(self):
        """The same of the one-to-one head; nothing where there is none."""
        return [self.one2one_cv2, self.one2one_cv3] if hasattr(self, 'one2one_cv2') else []

    def forward(self, maps):
        made = run(self.branches, maps)
        if self.one:
            made.one = run(self.one, [x.detach() for x in maps] if self.training else maps)
        return made


def run(branches, maps):
    return Maps(tuple(branch(x) for branch in level) for *level, x in zip(*branches, maps))


class Proto(nn.Module):
    """Prototypes of masks, twice as large as the map that they are made of."""

    def __init__(self, first, upsample, second, last):
        super().__init__()
        self.cv1, self.upsample, self.cv2, self.cv3 = first, upsample, second, last

    def forward(self, x):
        return self.cv3(self.cv2(self.upsample(self.cv1(x))))


class Segment(Detect):
    """Also coefficients, by which prototypes are added up to the mask of an object (Bolya et al.
    2019, "YOLACT"). coefficients: for each level a branch."""

    task = 'segment'

    def __init__(self, boxes, classes, bins, strides, coefficients, proto):
        super().__init__(boxes, classes, bins, strides)
        self.cv4, self.proto = nn.ModuleList(coefficients), proto

    @property
    def branches(self):
        return [*super().branches, self.cv4]

    def forward(self, maps):
        made = super().forward(maps)
        made.prototypes = self.proto(maps[0])
        return made


class Pose(Detect):
    """Also points: of each object `shape` = (how many, of 2 or 3 numbers each: x, y, and the logit
    of its being there). points: for each level a branch that gives them all."""

    task = 'pose'

    def __init__(self, boxes, classes, bins, strides, points, shape):
        super().__init__(boxes, classes, bins, strides)
        self.cv4, self.shape = nn.ModuleList(points), tuple(shape)

    @property
    def branches(self):
        return [*super().branches, self.cv4]


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
        """The head's Maps."""
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
    """Box logits [N][4 * bins][A], class logits [N][classes][A], and what else there is, of all
    levels."""
    return tuple(torch.cat([part.flatten(2) for part in parts], 2) for parts in zip(*maps))


def distances(logits, bins):
    """The sides' distances in strides, [N][4][A], of logits [N][4 * bins][A]: the expectation of
    the distribution over 0 ... bins - 1 (Li et al. 2020, "Generalized Focal Loss", eq. 4)."""
    if bins == 1:
        return logits
    n, _, anchors = logits.shape
    each = logits.view(n, 4, bins, anchors).transpose(1, 2).softmax(1)
    numbers = torch.arange(bins, dtype=logits.dtype, device=logits.device)
    return functional.conv2d(each, numbers.view(1, bins, 1, 1)).view(n, 4, anchors)


def decode(maps, head):
    """[N][4 + classes + more][A]: centre, width and height in pixels of the picture, confidences,
    and coefficients of masks or points in pixels; the output of Ultralytics' exported files."""
    boxes, classes, *more = joined(maps)
    points, steps = anchors_of([level[0].shape[2:] for level in maps], head.strides, boxes.device)
    points, steps = points.T[None], steps.T[None]
    sides = distances(boxes.float(), head.bins) * steps
    least, most = points - sides[:, :2], points + sides[:, 2:]
    if isinstance(head, Pose):
        x, y, *there = places(more[0].float(), head.shape).unbind(2)
        more = [torch.stack((x * steps + points[:, :1], y * steps + points[:, 1:],
                             *(each.sigmoid() for each in there)), 2).flatten(1, 2)]
    return torch.cat(((least + most) / 2, most - least, classes.sigmoid(), *more), 1)


def best(maps, head, most=300):
    """[N][most][6]: left, top, right, bottom in pixels of the picture, confidence and class, of the
    most confident of all anchors and classes; what files with a one-to-one head give."""
    decoded = decode(maps, head).transpose(1, 2)
    boxes, scores = decoded[..., :4], decoded[..., 4:]
    score, place = scores.flatten(1).topk(min(most, scores.shape[1]))
    own = boxes.gather(1, (place // scores.shape[2])[..., None].expand(-1, -1, 4))
    return torch.cat((own[..., :2] - own[..., 2:] / 2, own[..., :2] + own[..., 2:] / 2,
                      score[..., None], (place % scores.shape[2])[..., None]), 2)


def places(logits, shape):
    """Points [N][count][numbers][A] of logits [N][count * numbers][A]: x and y in strides from the
    anchor; the map's numbers are twice as fine, and count from the corner of its pixel."""
    each = logits.unflatten(1, shape)
    return torch.cat((each[:, :, :2] * 2 - .5, each[:, :, 2:]), 2)


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


def three_layers(channels, width, outputs):
    """A head's branches of one kind, for levels of so many channels."""
    return [nn.Sequential(Conv(c, width, 3), Conv(width, width, 3), nn.Conv2d(width, outputs, 1))
            for c in channels]


def head(channels, classes, bins, strides, coefficients=0, points=None, one=False):
    """A head as published, which segments with so many coefficients, or finds points of a shape, or
    has a one-to-one head beside it.
    The last layers begin with a bias that makes every class rare: five objects in a picture of
    640x640 pixels (the prior of Lin et al. 2017, "Focal Loss")."""
    box, cls = max(16, channels[0] // 4, 4 * bins), max(channels[0], min(classes, 100))
    boxes = three_layers(channels, box, 4 * bins)
    logits = three_layers(channels, cls, classes)
    for branch, last, stride in zip(boxes, logits, strides):
        nn.init.constant_(branch[-1].bias, 1.)
        nn.init.constant_(last[-1].bias, math.log(5 / classes / (640 / stride) ** 2))
    if not coefficients and not points:
        return Detect(boxes, logits, bins, strides,
                      copy.deepcopy((boxes, logits)) if one else None)
    more = coefficients or math.prod(points)
    branches = three_layers(channels, max(channels[0] // 4, more), more)
    if points:
        return Pose(boxes, logits, bins, strides, branches, points)
    width = channels[0]
    proto = Proto(Conv(width, width, 3), nn.ConvTranspose2d(width, width, 2, 2),
                  Conv(width, width, 3), Conv(width, coefficients))
    return Segment(boxes, logits, bins, strides, branches, proto)


def yolov8(names, scale='n', bins=16, coefficients=0, points=None, one=False):
    """A network with random weights. names: {number: name of a class}; scale: one of SCALES, or
    (depth, width, most channels); coefficients, points, one: as head() has them."""
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
        ([15, 18, 21], head((c, d, e), len(names), bins, (8, 16, 32), coefficients, points,
                             one))]
    return Network([layer for _, layer in layers], [f for f, _ in layers], names)
