#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run lengths and outlines against pycocotools, on random masks."""

import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'pipelines'))
from tap import run_cases, with_pycocotools

ROUNDS = 500
COMPARE = '''
import json
import sys
import numpy
from pycocotools import mask
compared = False
for line in sys.stdin:
    frame, part, pixels, counts, points = json.loads(line)
    (width, height), (x, y, w, h) = frame, part
    bits = numpy.zeros((height, width), numpy.uint8, order='F')
    bits[y:y + h, x:x + w] = numpy.array(pixels, numpy.uint8).reshape(h, w)
    assert mask.encode(bits)['counts'].decode() == counts, (frame, part, counts)
    assert (mask.decode({'size': [height, width], 'counts': counts}) == bits).all()
    # a polygon is drawn by other rules: of masks that are thick, most of the pixels are the same
    if bits.sum() < 200 or not points:
        continue
    drawn = mask.merge(mask.frPyObjects([[p / 2 for p in points]], height, width))
    assert mask.iou([mask.encode(bits)], [drawn], [0])[0][0] > .8, (frame, part, pixels)
    compared = True
assert compared
'''


def masks():
    """Frames with parts of noise, or with a few discs that have no hole."""
    chance = random.Random(1)
    for number in range(ROUNDS):
        frame = width, height = chance.randint(1, 300), chance.randint(1, 300)
        x, y = chance.randrange(width), chance.randrange(height)
        w, h = chance.randint(0, min(width - x, 90)), chance.randint(0, min(height - y, 90))
        if number % 2:
            share = chance.random()
            pixels = [int(chance.random() < share) for _ in range(w * h)]
            yield frame, (x, y, w, h), pixels, False
        else:
            discs = [(chance.uniform(0, w), chance.uniform(0, h), chance.uniform(4, 30))
                     for _ in range(2)]
            pixels = [int(any((i % w - u) ** 2 + (i // w - v) ** 2 < r * r for u, v, r in discs))
                      for i in range(w * h)]
            yield frame, (x, y, w, h), pixels, True


def agrees_with_pycocotools():
    python, cases = with_pycocotools(), list(masks())
    text = '\n'.join(' '.join(map(str, [*frame, *part, ''.join(map(str, pixels))]))
                     for frame, part, pixels, _ in cases)
    output = subprocess.run([os.environ['BITMAP_TEXT']], input=text, check=True, text=True,
                            stdout=subprocess.PIPE).stdout.splitlines()
    assert len(output) == len(cases), len(output)
    lines = []
    for (frame, part, pixels, solid), line in zip(cases, output):
        counts, *points = line.split(' ')
        lines.append(json.dumps([frame, part, pixels, counts,
                                 [int(p) for p in points] if solid else []]))
    result = subprocess.run([python, '-c', COMPARE], input='\n'.join(lines), check=False,
                            text=True, stderr=subprocess.PIPE)
    assert result.returncode == 0, result.stderr


run_cases([agrees_with_pycocotools])
