# SPDX-License-Identifier: MIT
"""Labels a video by a teacher: a network that the plugin runs, at a size at which it sees more
than the student will. No label is made by hand.

FOLDER gets `train`, `choose` and `judge`, each with `images` and `labels` as data.py reads them:
frames are shared out by time, since neighbours look alike, with a gap between the parts. One
part is to learn from, one to choose by, and one only judges.
"""

import json
import os
import shutil

import numpy as np
from PIL import Image

from . import DataError
from .pipeline import launch

# What each part gets of the frames, and what is left out in front of the second and the third.
PARTS, GAP = (('train', .6), ('choose', .2), ('judge', .2)), .02
# Two frames whose small pictures differ by less, in grey levels on average, show the same.
ALIKE, SMALL = 1., (64, 36)


def extract(video, rate, folder):
    """Sorted paths of the video's frames as JPEG files, so many a second."""
    if not os.path.exists(video):
        raise DataError(f'{video}: there is no such file')
    os.makedirs(folder, exist_ok=True)
    launch(['filesrc', f'location={video}', '!', 'decodebin', '!', 'videorate', 'drop-only=true',
            '!', f'video/x-raw,framerate=[0/1,{rate}/1]', '!', 'videoconvert', '!', 'jpegenc',
            'quality=95', '!', 'multifilesink', f'location={folder}/%06d.jpg'], video)
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def different(paths, most):
    """Those of the frames that differ from the one chosen before, `most` of them at most, evenly
    over time."""
    chosen, last = [], None
    for path in paths:
        with Image.open(path) as image:
            small = np.asarray(image.convert('L').resize(SMALL), np.float32)
        if last is None or np.abs(small - last).mean() >= ALIKE:
            chosen.append(path)
            last = small
    if len(chosen) > most:
        chosen = [chosen[i * len(chosen) // most] for i in range(most)]
    return chosen


def teach(paths, model, size, confidence, work):
    """The objects that the model finds in each picture: [[(class, x, y, width, height,
    confidence)]], boxes by centre and size as parts of the picture. size: (rows, columns) of the
    network's input."""
    turns = os.path.join(work, 'turns')
    shutil.rmtree(turns, ignore_errors=True)
    os.makedirs(turns)
    for i, path in enumerate(paths):
        os.symlink(os.path.abspath(path), os.path.join(turns, f'{i:06}.jpg'))
    found = os.path.join(work, 'teacher.jsonl')
    launch(['multifilesrc', f'location={turns}/%06d.jpg', 'caps=image/jpeg,framerate=1/1', '!',
            'jpegdec', 'idct-method=islow', '!', 'yoloinfer', f'model-file={model}',
            f'input-size={size[1]}x{size[0]}', f'confidence-threshold={confidence}', '!',
            'yoloexport', 'format=json-lines', f'location={found}', '!', 'fakesink'], model)
    frames = [[] for _ in paths]
    with open(found, encoding='utf-8') as lines:
        for line in lines:
            frame = json.loads(line)
            for each in frame['objects']:
                seen = each['detection']
                x1, y1, x2, y2 = (min(max(seen['bounding_box'][key], 0), 1)
                                  for key in ('x_min', 'y_min', 'x_max', 'y_max'))
                frames[frame['frame']].append((seen['label_id'], (x1 + x2) / 2, (y1 + y2) / 2,
                                               x2 - x1, y2 - y1, seen['confidence']))
    return frames


def share_out(count):
    """{part: range of frames}"""
    first, parts, gap = 0, {}, round(GAP * count)
    for place, (name, part) in enumerate(PARTS):
        last = count if place == len(PARTS) - 1 else first + round(part * count)
        parts[name] = range(first + (gap if place else 0), last)
        first = last
    return parts


def label(video, model, folder, size, rate=5, most=400, confidence=.25):
    """Makes FOLDER, which is not there before, once it is whole; gives {part: number of frames}.
    rate: frames a second that are looked at; most: how many are kept; size: (rows, columns) of
    the teacher's input; confidence: of what it finds, the least."""
    work = folder + '.part'
    shutil.rmtree(work, ignore_errors=True)
    frames = different(extract(video, rate, os.path.join(work, 'frames')), most)
    parts = share_out(len(frames))
    if min(map(len, parts.values())) < 2:
        raise DataError(f'{video}: {len(frames)} frames that differ are too few to learn, choose '
                        'and judge by; give a longer video, or more frames a second')
    objects = teach(frames, model, size, confidence, work)
    if not any(objects[i] for i in parts['train']):
        raise DataError(f'{video}: the teacher finds no object in it; give another video, or a '
                        'teacher that knows what is to be seen there')
    for name, numbers in parts.items():
        for inner in ('images', 'labels'):
            os.makedirs(os.path.join(work, name, inner))
        for i in numbers:
            stem = os.path.splitext(os.path.basename(frames[i]))[0]
            os.rename(frames[i], os.path.join(work, name, 'images', stem + '.jpg'))
            with open(os.path.join(work, name, 'labels', stem + '.txt'), 'w',
                      encoding='utf-8') as file:
                file.writelines(' '.join(f'{v:.6g}' for v in each) + '\n' for each in objects[i])
    for rest in ('frames', 'turns'):
        shutil.rmtree(os.path.join(work, rest))
    os.rename(work, folder)
    return {name: len(numbers) for name, numbers in parts.items()}
