# SPDX-License-Identifier: MIT
"""Pictures and labels to learn from: a folder `images` of JPEG and PNG files and, beside it, a
folder `labels` of text files as YOLO has them, whose lines are a class and a box's centre, width
and height as parts of the picture; what follows in a line, as a confidence, is left out.
"""

import collections
import math
import os
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from . import DataError

ENDINGS = ('.jpg', '.jpeg', '.png')
GREY = 114                                      # what the plugin fills a letterbox with
# How far augmentation goes: sizes and places as parts of the picture, colours as factors.
SCALE, SHIFT, BRIGHTNESS, SATURATION, HUE = .5, .1, .4, .7, .1
# Masks have a pixel for so many of the network's picture, each way, as its prototypes.
MASK_STRIDE = 4
# Which of COCO's 17 points of a body each is in a mirror (left and right are the body's own).
MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
# An object of which less than that is left is none, and one of fewer pixels.
PART, PIXELS = .2, 3


# What a network learns of an object. task: 'detect', 'segment' or 'pose'; shape: of a pose, how
# many points, and numbers of each; flip_idx: for each point the one that it is in a mirror. Without
# it poses are not mirrored.
Form = collections.namedtuple('Form', 'task shape flip_idx', defaults=((0, 0), ()))
BOXES = Form('detect')


def form_of(net, flip_idx=()):
    """The Form of what a network finds. COCO's points have a mirror that is known."""
    if net.head.task != 'pose':
        return Form(net.head.task)
    shape = tuple(net.head.shape)
    if flip_idx and sorted(flip_idx) != list(range(shape[0])):
        raise DataError(f'{len(flip_idx)} numbers do not mirror {shape[0]} points; give each from '
                        f'0 to {shape[0] - 1} once')
    return Form('pose', shape, tuple(flip_idx) or (MIRRORED if shape[0] == 17 else ()))


def pictures_of(folder):
    """Sorted paths of the pictures in FOLDER/images."""
    images = os.path.join(folder, 'images')
    try:
        names = sorted(os.listdir(images))
    except OSError as why:
        raise DataError(f'{images}: {why.strerror}; give a folder that has images and '
                        'labels') from None
    found = [os.path.join(images, name) for name in names if name.lower().endswith(ENDINGS)]
    if not found:
        raise DataError(f'{images}: no picture in it ({", ".join(ENDINGS)})')
    return found


def lines_of(picture, classes):
    """[(where the line is, class, [numbers])] of a picture's file of labels. A picture without one
    has no objects."""
    stem = os.path.splitext(os.path.basename(picture))[0]
    path = os.path.join(os.path.dirname(os.path.dirname(picture)), 'labels', stem + '.txt')
    if not os.path.exists(path):
        return []
    try:
        with open(path, encoding='utf-8') as file:
            lines = list(file)
    except UnicodeDecodeError as why:
        raise DataError(f'{path}: is not text in UTF-8 ({why}); write it again') from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            kind, *values = map(float, line.split())
        except ValueError:
            values = []
        if len(values) < 4:
            raise DataError(f'{path}:{number}: not a class and four numbers')
        if kind not in range(classes):
            raise DataError(f'{path}:{number}: a class from 0 to {classes - 1} and numbers from 0 '
                            'to 1 belong there')
        rows.append((f'{path}:{number}', kind, values))
    return rows


def inside(where, values):
    """The values, which are parts of the picture."""
    if not all(0 <= v <= 1 for v in values):
        raise DataError(f'{where}: numbers from 0 to 1 belong there, parts of the picture')
    return values


def labels_of(picture, classes, form=BOXES):
    """[K][5 + 3 * points]: class, the box's left, top, right, bottom as parts of the picture, and
    points: x, y, and 0 where nobody knows. A picture without a file of labels has no objects."""
    if form.task == 'segment':
        rows = [(kind, *box) for kind, box, _ in outlines_of(picture, classes)]
        return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    rows = []
    for where, kind, values in lines_of(picture, classes):
        x, y, width, height = inside(where, values[:4])
        rows.append([kind, x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        if form.task == 'pose':
            rows[-1] += points_of(where, values[4:], form.shape)
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5 + 3 * form.shape[0])


def points_of(where, values, shape):
    """[x, y, known, ...] of what follows a box: of points with two numbers all are known."""
    count, numbers = shape
    if len(values) < count * numbers:
        raise DataError(f'{where}: {count} points of {numbers} numbers do not follow the box; '
                        'label points, or give a model that detects')
    found = []
    for i in range(0, count * numbers, numbers):
        x, y, *known = values[i:i + numbers]
        found += [x, y, float(not known or known[0] > 0)]
    return found


def outlines_of(picture, classes):
    """[(class, box, corners [V][2])], parts of the picture."""
    found = []
    for where, kind, values in lines_of(picture, classes):
        values = values[:len(values) // 2 * 2]          # a confidence may follow
        if len(values) < 6:
            raise DataError(f'{where}: not a class and three corners of an outline or more; label '
                            'outlines, or give a model that detects')
        corners = torch.tensor(inside(where, values)).view(-1, 2)
        found.append((kind, (*corners.amin(0).tolist(), *corners.amax(0).tolist()), corners))
    return found


def read(path):
    """[3][rows][columns], grey levels of R, G and B as float32."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert('RGB'))
    except (OSError, ValueError, Image.DecompressionBombError) as why:
        raise DataError(f'{path}: cannot be read ({why})') from None
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()


def drawn(corners, size):
    """The mask [rows][columns] of an outline in pixels of a network's picture: whether the middle
    of each of its pixels is inside."""
    canvas = Image.new('1', (size[1], size[0]))
    # PIL's numbers are those of pixels' middles.
    ImageDraw.Draw(canvas).polygon([tuple(each) for each in (corners - .5).tolist()], fill=1)
    first = MASK_STRIDE // 2
    return torch.from_numpy(np.asarray(canvas)[first::MASK_STRIDE, first::MASK_STRIDE].copy())


class Canvas:
    """A network's picture, on which pictures are laid."""

    def __init__(self, size):
        self.size = size
        self.pixels = torch.full((3, *size), float(GREY))
        self.objects, self.masks = [], []

    def lay(self, picture, labels, factor, left, top, within=None):
        """The picture with (objects, outlines), `factor` as large, with its corner at (left, top),
        of which is seen what is inside `within`, left, top, right, bottom, or the whole canvas. All
        in pixels of it."""
        x1, y1, x2, y2 = within or (0, 0, self.size[1], self.size[0])
        rows, columns = (max(round(side * factor), 1) for side in picture.shape[1:])
        x1, y1 = max(x1, left), max(y1, top)
        x2, y2 = min(x2, left + columns), min(y2, top + rows)
        if x1 >= x2 or y1 >= y2:
            return
        # Between the four nearest pixels, as the plugin's letterbox and OpenCV's INTER_LINEAR.
        large = functional.interpolate(picture[None], (rows, columns), mode='bilinear',
                                       align_corners=False)[0]
        self.pixels[:, y1:y2, x1:x2] = large[:, y1 - top:y2 - top, x1 - left:x2 - left]
        objects, outlines = labels
        boxes = objects[:, 1:5] * torch.tensor([columns, rows] * 2)
        boxes += torch.tensor([left, top] * 2)
        points = objects[:, 5:].reshape(len(objects), -1, 3) * torch.tensor([columns, rows, 1])
        points += torch.tensor([left, top, 0])
        low, high = torch.tensor([x1, y1]), torch.tensor([x2, y2])
        points[..., 2] *= ((points[..., :2] >= low) & (points[..., :2] < high)).all(-1)
        seen = torch.cat((boxes[:, :2].maximum(low), boxes[:, 2:].minimum(high)), 1)
        sides = (seen[:, 2:] - seen[:, :2]).clamp(0)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        stays = (sides.amin(1) >= PIXELS) & (sides.prod(1) >= PART * area)
        self.objects.append(torch.cat((objects[:, :1], seen, points.flatten(1)), 1)[stays])
        if outlines:
            rows, columns = (torch.arange(side // MASK_STRIDE) * MASK_STRIDE + MASK_STRIDE // 2
                             for side in self.size)
            seen = (((rows >= y1) & (rows < y2))[:, None] & (columns >= x1) & (columns < x2))
            place = torch.tensor([large.shape[2], large.shape[1]]), torch.tensor([left, top])
            self.masks += [drawn(outlines[i] * place[0] + place[1], self.size) & seen
                           for i in stays.nonzero().flatten()]


def letterbox(picture, labels, size):
    """The picture as large as the canvas allows, in its middle, as the plugin gives it to the
    network; a small object stays, whatever its size."""
    canvas = Canvas(size)
    factor = min(size[0] / picture.shape[1], size[1] / picture.shape[2])
    rows, columns = (max(round(side * factor), 1) for side in picture.shape[1:])
    left, top = (size[1] - columns) // 2, (size[0] - rows) // 2
    canvas.lay(picture, labels, factor, left, top)
    return canvas


def colours(pixels, draw):
    """Other brightness, saturation and hue: a turn and a stretch of the colours around grey, in
    YIQ (the primaries of NTSC), by numbers that `draw` makes."""
    to = torch.tensor([[.299, .587, .114], [.596, -.274, -.322], [.211, -.523, .312]])
    angle, stretch = draw.uniform(-HUE, HUE) * math.pi, 1 + draw.uniform(-SATURATION, SATURATION)
    cosine, sine = stretch * math.cos(angle), stretch * math.sin(angle)
    turn = torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    matrix = torch.linalg.inv(to) @ turn @ to * (1 + draw.uniform(-BRIGHTNESS, BRIGHTNESS))
    return (matrix @ pixels.flatten(1)).clamp(0, 255).view_as(pixels)


class Pictures(torch.utils.data.Dataset):
    """(picture uint8 [3][rows][columns], objects [K][5 + 3 * points]: class, box, points in its
    pixels, masks bool [K][rows / 4][columns / 4], or None where the form has none).

    augment: flipped, scaled, moved and in other colours; mosaic: the part of the pictures that are
    made of four. What is drawn depends on seed, epoch and the picture's number alone, so that
    several processes learn what one would.
    """

    def __init__(self, paths, size, classes, augment=False, mosaic=0., seed=0, form=BOXES):
        self.paths, self.size, self.augment = list(paths), tuple(size), augment
        self.mosaic, self.seed, self.epoch, self.form = mosaic, seed, 0, form
        # (objects, outlines) of each picture
        self.labels = [(labels_of(path, classes, form),
                        [corners for *_, corners in outlines_of(path, classes)]
                        if form.task == 'segment' else []) for path in self.paths]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        picture, labels = read(self.paths[number]), self.labels[number]
        if not self.augment:
            canvas = letterbox(picture, labels, self.size)
        else:
            draw = random.Random(f'{self.seed} {self.epoch} {number}')
            if draw.random() < self.mosaic:
                canvas = self.four(number, draw)
            else:
                canvas = self.moved(picture, labels, draw)
            canvas.pixels = colours(canvas.pixels, draw)
        found = torch.cat(canvas.objects) if canvas.objects \
            else torch.zeros(0, 5 + 3 * self.form.shape[0])
        masks = None
        if self.form.task == 'segment':
            masks = torch.stack(canvas.masks) if canvas.masks else torch.zeros(
                0, *(side // MASK_STRIDE for side in self.size), dtype=torch.bool)
        if self.augment and draw.random() < .5 and (self.form.task != 'pose' or self.form.flip_idx):
            canvas.pixels = canvas.pixels.flip(2)
            found[:, [1, 3]] = self.size[1] - found[:, [3, 1]]
            # A mask's pixels stand for places in the middle of four, which a mirror moves by one.
            masks = masks.flip(2) if masks is not None else None
            if self.form.flip_idx:
                points = found[:, 5:].view(len(found), -1, 3)[:, list(self.form.flip_idx)]
                points[..., 0] = self.size[1] - points[..., 0]
                found[:, 5:] = points.flatten(1)
        return canvas.pixels.round().byte(), found, masks

    def moved(self, picture, labels, draw):
        canvas = Canvas(self.size)
        factor = min(side / other for side, other in zip(self.size, picture.shape[1:]))
        factor *= 1 + draw.uniform(-SCALE, SCALE)
        top, left = (round((side - other * factor) / 2 + draw.uniform(-SHIFT, SHIFT) * side)
                     for side, other in zip(self.size, picture.shape[1:]))
        canvas.lay(picture, labels, factor, left, top)
        return canvas

    def four(self, number, draw):
        """The picture and three others around a point of the canvas, each cut where the next one
        begins."""
        canvas, (rows, columns) = Canvas(self.size), self.size
        x, y = (round(side * draw.uniform(.3, .7)) for side in (columns, rows))
        others = [number] + [draw.randrange(len(self)) for _ in range(3)]
        for place, other in enumerate(others):
            picture = read(self.paths[other])
            factor = min(side / real for side, real in zip(self.size, picture.shape[1:]))
            factor *= 1 + draw.uniform(-SCALE, 0)
            height, width = (max(round(side * factor), 1) for side in picture.shape[1:])
            right, below = place % 2, place // 2
            within = (x if right else 0, y if below else 0, columns if right else x,
                      rows if below else y)
            canvas.lay(picture, self.labels[other], factor, x if right else x - width,
                       y if below else y - height, within)
        return canvas


def collate(items):
    """Pictures uint8 [N][3][rows][columns], objects [K][6 + 3 * points] and masks, or None, as
    loss.py has them."""
    images = torch.stack([image for image, *_ in items])
    objects = [torch.cat((torch.full((len(each), 1), float(i)), each), 1)
               for i, (_, each, _) in enumerate(items)]
    masks = None if items[0][2] is None else torch.cat([each for *_, each in items])
    return images, torch.cat(objects), masks


def ready(batch):
    """A batch of collate(), with pictures as the network takes them."""
    return batch[0].float() / 255, *batch[1:]


class Batches(torch.utils.data.Sampler):
    """Numbers of pictures of each batch, in an order that seed and epoch give. Of `world`
    processes each gets its part of the batches that one would have of `world` times as many;
    pictures that fill no batch wait for another epoch, unless there are too few for one."""

    def __init__(self, count, batch, world=1, rank=0, seed=0):
        self.count, self.batch, self.world, self.rank = count, batch, world, rank
        self.seed, self.epoch = seed, 0
        if count < world:
            raise DataError(f'{count} pictures are too few for {world} processes')

    def __len__(self):
        return max(self.count // (self.batch * self.world), 1)

    def __iter__(self):
        order = list(range(self.count))
        random.Random(f'{self.seed} {self.epoch}').shuffle(order)
        whole = min(self.batch * self.world, self.count // self.world * self.world)
        own = whole // self.world
        for first in range(0, len(self) * whole, whole):
            yield order[first + self.rank * own:first + (self.rank + 1) * own]
