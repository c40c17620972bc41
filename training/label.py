# SPDX-License-Identifier: MIT
"""Labels videos and pictures by a teacher: a network that the plugin runs, at a size at which it
sees more than the student will. Labels by hand are mixed in.

FOLDER gets `train`, `choose` and `judge`, each with `images` and `labels` as data.py reads them:
the frames of each source are shared out by time, since neighbours look alike, with a gap between
the parts. One part is to learn from, one to choose by, and one only judges. Beside them lie
`data.yaml`, by which Ultralytics' package reads the folder, and `labels.jsonl`, which says of each
picture where it comes from, who labelled it, and how sure the teacher was.
"""

import json
import os
import shutil

import numpy as np
import yaml

from . import DataError, data, hand, sources
from .pipeline import launch

# What each part gets of the frames, and what is left out in front of the second and the third.
PARTS, GAP = (('train', .6), ('choose', .2), ('judge', .2)), .02
# Two frames none of whose small pictures' pixels differ by as many grey levels show the same.
ALIKE = 6
# A teacher's point of less confidence is not learnt.
SEEN = .5
WITH = {'detect': '', 'segment': ' with a mask', 'pose': ' with the model\'s points'}
FEWEST = 2                                      # frames of a part


def different(small, most):
    """Sorted numbers of the frames that differ, `most` of them at most: the first one, and then
    again and again the one that is the least like those chosen, as long as that is not one of them
    (farthest-point sampling; Gonzalez, 1985). small: [frames][pixels] as uint8; frames differ by
    the pixel that differs most."""
    chosen = []
    distance = np.full(len(small), 256, np.int16)
    while len(chosen) < min(most, len(small)):
        next_one = int(distance.argmax())
        if distance[next_one] < ALIKE:
            break
        chosen.append(next_one)
        frame = small[next_one]
        apart = (np.maximum(small, frame) - np.minimum(small, frame)).max(1)
        np.minimum(distance, apart, out=distance)
        distance[next_one] = -1
    return sorted(chosen)


def stream(paths, folder):
    """Words of a pipeline that decodes pictures, JPEG files, one after the other, a second each.
    They are linked to in FOLDER, by their numbers."""
    for i, path in enumerate(paths):
        os.symlink(os.path.abspath(path), os.path.join(folder, f'{i:06}.jpg'))
    return ['multifilesrc', f'location={folder}/%06d.jpg', 'caps=image/jpeg,framerate=1/1', '!',
            'jpegdec', 'idct-method=islow']


def teach(paths, model, size, confidence, work, classes=None, precision='auto', form=data.BOXES):
    """The objects that the model finds in each picture: [[(class, x, y, width, height, confidence,
    [numbers])]], boxes by centre and size as parts of the picture, numbers of points (x, y, whether
    it is there, each) or corners of an outline, as the form says. size: (rows, columns) of the
    network's input. classes: {name: class}, of which only these are taken; None: all, by the
    model's own numbers."""
    turns = os.path.join(work, 'turns')
    shutil.rmtree(turns, ignore_errors=True)
    os.makedirs(turns)
    found = os.path.join(work, 'teacher.jsonl')
    words = [*stream(paths, turns), '!', 'yoloinfer', f'model-file={model}',
             f'input-size={size[1]}x{size[0]}', f'confidence-threshold={confidence}',
             f'precision={precision}', '!', 'yoloexport', 'format=json-lines',
             f'location={found}', '!']
    if form.task == 'segment':
        words += ['yoloexport', 'format=yolo', f'location={turns}/%d.txt', '!']
    launch([*words, 'fakesink'], model)
    frames = [[] for _ in paths]
    with open(found, encoding='utf-8') as lines:
        for line in lines:
            frame = json.loads(line)
            number, objects = frame['frame'], frame['objects']
            outlines = outlines_of(os.path.join(turns, f'{number}.txt'), objects) \
                if form.task == 'segment' else [[]] * len(objects)
            for each, outline in zip(objects, outlines):
                seen = each['detection']
                kind = seen['label_id'] if classes is None \
                    else classes.get(seen['label'].strip().lower())
                more = points_of(each, frame['resolution'], form) if form.task == 'pose' \
                    else outline
                if kind is None or more is None:
                    continue
                x1, y1, x2, y2 = (min(max(seen['bounding_box'][key], 0), 1)
                                  for key in ('x_min', 'y_min', 'x_max', 'y_max'))
                frames[number].append((kind, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1,
                                       seen['confidence'], more))
    return frames


def outlines_of(path, objects):
    """Of each object of a frame the corners of its outline, out of the file in which the plugin has
    written those that have one, in the same order; None of the others."""
    lines = []
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            lines = [line.split() for line in file]
    found, place = [], 0
    for each in objects:
        seen, line = each['detection'], lines[place] if place < len(lines) else ()
        if (len(line) >= 8 and int(line[0]) == seen['label_id']
                and abs(float(line[-1]) - seen['confidence']) < 1e-4):
            place += 1
            found.append([min(max(float(word), 0.), 1.) for word in line[1:-1]])
        else:
            found.append(None)
    return found


def points_of(each, resolution, form):
    """x, y, and whether it is there, of the points of an object, or None where it has others. A
    point without a confidence is there."""
    points = each.get('keypoints', [])
    if len(points) != form.shape[0]:
        return None
    more = []
    for point in points:
        there = form.shape[1] == 2 or point['confidence'] >= SEEN
        more += [point['x'] / resolution['width'], point['y'] / resolution['height'],
                 2 if there else 0]
    return more


def share_out(count):
    """{part: range of frames}"""
    first, parts, gap = 0, {}, round(GAP * count)
    for place, (name, part) in enumerate(PARTS):
        last = count if place == len(PARTS) - 1 else first + round(part * count)
        parts[name] = range(first + (gap if place else 0), last)
        first = last
    return parts


def choose(found, most):
    """{part: [(number of the source, number of its frame)]}, the frames that differ. Most of them
    come from where most happens."""
    small = [source.small() for source in found]
    parts = [share_out(len(each)) for each in small]
    chosen = {}
    for name, part in PARTS:
        places = [(i, n) for i, each in enumerate(parts) for n in each[name]]
        if not places:
            chosen[name] = []
            continue
        frames = np.concatenate([each[parts[i][name].start:parts[i][name].stop]
                                 for i, each in enumerate(small)])
        chosen[name] = [places[k] for k in different(frames, max(round(part * most), FEWEST))]
    return chosen


def write_frames(found, chosen, folder):
    """Writes the frames as FOLDER/PART/images/NAME.jpg; gives {part: [(path, origin)]}."""
    written = {}
    for part, places in chosen.items():
        here = os.path.join(folder, part, 'images')
        os.makedirs(here)
        written[part] = [(os.path.join(here, f'{i:02}-{n:07}.jpg'), found[i].origin(n))
                         for i, n in places]
    for i, source in enumerate(found):
        paths = {n: path for part, places in chosen.items()
                 for (k, n), (path, _) in zip(places, written[part]) if k == i}
        if paths:
            source.write(paths)
    return written


def mix_in(labelled, folder):
    """Copies pictures with labels by hand to the parts; gives {part: [(path, origin, objects)]}."""
    copied = {name: [] for name, _ in PARTS}
    free = [each for each in labelled if each.part is None]
    shares = share_out(len(free))
    parts = {id(free[i]): name for name, numbers in shares.items() for i in numbers}
    for number, each in enumerate(labelled):
        part = each.part or parts.get(id(each))
        if part is None:                        # in the gap
            continue
        path = os.path.join(folder, part, 'images', f'hand-{number:07}.jpg')
        sources.keep(each.path, path)
        copied[part].append((path, {'source': each.path}, each.objects))
    return copied


def gather(labels, folder, names, say, form):
    """Makes FOLDER, with images and labels as data.py reads them, of labels by hand."""
    work = folder + '.part'
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(work, 'images'))
    os.makedirs(os.path.join(work, 'labels'))
    for number, each in enumerate(hand.read([labels], names, say, form)):
        sources.keep(each.path, os.path.join(work, 'images', f'{number:07}.jpg'))
        write_text(os.path.join(work, 'labels', f'{number:07}.txt'), each.objects, form)
    os.rename(work, folder)


def write_text(path, objects, form):
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(' '.join(f'{v:.6g}' for v in (each[0], *numbers_of(each, form))) + '\n'
                        for each in objects)


def numbers_of(each, form):
    """What stands in a label file behind an object's class."""
    more = each[6] if len(each) > 6 else []
    if form.task == 'segment':
        return more
    if form.task == 'pose' and form.shape[1] == 2:
        more = [value for i, value in enumerate(more) if i % 3 < 2]
    return [*each[1:5], *more]


def write_labels(folder, part, rows, names, log, form):
    """Text files and lines of JSON for pictures (path, origin, objects, who labelled it)."""
    os.makedirs(os.path.join(folder, part, 'labels'))
    for path, origin, objects, by in rows:
        stem = os.path.splitext(os.path.basename(path))[0]
        write_text(os.path.join(folder, part, 'labels', stem + '.txt'), objects, form)
        said = [{'label_id': int(each[0]), 'label': names.get(int(each[0]), str(int(each[0]))),
                 'box': [round(v, 6) for v in each[1:5]],
                 **({'confidence': round(each[5], 4)} if by == 'teacher' else {})}
                for each in objects]
        log.write(json.dumps({'image': os.path.relpath(path, folder), **origin, 'by': by,
                              'objects': said}) + '\n')


def write_all(folder, pictures, names, form):
    """pictures: {part: rows as write_labels() has them}"""
    with open(os.path.join(folder, 'labels.jsonl'), 'w', encoding='utf-8') as log:
        for part, rows in pictures.items():
            write_labels(folder, part, rows, names, log, form)
    said = {'train': 'train/images', 'val': 'choose/images', 'test': 'judge/images',
            'names': names}
    if form.task == 'pose':
        said['kpt_shape'] = list(form.shape)
        said |= {'flip_idx': list(form.flip_idx)} if form.flip_idx else {}
    with open(os.path.join(folder, 'data.yaml'), 'w', encoding='utf-8') as file:
        yaml.safe_dump(said, file, sort_keys=False, allow_unicode=True)


def label(videos, model, folder, size, rate=5, most=400, confidence=.25, names=None, labels=(),
          duration=None, say=lambda text: None, form=data.BOXES):
    """Makes FOLDER, which is not there before, once it is whole; gives {part: number of pictures}.

    videos: files, folders and addresses of cameras, which are recorded for `duration` seconds;
    labels: folders, data.yaml and COCO files that somebody has labelled, all of which are taken.
    rate: frames a second that are looked at; most: how many are kept; size: (rows, columns) of
    the teacher's input; confidence: of what it finds, the least. names: {class: name} of the
    student; None: the teacher's classes are taken as they are. form: what the student learns of an
    object."""
    names = names or {}
    work = folder + '.part'
    shutil.rmtree(work, ignore_errors=True)
    labelled = hand.read(labels, names, say, form)
    found = sources.find(videos, rate, duration, folder + '.recordings', say)
    what = ', '.join([*videos, *labels])
    chosen = choose(found, most)
    written = write_frames(found, chosen, work)
    by_hand = mix_in(labelled, work)
    counts = {name: len(written[name]) + len(by_hand[name]) for name, _ in PARTS}
    if min(counts.values()) < FEWEST:
        raise DataError(f'{what}: {sum(counts.values())} frames that differ are too few to learn, '
                        'choose and judge by; give a longer video, or more frames a second')
    paths = [path for rows in written.values() for path, _ in rows]
    classes = {name.strip().lower(): number for number, name in names.items()} or None
    objects = dict(zip(paths, teach(paths, model, size, confidence, work, classes, form=form))) \
        if paths else {}
    pictures = {name: [(path, origin, objects[path], 'teacher') for path, origin in written[name]]
                + [(*row, 'hand') for row in by_hand[name]] for name, _ in PARTS}
    if not any(row[2] for row in pictures['train']):
        raise DataError(f'{what}: the teacher finds no object{WITH[form.task]} in it; give another '
                        'video, or a teacher that knows what is to be seen there')
    write_all(work, pictures, names, form)
    if paths:
        shutil.rmtree(os.path.join(work, 'turns'))
        os.remove(os.path.join(work, 'teacher.jsonl'))
    os.rename(work, folder)
    return counts
