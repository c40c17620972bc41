#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws three short videos, of a street, a square and a hall, as FOLDER/street.y4m and so on, and
says where everything in them is.

  draw.py FOLDER

The small networks beside this file are trained on such drawings (train.py). Needs Python alone.
Boxes are (left, top, right, bottom) in pixels.
"""

import os
import random
import sys

WIDTH, HEIGHT, FRAMES = 640, 384, 30
CLASSES = ('car', 'person', 'machine')
LAMPS = {'fault': (225, 35, 30), 'off': (62, 62, 62), 'running': (50, 215, 70)}
STATES = tuple(LAMPS)
PLATES = (240, 240, 236), (238, 204, 60)
SKINS = (236, 196, 168), (198, 142, 106), (128, 86, 62)
HAIRS = (36, 28, 24), (92, 58, 34), (170, 130, 74), (120, 120, 122)


def yuv(colour):
    """Of R G B, 0 to 255: ITU-R BT.601, luma 16 to 235."""
    r, g, b = (part / 255 for part in colour)
    return (round(16 + 65.481 * r + 128.553 * g + 24.966 * b),
            round(128 - 37.797 * r - 74.203 * g + 112 * b),
            round(128 + 112 * r - 93.786 * g - 18.214 * b))


def shade(colour, factor):
    return tuple(min(255, int(part * factor)) for part in colour)


class Canvas:
    """Three planes, Y Cb Cr, of full size each, as rows of bytes."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.planes = [[bytearray(width) for _ in range(height)] for _ in range(3)]

    def span(self, y, left, right, colour):
        left, right = max(0, left), min(self.width, right)
        if left < right and 0 <= y < self.height:
            for plane, value in zip(self.planes, colour):
                plane[y][left:right] = bytes((value,)) * (right - left)

    def rectangle(self, box, colour):
        left, top, right, bottom = map(round, box)
        colour = yuv(colour)
        for y in range(top, bottom):
            self.span(y, left, right, colour)

    def ellipse(self, box, colour):
        left, top, right, bottom = box
        colour = yuv(colour)
        for y in range(round(top), round(bottom)):
            height = (y + .5 - (top + bottom) / 2) / ((bottom - top) / 2)
            half = (right - left) / 2 * max(0, 1 - height * height) ** .5
            middle = (left + right) / 2
            self.span(y, round(middle - half), round(middle + half), colour)

    def copy(self):
        other = Canvas(0, 0)
        other.width, other.height = self.width, self.height
        other.planes = [[bytearray(row) for row in plane] for plane in self.planes]
        return other

    def i420(self):
        """Y, and of each two by two pixels of Cb and Cr the first."""
        luma, *chroma = self.planes
        return b''.join([*luma, *(row[::2] for plane in chroma for row in plane[::2])])


class Within:
    """Draws by shares of a box."""

    def __init__(self, canvas, box):
        self.canvas, (self.left, self.top, right, bottom) = canvas, box
        self.width, self.height = right - self.left, bottom - self.top

    def box(self, left, top, right, bottom):
        return (self.left + left * self.width, self.top + top * self.height,
                self.left + right * self.width, self.top + bottom * self.height)

    def rectangle(self, share, colour):
        self.canvas.rectangle(self.box(*share), colour)

    def ellipse(self, share, colour):
        self.canvas.ellipse(self.box(*share), colour)


class Car:
    """Seen from behind, with a plate or without."""

    label, shape = 'car', .8            # height by width

    def __init__(self, chance, plate=None):
        self.colour = tuple(chance.randint(25, 235) for _ in range(3))
        self.plate = chance.random() < .75 if plate is None else plate
        self.paper, self.aside = chance.choice(PLATES), chance.uniform(-.16, .16)
        self.below = chance.uniform(-.06, .05)
        self.strokes = [chance.random() < .75 for _ in range(9)]

    def draw(self, canvas, box):
        """Draws it in that box, and returns what is to be found inside: [(label, box)]."""
        at = Within(canvas, box)
        at.rectangle((.08, .8, .27, 1), (24, 24, 26))
        at.rectangle((.73, .8, .92, 1), (24, 24, 26))
        at.rectangle((.14, 0, .86, .45), shade(self.colour, .8))
        at.rectangle((.21, .07, .79, .36), (64, 84, 100))
        at.rectangle((0, .4, 1, .88), self.colour)
        at.rectangle((.03, .46, .16, .6), (190, 24, 24))
        at.rectangle((.84, .46, .97, .6), (190, 24, 24))
        if not self.plate:
            return []
        plate = at.box(.34 + self.aside, .63 + self.below, .66 + self.aside, .77 + self.below)
        canvas.rectangle(plate, self.paper)
        on = Within(canvas, plate)
        for i, dark in enumerate(self.strokes):
            if dark:
                on.rectangle((.08 + .095 * i, .25, .13 + .095 * i, .75), (30, 30, 34))
        return [('plate', plate)]


class Person:
    """Seen from the front, with a face, or from behind."""

    label, shape = 'person', 2.6

    def __init__(self, chance, face=None):
        self.shirt = tuple(chance.randint(30, 230) for _ in range(3))
        self.trousers = tuple(chance.randint(20, 110) for _ in range(3))
        self.skin, self.hair = chance.choice(SKINS), chance.choice(HAIRS)
        self.face = chance.random() < .7 if face is None else face
        self.lean, self.step = chance.uniform(-.12, .12), chance.uniform(0, .08)

    def draw(self, canvas, box):
        at = Within(canvas, box)
        at.rectangle((.22 - self.step, .55, .46, 1), self.trousers)
        at.rectangle((.54, .55, .78 + self.step, 1), self.trousers)
        at.rectangle((0, .24, .18, .58), shade(self.shirt, .8))
        at.rectangle((.82, .24, 1, .58), shade(self.shirt, .8))
        at.rectangle((.16, .21, .84, .6), self.shirt)
        head = at.box(.28 + self.lean, 0, .72 + self.lean, .22)
        canvas.ellipse(head, self.hair)
        if not self.face:
            return []
        face = Within(canvas, head).box(.08, .22, .92, 1)
        canvas.ellipse(face, self.skin)
        on = Within(canvas, face)
        for left in .22, .62:
            on.rectangle((left, .34, left + .16, .5), (20, 20, 24))
        on.rectangle((.32, .7, .68, .78), (150, 60, 60))
        return [('face', face)]


class Machine:
    """A cabinet with a lamp, whose colour says the state."""

    label, shape = 'machine', 1.1

    def __init__(self, chance, state=None):
        grey = chance.randint(120, 190)
        self.colour = tuple(grey + chance.randint(-14, 14) for _ in range(3))
        self.state = state or chance.choice(STATES)
        self.lamp, self.sign = chance.uniform(.1, .7), chance.uniform(.1, .6)
        self.paint = tuple(chance.randint(40, 220) for _ in range(3))

    def draw(self, canvas, box):
        at = Within(canvas, box)
        at.ellipse((self.lamp, 0, self.lamp + .2, .22), LAMPS[self.state])
        at.rectangle((0, .16, 1, .92), self.colour)
        at.rectangle((.12, .3, .88, .58), (34, 44, 54))
        at.rectangle((self.sign, .68, self.sign + .3, .8), self.paint)
        at.rectangle((0, .92, 1, 1), (40, 40, 42))
        return []


KINDS = {kind.label: kind for kind in (Car, Person, Machine)}


def background(canvas, chance):
    """Something above, something below, and posts, windows and signs of dull colours."""
    horizon, bands = chance.uniform(.25, .6) * canvas.height, 8
    for top, bottom in (0, horizon), (horizon, canvas.height):
        colour = tuple(chance.randint(90, 190) for _ in range(3))
        for i in range(bands):
            step = (bottom - top) / bands
            canvas.rectangle((0, top + i * step, canvas.width, top + (i + 1) * step),
                             shade(colour, .85 + .3 * i / bands))
    for _ in range(chance.randint(4, 14)):
        left, top = chance.uniform(-.1, 1) * canvas.width, chance.uniform(-.1, 1) * canvas.height
        width, height = (chance.uniform(.01, .16) * canvas.width for _ in range(2))
        canvas.rectangle((left, top, left + width, top + height),
                         tuple(chance.randint(60, 200) for _ in range(3)))


class Scene:
    """Things that move over one background. Each has a box in the first frame, and goes so many
    pixels right and down a frame."""

    def __init__(self, seed):
        self.chance, self.things = random.Random(seed), []
        self.backdrop = Canvas(WIDTH, HEIGHT)
        background(self.backdrop, self.chance)

    def add(self, label, left, top, width, speed=(0, 0), **how):
        kind = KINDS[label](self.chance, **how)
        self.things.append((kind, (left, top, left + width, top + width * kind.shape), speed))
        return kind

    def change(self, _frame):
        """What is different from this frame on."""

    def frames(self):
        """(Canvas, [(thing, box, [(label of a part, its box)])]) of each frame."""
        for frame in range(FRAMES):
            self.change(frame)
            canvas, found = self.backdrop.copy(), []
            for kind, (left, top, right, bottom), (across, down) in self.things:
                across, down = across * frame, down * frame
                box = left + across, top + down, right + across, bottom + down
                found.append((kind, box, kind.draw(canvas, box)))
            yield canvas, found


def street():
    scene = Scene(12)
    scene.add('person', 20, 60, 44, (1, 0), face=True)
    scene.add('car', 90, 120, 104, (2, 1), plate=True)
    scene.add('car', 300, 70, 84, (-1, 0), plate=True)
    scene.add('car', 420, 200, 150, (1.5, .5), plate=False)
    scene.add('car', 240, 236, 136, (-2, .5), plate=True)
    return scene


def square():
    scene = Scene(21)
    scene.add('person', 60, 90, 56, (2, 0), face=True)
    scene.add('person', 250, 60, 48, (-1, 1), face=True)
    scene.add('person', 380, 120, 62, (1, 0), face=False)
    scene.add('person', 540, 150, 70, (-2, 0), face=True)
    return scene


class Hall(Scene):
    """One machine runs, one stops at a third of the video, one fails at half of it."""

    def __init__(self):
        super().__init__(31)
        self.add('machine', 60, 130, 110, state='running')
        self.add('machine', 260, 90, 92, state='running')
        self.add('machine', 440, 160, 140, state='running')
        self.add('person', 380, 40, 44, (1, 0), face=False)

    def change(self, frame):
        self.things[1][0].state = 'off' if frame >= FRAMES // 3 else 'running'
        self.things[2][0].state = 'fault' if frame >= FRAMES // 2 else 'running'


SCENES = {'street': street, 'square': square, 'hall': Hall}


def write(scene, path):
    """In YUV4MPEG2, ten frames a second: a line of text, then a line and the pixels of each."""
    with open(path, 'wb') as file:
        file.write(b'YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420\n' % (WIDTH, HEIGHT))
        for canvas, _ in scene.frames():
            file.write(b'FRAME\n' + canvas.i420())


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        sys.exit('usage: draw.py FOLDER')
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, make in SCENES.items():
        write(make(), os.path.join(sys.argv[1], name + '.y4m'))


if __name__ == '__main__':
    main()
