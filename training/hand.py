# SPDX-License-Identifier: MIT
"""Labels made by hand: folders as YOLO has them, with or without a data.yaml, and COCO's JSON.

All become boxes of the model's classes, with outlines or points where the model learns these.
Classes are matched by their names; an object of a class that the model does not have is left out.
"""

import collections
import json
import math
import os

import yaml
from PIL import Image

from . import DataError
from .data import BOXES
from .sources import PICTURES

# A picture with its objects: (class, x, y, width, height), boxes by centre and size as parts of the
# picture; with outlines or points, (..., None, [numbers]) as label.teach() has them, since nobody
# says how sure he is. part: 'train', 'choose' or 'judge', or None where the labels do not say.
Labelled = collections.namedtuple('Labelled', 'path objects part')

# What Ultralytics' data.yaml calls the parts.
SPLITS = {'train': 'train', 'val': 'choose', 'test': 'judge'}


class Classes:
    """What the labels' classes are of the model's. names: {the model's class: its name}."""

    def __init__(self, names):
        self.by_name = {name.strip().lower(): number for number, name in names.items()}
        self.count, self.left_out = len(names), collections.Counter()

    def find(self, name):
        """A class of the model, or None."""
        number = self.by_name.get(name.strip().lower())
        if number is None:
            self.left_out[name] += 1
        return number


def read_text(path):
    try:
        with open(path, encoding='utf-8-sig') as file:
            return file.read()
    except OSError as why:
        raise DataError(f'{path}: {why.strerror}') from None
    except UnicodeDecodeError as why:
        raise DataError(f'{path}: is not text in UTF-8 ({why}); write it again') from None


def number_of(value):
    """A finite float, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def box_of(left, top, right, bottom):
    """Centre and size of what lies in the picture; None: nothing does."""
    left, top, right, bottom = (min(max(v, 0.), 1.) for v in (left, top, right, bottom))
    if left >= right or top >= bottom:
        return None
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def yolo_box(values, keypoints):
    """The box of what follows the class in a line: a box, a box and a confidence, a box and
    keypoints, or corners of an outline."""
    if len(values) in (4, 5) or keypoints:
        x, y, width, height = values[:4]
        return box_of(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return box_of(min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2]))


def yolo_more(where, rest, shape, form):
    """The outline or the points of a line, (None, [numbers]), or nothing where boxes are learnt.
    shape: of the file's points, or None."""
    if form.task == 'detect':
        return ()
    if form.task == 'segment':
        if len(rest) < 6 or shape:
            raise DataError(f'{where}: a box without an outline; label outlines, or give a model '
                            'that detects')
        return None, rest
    if shape != form.shape or len(rest) < 4 + shape[0] * shape[1]:
        raise DataError(f'{where}: not a box and {form.shape[0]} points of {form.shape[1]} '
                        'numbers, as the model has; say so by kpt_shape in data.yaml, or give '
                        'another model')
    rest, numbers = rest[4:4 + shape[0] * shape[1]], []
    for i in range(0, len(rest), shape[1]):
        x, y, *known = rest[i:i + shape[1]]
        known = not known or known[0] > 0
        if known and not (0 <= x <= 1 and 0 <= y <= 1):
            raise DataError(f'{where}: a point beside the picture')
        numbers += [x, y, 2] if known else [0, 0, 0]
    return None, numbers


def yolo_objects(path, names, classes, keypoints, form=BOXES):
    """The objects of a label file. names: {class of the file: its name}; None: the file's classes
    are the model's. keypoints: their shape, or None."""
    objects, seen = [], set()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        values = [number_of(word) for word in words]
        rest = values[1:]
        if None in values or len(rest) < 4 or (len(rest) > 5 and len(rest) % 2 and not keypoints):
            raise DataError(f'{path}:{number}: not a class and a box of four numbers, or an '
                            'outline of pairs')
        if any(not 0 <= v <= 1 for v in (rest[:4] if len(rest) < 6 or keypoints else rest)):
            raise DataError(f'{path}:{number}: places and sizes are parts of the picture, from 0 '
                            'to 1')
        known = range(classes.count) if names is None else names
        if values[0] not in known:
            raise DataError(f'{path}:{number}: there is no class {words[0]}; there are '
                            f'{len(known)}, from 0 on')
        kind = int(values[0]) if names is None else classes.find(names[int(values[0])])
        box = yolo_box(rest, keypoints)
        if kind is not None and box and (kind, *box) not in seen:
            seen.add((kind, *box))
            objects.append((kind, *box, *yolo_more(f'{path}:{number}', rest, keypoints, form)))
    return objects


def label_path(picture):
    """labels/... for images/..., the last folder of that name; or beside the picture, where there
    is none, or a file of labels lies there alone."""
    beside = os.path.splitext(picture)[0] + '.txt'
    parts = beside.split(os.sep)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == 'images':
            apart = os.sep.join([*parts[:i], 'labels', *parts[i + 1:]])
            return apart if os.path.exists(apart) or not os.path.exists(beside) else beside
    return beside


def pictures_in(folder):
    return [os.path.join(place, name) for place, _, names in sorted(os.walk(folder))
            for name in sorted(names) if name.lower().endswith(PICTURES)]


def listed(path):
    """The pictures that a text names, a path in a line, relative to the text."""
    here = os.path.dirname(path)
    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            found.append(os.path.join(here, line.strip()))
            if not os.path.isfile(found[-1]):
                raise DataError(f'{path}:{number}: there is no picture {line.strip()}')
    return found


def yaml_names(path, said):
    names = said.get('names')
    if isinstance(names, list):
        names = dict(enumerate(names))
    if (not isinstance(names, dict) or not names
            or not all(isinstance(key, int) for key in names)):
        raise DataError(f'{path}: it does not say the names of classes; write names: [a, b]')
    return {key: str(name) for key, name in names.items()}


def yaml_place(path, root, place):
    """A folder or a list that data.yaml names. Some tools write ../train/images for what lies
    beside the file."""
    for base in (root, os.path.dirname(path)):
        for name in (place, place.removeprefix('../')):
            found = os.path.normpath(os.path.join(base, name))
            if os.path.exists(found):
                return found
    raise DataError(f'{path}: there is no {place} in {root or "."}; correct its path')


def read_yaml(path):
    """(names, shape of the lines' keypoints or None, [(picture, part)]) of a data.yaml."""
    try:
        said = yaml.safe_load(read_text(path))
    except yaml.YAMLError as why:
        mark = getattr(why, 'problem_mark', None)
        line = f':{mark.line + 1}' if mark else ''
        raise DataError(f'{path}{line}: is no YAML ({getattr(why, "problem", why)})') from None
    if not isinstance(said, dict):
        raise DataError(f'{path}: is no data.yaml; it has names, and folders as train and val')
    names = yaml_names(path, said)
    root = os.path.join(os.path.dirname(path), str(said.get('path') or ''))
    pictures = []
    for split, part in SPLITS.items():
        places = said.get(split) or []
        for place in places if isinstance(places, list) else [places]:
            found = yaml_place(path, root, str(place))
            here = pictures_in(found) if os.path.isdir(found) else listed(found)
            pictures += [(each, part) for each in here]
    return names, shape_of(path, said), complete(pictures)


def shape_of(path, said):
    """kpt_shape: how many points, and numbers of each."""
    shape = said.get('kpt_shape')
    if shape is None:
        return None
    if (not isinstance(shape, list) or len(shape) != 2 or shape[1] not in (2, 3)
            or not all(type(n) is int and n > 0 for n in shape)):
        raise DataError(f'{path}: kpt_shape is not [how many points, 2 or 3 numbers of each]')
    return tuple(shape)


def complete(pictures):
    """Where nothing is to be judged by, half of what is to choose by is; where both are missing,
    no part is said."""
    parts = {part for _, part in pictures}
    if parts == {'train'}:
        return [(each, None) for each, _ in pictures]
    if 'judge' not in parts:
        chosen = [each for each, part in pictures if part == 'choose']
        judged = set(chosen[(len(chosen) + 1) // 2:])
        return [(each, 'judge' if part == 'choose' and each in judged else part)
                for each, part in pictures]
    return pictures


def read_yolo(path, classes, form=BOXES):
    """The pictures of a data.yaml, or of a folder that has one or whose labels' classes are the
    model's."""
    inside = os.path.join(path, 'data.yaml')
    if os.path.isdir(path) and not os.path.exists(inside):
        names, keypoints = None, form.shape if form.task == 'pose' else None
        pictures = [(each, None) for each in pictures_in(path)]
    else:
        names, keypoints, pictures = read_yaml(inside if os.path.isdir(path) else path)
    if not pictures:
        raise DataError(f'{path}: no picture in it ({", ".join(PICTURES)})')
    if not any(os.path.exists(label_path(each)) for each, _ in pictures):
        raise DataError(f'{path}: no picture has a file of labels; that of {pictures[0][0]} would '
                        f'be {label_path(pictures[0][0])}')
    # A picture without a file is one without objects, as Ultralytics takes it.
    return [Labelled(each, yolo_objects(label_path(each), names, classes, keypoints, form)
                     if os.path.exists(label_path(each)) else [], part)
            for each, part in pictures]


def coco_rows(path, said, name, keys):
    """The list `name`, whose entries have these keys."""
    rows = said.get(name)
    if not isinstance(rows, list):
        raise DataError(f'{path}: has no list "{name}"; give COCO\'s JSON of instances')
    for number, row in enumerate(rows):
        for key in keys:
            if not isinstance(row, dict) or not isinstance(row.get(key), keys[key]):
                raise DataError(f'{path}: {name}[{number}] has no {key} as COCO has it')
    return rows


def find_pictures(path, first):
    """The folder in which the pictures of a COCO file lie, by the name of the first."""
    here = os.path.dirname(path) or '.'
    above = os.path.join(here, '..')
    split = os.path.splitext(os.path.basename(path))[0].split('_')[-1]    # instances_val2017
    places = [os.path.normpath(os.path.join(*parts)) for parts in (
        (here,), (here, 'images'), (above,), (above, 'images'), (here, split), (above, split),
        (above, 'images', split))]
    for place in places:
        if os.path.exists(os.path.join(place, first)):
            return place
    raise DataError(f'{path}: its picture {first} is in none of {", ".join(places)}')


def coco_box(path, number, row, size):
    x, y, width, height = (number_of(v) for v in row['bbox']) if len(row['bbox']) == 4 \
        else [None] * 4
    if None in (x, y, width, height) or width < 0 or height < 0:
        raise DataError(f'{path}: annotations[{number}] has a bbox that is not [x, y, width, '
                        'height] in pixels')
    return box_of(x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1])


def picture_size(path, image, picture):
    """(width, height), for which the file and the picture agree."""
    try:
        with Image.open(picture) as opened:
            size = opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as why:
        raise DataError(f'{picture}: cannot be read ({why}); remove it from {path}') from None
    said = image.get('width', size[0]), image.get('height', size[1])
    if said != size:
        raise DataError(f'{path}: says that {image["file_name"]} has {said[0]}x{said[1]} pixels, '
                        f'but it has {size[0]}x{size[1]}; its boxes would be wrong')
    return size


def coco_more(path, number, row, size, form):
    """The outline or the points of an annotation, as yolo_more() has them; None: it has no
    outline. A person of whom nobody has marked a point, as COCO has them, is one all the same."""
    where = f'{path}: annotations[{number}]'
    if form.task == 'detect':
        return ()
    if form.task == 'segment':
        parts = row.get('segmentation')
        if not isinstance(parts, list) or not parts:
            return None
        corners = []
        for part in parts:
            values = [number_of(v) for v in part] if isinstance(part, list) else [None]
            if None in values or len(values) < 6 or len(values) % 2:
                raise DataError(f'{where} has a segmentation that is not [[x, y, x, y, ...]]')
            # Parts become one outline: there and back again by the same way, which has no area.
            corners += values + values[:2] + (corners[:2] if corners else [])
        return None, [min(max(value / size[i % 2], 0.), 1.) for i, value in enumerate(corners)]
    values = [number_of(v) for v in row.get('keypoints') or [0] * 3 * form.shape[0]]
    if None in values or len(values) != 3 * form.shape[0]:
        raise DataError(f'{where} has not {form.shape[0]} keypoints, as the model has')
    return None, [min(max(value / size[i % 3], 0.), 1.) if i % 3 < 2 else value
                  for i, value in enumerate(values)]


def read_coco(path, classes, form=BOXES):
    try:
        said = json.loads(read_text(path))
    except json.JSONDecodeError as why:
        raise DataError(f'{path}:{why.lineno}: is no JSON ({why.msg})') from None
    except RecursionError:
        raise DataError(f'{path}: is no JSON of COCO: it is nested too deeply') from None
    if not isinstance(said, dict):
        raise DataError(f'{path}: is no JSON of COCO, which has images, annotations, categories')
    images = coco_rows(path, said, 'images', {'id': (int, str), 'file_name': str})
    rows = coco_rows(path, said, 'annotations', {'image_id': (int, str), 'category_id': int,
                                                 'bbox': list})
    names = {row['id']: row['name']
             for row in coco_rows(path, said, 'categories', {'id': int, 'name': str})}
    if not images:
        raise DataError(f'{path}: has no images; give a file that has some')
    folder = find_pictures(path, images[0]['file_name'])
    paths = {image['id']: os.path.join(folder, image['file_name']) for image in images}
    sizes = {image['id']: picture_size(path, image, paths[image['id']]) for image in images}
    objects = {key: [] for key in paths}
    for number, row in enumerate(rows):
        if row['image_id'] not in paths:
            raise DataError(f'{path}: annotations[{number}] is of the image {row["image_id"]}, '
                            'which is not there')
        if row['category_id'] not in names:
            raise DataError(f'{path}: annotations[{number}] is of the category '
                            f'{row["category_id"]}, which is not there')
        box = coco_box(path, number, row, sizes[row['image_id']])
        if row.get('iscrowd') or not box:       # a crowd is a region, not an object
            continue
        kind = classes.find(names[row['category_id']])
        more = coco_more(path, number, row, sizes[row['image_id']], form)
        if kind is not None and more is not None:
            objects[row['image_id']].append((kind, *box, *more))
    return [Labelled(paths[key], objects[key], None) for key in sorted(paths, key=paths.get)]


def read(paths, names, say=lambda text: None, form=BOXES):
    """[Labelled] of folders, .yaml and .json files. names: {the model's class: its name}."""
    found, classes = [], Classes(names)
    for path in paths:
        if not os.path.exists(path):
            raise DataError(f'{path}: there is no such file or folder')
        read_it = read_coco if path.lower().endswith('.json') else read_yolo
        if not os.path.isdir(path) and not path.lower().endswith(('.json', '.yaml', '.yml')):
            raise DataError(f'{path}: are no labels; give a folder, a data.yaml or COCO\'s .json')
        found += read_it(path, classes, form)
    for name, count in classes.left_out.most_common():
        say(f'{count} objects of "{name}" are left out: the model has no such class')
    if found and not any(each.objects for each in found):
        raise DataError(f'{paths[0]}: no object of the model\'s classes is labelled in it (' +
                        ', '.join(list(names.values())[:8]) + ')')
    return found
