# SPDX-License-Identifier: MIT
"""Pictures and labels to learn from: a folder `images` of JPEG and PNG files and, beside it, a
folder `labels` of text files as YOLO has them, whose lines are a class and a box's centre, width
and height as parts of the picture; what follows in a line, as a confidence, is left out.
"""

import math
import os
import random

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from . import DataError

ENDINGS = ('.jpg', '.jpeg', '.png')
GREY = 114                                      # what the plugin fills a letterbox with
# How far augmentation goes: sizes and places as parts of the picture, colours as factors.
SCALE, SHIFT, BRIGHTNESS, SATURATION, HUE = .5, .1, .4, .7, .1
# An object of which less than that is left is none, and one of fewer pixels.
PART, PIXELS = .2, 3


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


def labels_of(picture, classes):
    """[K][5]: class, and the box's left, top, right, bottom as parts of the picture. A picture
    without a file of labels has no objects."""
    stem = os.path.splitext(os.path.basename(picture))[0]
    path = os.path.join(os.path.dirname(os.path.dirname(picture)), 'labels', stem + '.txt')
    rows = []
    if os.path.exists(path):
        try:
            with open(path, encoding='utf-8') as file:
                lines = list(file)
        except UnicodeDecodeError as why:
            raise DataError(f'{path}: is not text in UTF-8 ({why}); write it again') from None
        for number, line in enumerate(lines, 1):
            try:
                kind, x, y, width, height = map(float, line.split()[:5])
            except ValueError:
                raise DataError(f'{path}:{number}: not a class and four numbers') from None
            parts = (x, y, width, height)
            if kind not in range(classes) or not all(0 <= v <= 1 for v in parts):
                raise DataError(f'{path}:{number}: a class from 0 to {classes - 1} and numbers '
                                'from 0 to 1 belong there')
            rows.append((kind, x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)


def read(path):
    """[3][rows][columns], grey levels of R, G and B as float32."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert('RGB'))
    except (OSError, ValueError, Image.DecompressionBombError) as why:
        raise DataError(f'{path}: cannot be read ({why})') from None
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()


class Canvas:
    """A network's picture, on which pictures are laid."""

    def __init__(self, size):
        self.size = size
        self.pixels = torch.full((3, *size), float(GREY))
        self.objects = []

    def lay(self, picture, objects, factor, left, top, within=None):
        """The picture, `factor` as large, with its corner at (left, top), of which is seen what is
        inside `within`, left, top, right, bottom, or the whole canvas. All in pixels of it."""
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
        boxes = objects[:, 1:] * torch.tensor([columns, rows] * 2)
        boxes += torch.tensor([left, top] * 2)
        low, high = torch.tensor([x1, y1]), torch.tensor([x2, y2])
        seen = torch.cat((boxes[:, :2].maximum(low), boxes[:, 2:].minimum(high)), 1)
        sides = (seen[:, 2:] - seen[:, :2]).clamp(0)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        stays = (sides.amin(1) >= PIXELS) & (sides.prod(1) >= PART * area)
        self.objects.append(torch.cat((objects[stays, :1], seen[stays]), 1))


def letterbox(picture, objects, size):
    """The picture as large as the canvas allows, in its middle, as the plugin gives it to the
    network; a small object stays, whatever its size."""
    canvas = Canvas(size)
    factor = min(size[0] / picture.shape[1], size[1] / picture.shape[2])
    rows, columns = (max(round(side * factor), 1) for side in picture.shape[1:])
    left, top = (size[1] - columns) // 2, (size[0] - rows) // 2
    canvas.lay(picture, objects, factor, left, top)
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
    """(picture uint8 [3][rows][columns], objects [K][5]: class, box in its pixels).

    augment: flipped, scaled, moved and in other colours; mosaic: the part of the pictures that are
    made of four. What is drawn depends on seed, epoch and the picture's number alone, so that
    several processes learn what one would.
    """

    def __init__(self, paths, size, classes, augment=False, mosaic=0., seed=0):
        self.paths, self.size, self.augment = list(paths), tuple(size), augment
        self.mosaic, self.seed, self.epoch = mosaic, seed, 0
        self.labels = [labels_of(path, classes) for path in self.paths]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, number):
        picture, objects = read(self.paths[number]), self.labels[number]
        if not self.augment:
            canvas = letterbox(picture, objects, self.size)
        else:
            draw = random.Random(f'{self.seed} {self.epoch} {number}')
            if draw.random() < self.mosaic:
                canvas = self.four(number, draw)
            else:
                canvas = self.moved(picture, objects, draw)
            canvas.pixels = colours(canvas.pixels, draw)
        found = torch.cat(canvas.objects) if canvas.objects else torch.zeros(0, 5)
        if self.augment and draw.random() < .5:
            canvas.pixels = canvas.pixels.flip(2)
            found[:, [1, 3]] = self.size[1] - found[:, [3, 1]]
        return canvas.pixels.round().byte(), found

    def moved(self, picture, objects, draw):
        canvas = Canvas(self.size)
        factor = min(side / other for side, other in zip(self.size, picture.shape[1:]))
        factor *= 1 + draw.uniform(-SCALE, SCALE)
        top, left = (round((side - other * factor) / 2 + draw.uniform(-SHIFT, SHIFT) * side)
                     for side, other in zip(self.size, picture.shape[1:]))
        canvas.lay(picture, objects, factor, left, top)
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
    """Pictures uint8 [N][3][rows][columns], and objects [K][6] as loss.py has them."""
    images = torch.stack([image for image, _ in items])
    objects = [torch.cat((torch.full((len(each), 1), float(i)), each), 1)
               for i, (_, each) in enumerate(items)]
    return images, torch.cat(objects)


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
