# SPDX-License-Identifier: MIT
"""The heads of make-models.py's networks beside Detect's: masks, points, turned boxes, classes
of the whole image, and the end of files that are end to end. In the structure that
Ultralytics' exporter writes."""

import numpy as np
from onnx import TensorProto

SIZES = {'detect': 0, 'segment': 5, 'obb': 1, 'classify': 0}    # of the third map of a level
HEADS = {'detect': 'Detect', 'segment': 'Segment', 'pose': 'Pose', 'obb': 'OBB',
         'classify': 'Classify'}
# How the heads of YOLOv8 and YOLO26 read the third map.
POSE, POSE26 = dict(scale=2, offset=-.5), dict(scale=1, offset=0)


class Heads:
    """A part of Graph in make-models.py, which has the nodes and the convolutions. Tensors of
    the head are [batch][channels][anchors] once its maps are joined."""

    def set_task(self, task, points, form, sigmoid, rows):
        """points: how many an object has, and the numbers of each; form: POSE or POSE26;
        sigmoid: angles are 0 to 1 before they are scaled; rows: how many an end-to-end file
        gives, or 0."""
        self.task, self.points, self.rows, self.sigmoid = task, points, rows, sigmoid
        self.form = form if points else dict(scale=0, offset=0)
        self.other = points[0] * points[1] if points else SIZES[task]
        self.others, self.prototypes, self.logits = [], None, None

    def maps(self):
        """[(role, tensor)] in the order of a file of maps."""
        if self.logits:
            return [('logit', self.logits)]
        levels = [self.box, self.cls] + ([self.others] if self.other else [])
        found = [(role, maps[i]) for i in range(len(self.levels))
                 for role, maps in zip(('box', 'class', 'other'), levels)]
        return found + ([('prototype', self.prototypes)] if self.prototypes else [])

    def form_numbers(self):
        """The form's column of models.tsv."""
        keypoints, dimensions = self.points or (0, 0)
        sigmoid = self.task == 'obb' and self.sigmoid
        end_to_end = self.rows > 0 or self.task == 'classify'
        numbers = (keypoints, dimensions, self.form['scale'], self.form['offset'], sigmoid,
                   end_to_end)
        return ','.join('%g' % n for n in numbers)

    # -- before the maps

    def other_branch(self, x, level, scope):
        y = self.conv(x, 2, 3, 1, '%s.cv4.%d.0' % (scope, level))
        y = self.conv(y, 2, 3, 1, '%s.cv4.%d.1' % (scope, level))
        return self.conv(y, self.other, 1, 1, '%s.cv4.%d.2' % (scope, level), False, gain=2)

    def mask_prototypes(self, maps, scope, fused, width=2):
        """Proto, and Proto26, which adds the smaller maps to the largest."""
        x, scope = maps[0], scope + '.proto'
        if fused:
            for i, small in enumerate(maps[1:]):
                y = self.conv(small, self.channels[x], 1, 1, '%s.feat_refine.%d' % (scope, i))
                x = self.node('Add', [x, self.upsample(y, scope)], scope)
            x = self.conv(x, self.channels[x], 3, 1, scope + '.feat_fuse')
        y = self.conv(x, width, 3, 1, scope + '.cv1')
        weight = self.random.standard_normal((width, width, 2, 2)).astype(np.float32)
        bias = (self.random.standard_normal(width) * .3).astype(np.float32)
        up = self.node('ConvTranspose', [
            y, self.weight(scope + '.upsample', 'weight', weight),
            self.weight(scope + '.upsample', 'bias', bias)], scope, dilations=[1, 1], group=1,
            kernel_shape=[2, 2], pads=[0] * 4, strides=[2, 2])
        y = self.conv(up, width, 3, 1, scope + '.cv2')
        self.prototypes = self.conv(y, self.other, 1, 1, scope + '.cv3')

    def classifier(self, x, hidden, scope):
        x = self.conv(x, hidden, 1, 1, scope + '.conv')
        x = self.node('GlobalAveragePool', [x], scope)
        x = self.node('Flatten', [x], scope, axis=1)
        weight = self.random.standard_normal((self.classes, hidden)).astype(np.float32) * 2
        bias = self.random.standard_normal(self.classes).astype(np.float32)
        self.logits = self.node('Gemm', [
            x, self.weight(scope + '.linear', 'weight', weight),
            self.weight(scope + '.linear', 'bias', bias)], scope, alpha=1., beta=1., transB=1)
        self.node('Softmax', [self.logits], scope, axis=1)

    # -- behind the maps

    def angles(self, x, scope):
        if not self.sigmoid:
            return x
        x = self.node('Sub', [self.node('Sigmoid', [x], scope), self.real(.25)], scope)
        return self.node('Mul', [x, self.real(np.pi)], scope)

    def turned_boxes(self, d, points, angle, scope):
        """Centres and sizes: dist2rbox()."""
        lt, rb = self.split(d, [2, 2], scope)
        cos, sin = self.node('Cos', [angle], scope), self.node('Sin', [angle], scope)
        half = self.node('Div', [self.node('Sub', [rb, lt], scope), self.real(2)], scope)
        x, y = self.split(half, [1, 1], scope)
        parts = [self.node('Mul', pair, scope) for pair in ([x, cos], [y, sin], [x, sin], [y, cos])]
        turned = self.concat([self.node('Sub', parts[:2], scope),
                              self.node('Add', parts[2:], scope)], 1, scope)
        return self.concat([self.node('Add', [turned, points], scope),
                            self.node('Add', [lt, rb], scope)], 1, scope)

    def placed_points(self, x, points, strides, scope):
        """points: the anchors [2][anchors], in pixels of the map: numbers, or a node."""
        count, dimensions = self.points
        if self.dynamic:
            n = self.node('Gather', [self.node('Shape', [x], scope), self.int(0)], axis=0)
            n = self.unsqueeze(n, 0)
            shape = self.concat([n, self.ints(count), self.ints(dimensions), self.ints(-1)], 0)
            back = self.concat([n, self.ints(self.other), self.ints(-1)], 0)
            if self.form['offset']:
                points = self.node('Sub', [points, self.real(-self.form['offset'])], scope)
        else:
            shape = self.ints(self.batch, count, dimensions, -1)
            back = self.ints(self.batch, self.other, -1)
            points = self.constant(points + np.float32(self.form['offset']))
        x = self.reshape(x, shape, scope)
        axis, step = self.ints(2), self.ints(1)
        xy = self.slice(x, self.ints(0), self.ints(2), axis, step)
        if self.form['scale'] != 1:
            xy = self.node('Mul', [xy, self.real(self.form['scale'])], scope)
        xy = self.node('Mul', [self.node('Add', [xy, points], scope), strides], scope)
        if dimensions == 3:
            seen = self.slice(x, self.ints(2), self.ints(3), axis, step)
            xy = self.concat([xy, self.node('Sigmoid', [seen], scope)], 2, scope)
        return self.reshape(xy, back, scope)

    def choose(self, out, scope):
        """The best pairs of box and class, [batch][rows][6 + other]: first the anchors whose
        best class is best, then the pairs among these."""
        out = self.node('Transpose', [out], scope, perm=[0, 2, 1])
        ends = np.cumsum([0, 4, self.classes, self.other])
        boxes, scores, other = (self.slice(out, self.ints(a), self.ints(b), self.ints(-1))
                                if b > a else None for a, b in zip(ends, ends[1:]))
        best = self.node('ReduceMax', [scores, self.ints(-1)], scope, keepdims=0)
        top = dict(axis=1, largest=1, sorted=1)
        _, anchors = self.node('TopK', [best, self.ints(self.rows)], scope, 2, **top)
        some = self.gathered(scores, self.unsqueeze(anchors, 2), self.classes)
        some = self.node('Flatten', [some], scope, axis=1)
        score, pair = self.node('TopK', [some, self.ints(self.rows)], scope, 2, **top)
        which = self.node('Mod', [pair, self.int(self.classes)], scope, fmod=0)
        which = self.node('Cast', [self.unsqueeze(which, 2)], scope, to=self.float)
        if self.classes > 1:                    # else the exporter leaves the division out
            pair = self.node('Div', [pair, self.int(self.classes)], scope)
        index = self.node('GatherElements', [anchors, pair], scope, axis=1)
        index = self.unsqueeze(index, 2)
        parts = [self.gathered(boxes, index, 4), self.unsqueeze(score, 2), which]
        if other:
            parts.append(self.gathered(other, index, self.other))
        return self.concat(parts, -1, scope)

    def gathered(self, x, index, width):
        """Rows of x [batch][anchors][width] by an index [batch][rows][1]."""
        if width > 1:
            index = self.node('Expand', [index, self.ints(1, 1, width)])
        return self.node('GatherElements', [x, index], axis=1)

    def turned_overlaps(self, boxes):
        """[n][n] of boxes [n][5]: probiou of their normal distributions."""
        def node(op, *inputs, **attributes):
            return self.node(op, list(inputs), **attributes)

        def square(x):
            return node('Pow', x, self.real(2))

        def across(x):
            return node('Transpose', x, perm=[1, 0])

        x, y, w, h, angle = (self.slice(boxes, self.ints(k), self.ints(k + 1), self.ints(1))
                             for k in range(5))
        cos, sin, eps = node('Cos', angle), node('Sin', angle), self.real(1e-7)
        w, h = (node('Div', square(side), self.real(12)) for side in (w, h))
        a = node('Add', node('Mul', w, square(cos)), node('Mul', h, square(sin)))
        b = node('Add', node('Mul', w, square(sin)), node('Mul', h, square(cos)))
        c = node('Mul', node('Mul', node('Sub', w, h), cos), sin)
        own = node('Clip', node('Sub', node('Mul', a, b), square(c)), self.real(0))
        a, b, c = (node('Add', p, across(p)) for p in (a, b, c))
        dx, dy = node('Sub', across(x), x), node('Sub', y, across(y))
        det = node('Sub', node('Mul', a, b), square(c))
        some = node('Add', det, eps)
        one = node('Div', node('Add', node('Mul', a, square(dy)), node('Mul', b, square(dx))), some)
        two = node('Div', node('Mul', node('Mul', c, dx), dy), some)
        three = node('Mul', node('Sqrt', node('Mul', own, across(own))), self.real(4))
        three = node('Add', node('Div', det, node('Add', three, eps)), eps)
        distance = node('Add', node('Mul', one, self.real(.25)), node('Mul', two, self.real(.5)))
        distance = node('Add', distance, node('Mul', node('Log', three), self.real(.5)))
        distance = node('Clip', distance, eps, self.real(100))
        part = node('Sub', self.real(1), node('Exp', node('Neg', distance)))
        return node('Sub', self.real(1), node('Sqrt', node('Add', part, eps)))

    def turned_suppression(self, boxes, angles, which, best, size):
        """Indices of the boxes that no better one overlaps, the best first: fast_nms()."""
        boxes = self.node('Mul', [self.node('Div', [boxes, size]), self.real(.5)])
        offset = self.node('Cast', [self.reshape(which, self.ints(-1, 1))], to=self.float)
        centre = self.node('Add', [self.slice(boxes, self.ints(0), self.ints(2), self.ints(1)),
                                   offset])
        sides = self.slice(boxes, self.ints(2), self.ints(4), self.ints(1))
        _, order = self.node('TopK', [best, self.node('Shape', [best])], '', 2, axis=0)
        rows = self.node('Gather', [self.concat([centre, sides, angles], 1), order], axis=0)
        better = self.node('Trilu', [self.turned_overlaps(rows), self.int(1)], upper=1)
        better = self.node('Cast', [self.node('Greater', [better, self.real(.7)])],
                           to=TensorProto.INT64)
        none = self.node('LessOrEqual', [
            self.node('ReduceSum', [better, self.ints(0)], keepdims=0), self.int(0)])
        kept = self.node('Transpose', [self.node('NonZero', [none])], perm=[1, 0])
        return self.node('Gather', [order, self.node('Squeeze', [kept, self.ints(1)])], axis=0)

    # -- what a file must say

    def expected(self, maps):
        """[batch][anchors][features] of the maps (role, [batch][height][width][channels]): a
        box, scores, and what the third map gives."""
        rows, step = [], 3 if self.other else 2
        for level, stride in enumerate(self.levels):
            box, cls, *other = (m.astype(np.float64)
                                for _, m in maps[step * level:step * (level + 1)])
            n, h, w, _ = box.shape
            d = box.reshape(n, h, w, 4, self.reg_max)
            if self.reg_max > 1:
                p = np.exp(d)
                d = (p * np.arange(self.reg_max)).sum(-1) / p.sum(-1)
            d = d.reshape(n, h, w, 4)
            y, x = np.meshgrid(np.arange(h) + .5, np.arange(w) + .5, indexing='ij')
            other = self.expected_other(other[0], x, y, stride) if other else None
            parts = [self.expected_boxes(d, x, y, other) * stride, 1 / (1 + np.exp(-cls))]
            parts = np.concatenate(parts + ([other] if other is not None else []), -1)
            rows.append(parts.reshape(n, h * w, -1))
        return np.concatenate(rows, 1)

    def expected_boxes(self, d, x, y, angle):
        left, top, right, bottom = np.moveaxis(d, -1, 0)
        if self.task == 'obb':
            a, across, down = angle[..., 0], (right - left) / 2, (bottom - top) / 2
            ways = (x + across * np.cos(a) - down * np.sin(a),
                    y + across * np.sin(a) + down * np.cos(a), left + right, top + bottom)
        elif self.nms or self.rows:
            ways = x - left, y - top, x + right, y + bottom
        else:
            ways = x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom
        return np.stack(ways, -1)

    def expected_other(self, other, x, y, stride):
        if self.task == 'obb' and self.sigmoid:
            return (1 / (1 + np.exp(-other)) - .25) * np.pi
        if not self.points:
            return other
        p = other.reshape(other.shape[:3] + self.points).copy()
        for axis, place in enumerate((x, y)):
            p[..., axis] = self.form['scale'] * p[..., axis] + place[..., None]
            p[..., axis] = (p[..., axis] + self.form['offset']) * stride
        p[..., 2:] = 1 / (1 + np.exp(-p[..., 2:]))
        return p.reshape(other.shape)

    def best_pairs(self, features):
        """[rows][6 + other] of one image's features."""
        scores = features[:, 4:4 + self.classes]
        order = np.argsort(-scores, None, kind='stable')[:self.rows]
        anchor, which = np.unravel_index(order, scores.shape)
        return np.concatenate([features[anchor, :4], scores[anchor, which][:, None],
                               which[:, None], features[anchor, 4 + self.classes:]], 1)
