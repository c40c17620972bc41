# SPDX-License-Identifier: MIT
"""Made-up pictures to learn from, and networks that segment or find points."""

import os
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from tap import folder
from training import network, norms

SIZE = (64, 96)
NAMES = {0: 'a', 1: 'b'}
TASKS = {'segment': {'coefficients': 8}, 'pose': {'points': (3, 3)},
         'flat pose': {'points': (2, 2)}, 'body': {'points': (17, 3)},
         'twice': {'bins': 1, 'one': True}}


def write_pictures(name, count):
    """A white rectangle and on top of it a black one, which is labelled as class 1, on grey."""
    to = os.path.join(folder(), name)
    for part in ('images', 'labels'):
        os.makedirs(os.path.join(to, part), exist_ok=True)
    draw = random.Random(name)
    for i in range(count):
        pixels = np.full((60, 80, 3), 100, np.uint8)
        for kind in (0, 1):
            width, height = draw.randrange(16, 40), draw.randrange(16, 30)
            x, y = draw.randrange(80 - width), draw.randrange(60 - height)
            pixels[y:y + height, x:x + width] = 255 * (1 - kind)
        line = f'{kind} {(x + width / 2) / 80} {(y + height / 2) / 60} {width / 80} {height / 60}'
        Image.fromarray(pixels).save(os.path.join(to, 'images', f'{i:03}.png'))
        with open(os.path.join(to, 'labels', f'{i:03}.txt'), 'w', encoding='utf-8') as file:
            file.write(line + ' .9\n')
    return to


def write_scenes(name, count, task):
    """Dark right-angled triangles on grey, whose right angle is at the left or, every other time,
    the right; points are the lower left corner, the lower right one, and the tip."""
    to = os.path.join(folder(), name)
    for part in ('images', 'labels'):
        os.makedirs(os.path.join(to, part), exist_ok=True)
    draw = random.Random(name)
    for i in range(count):
        picture = Image.new('RGB', (80, 60), (150, 150, 150))
        width, height = draw.randrange(30, 50), draw.randrange(24, 40)
        x, y = draw.randrange(80 - width), draw.randrange(60 - height)
        low = [(x, y + height), (x + width, y + height)]
        corners = [*low, (low[i % 2][0], y)]
        ImageDraw.Draw(picture).polygon(corners, fill=(0, 0, 0))
        picture.save(os.path.join(to, 'images', f'{i:03}.png'))
        parts = [(u / 80, v / 60) for u, v in corners]
        values = [v for part in parts for v in part] if task == 'segment' else [
            (x + width / 2) / 80, (y + height / 2) / 60, width / 80, height / 60,
            *(v for part in parts for v in (*part, 2))]
        with open(os.path.join(to, 'labels', f'{i:03}.txt'), 'w', encoding='utf-8') as file:
            file.write(' '.join(map(str, (i % 2, *values))) + '\n')
    return to


def random_network(task, seed=0):
    """With norms that look trained; it sees something in noise."""
    torch.manual_seed(seed)
    made = network.yolov8(NAMES, (1 / 3, .0625, 128), **{'bins': 8, **TASKS[task]})
    for norm in norms.norms_of(made):
        torch.nn.init.uniform_(norm.weight, .5, 1.5)
        torch.nn.init.normal_(norm.bias, std=.2)
    norms.measure(made, [torch.rand(4, 3, *SIZE)])
    with torch.no_grad():
        for branch in (*made.head.cv3, *(made.head.one[1] if made.head.one else ())):
            branch[-1].bias.fill_(-1)
            branch[-1].weight.mul_(4)
    return made.eval()


def maps_and_labels(task, seed, pictures=2, count=6):
    """Of a network with random weights, on noise, with objects of 16 pixels or more."""
    net, draw = random_network(task, seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        maps = net(torch.rand(pictures, 3, *SIZE, generator=draw))

    def uniform(*shape):
        return torch.rand(*shape, generator=draw)
    whole = torch.tensor([SIZE[1], SIZE[0]])
    sizes = 16 + uniform(count, 2) * (whole - 16) * .7
    corner = uniform(count, 2) * (whole - sizes)
    objects = torch.cat(((uniform(count, 1) * pictures).floor().sort(0)[0],
                         (uniform(count, 1) * 2).floor(), corner, corner + sizes), 1)
    masks = uniform(count, SIZE[0] // 4, SIZE[1] // 4) > .4
    if net.head.task == 'pose':
        points = net.head.shape[0]
        where = corner[:, None] + uniform(count, points, 2) * sizes[:, None]
        known = (uniform(count, points, 1) > .3).float() if net.head.shape[1] == 3 \
            else torch.ones(count, points, 1)
        objects = torch.cat((objects, torch.cat((where, known), 2).flatten(1)), 1)
    return net, maps, objects, masks
