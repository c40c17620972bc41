# SPDX-License-Identifier: MIT
"""Made-up pictures to learn from."""

import os
import random

import numpy as np
from PIL import Image
from tap import folder


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
