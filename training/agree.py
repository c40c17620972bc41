# SPDX-License-Identifier: MIT
"""How well a network agrees with labels, by what the plugin finds with it: F1, the harmonic mean
of precision and recall, of boxes of the same class that overlap by .5 or more, at a threshold; and
COCO's average precision, which no threshold enters."""

import contextlib
import io
import tempfile

import torch
from PIL import Image

from . import data, label

THRESHOLDS = [i / 20 for i in range(1, 20)]
OVERLAP = .5
# Average precision wants what is unlikely too.
LEAST = .001


def overlaps(box, others):
    """[K]: intersection over union with each of [K][4], left, top, right, bottom."""
    sides = (torch.minimum(box[2:], others[:, 2:]) - torch.maximum(box[:2], others[:, :2])).clamp(0)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    return sides.prod(1) / (areas - sides.prod(1)).clamp(min=1e-12)


def matched(found, wanted):
    """[(number of a box that was found, number of the wanted box that it has to itself)]; rows are
    class, left, top, right, bottom; those found come the most confident first."""
    free, pairs = torch.ones(len(wanted), dtype=torch.bool), []
    for i, each in enumerate(found):
        if not len(wanted):
            break
        fits = overlaps(each[1:5], wanted[:, 1:5]) * (free & (wanted[:, 0] == each[0]))
        best = int(fits.argmax())
        if fits[best] >= OVERLAP:
            free[best] = False
            pairs.append((i, best))
    return pairs


def above(found, threshold):
    """The rows whose confidence reaches it, the most confident first."""
    kept = found[found[:, 5] >= threshold]
    return kept[kept[:, 5].argsort(descending=True)]


def scores(found, wanted, thresholds=THRESHOLDS):
    """{threshold: F1}. found: of each picture, rows of class, left, top, right, bottom,
    confidence; wanted: the same without confidences. Of nothing found where nothing is, 1."""
    result = {}
    for threshold in thresholds:
        count = right = 0
        for each, labels in zip(found, wanted, strict=True):
            kept = above(each, threshold)
            right += len(matched(kept, labels))
            count += len(kept) + len(labels)
        result[threshold] = 2 * right / count if count else 1.
    return result


def rows_of(found, picture, size):
    """COCO's rows of one picture, in pixels of it; size: its width and height."""
    for row in found:
        x, y, right, bottom = (row[1:5] * torch.tensor([*size, *size])).tolist()
        yield {'image_id': picture, 'category_id': int(row[0]),
               'bbox': [x, y, right - x, bottom - y], 'area': (right - x) * (bottom - y),
               'iscrowd': 0, 'score': float(row[5]) if len(row) > 5 else 1.}


def precisions(found, wanted, sizes):
    """(AP50-95, AP50) as pycocotools counts them, with 300 boxes a picture at most. A class weighs
    as much as it has objects: what a camera sees once shall not decide. sizes: width and height of
    each picture. (0, 0) where nothing is wanted, or found."""
    # Slow to load, and only this function needs it.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    truth = [row for i, each in enumerate(wanted) for row in rows_of(each, i, sizes[i])]
    results = [row for i, each in enumerate(found) for row in rows_of(each, i, sizes[i])]
    if not truth or not results:
        return 0., 0.
    for number, row in enumerate(truth):
        row['id'] = number + 1
    kinds = sorted({row['category_id'] for row in truth + results})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {'images': [{'id': i, 'width': size[0], 'height': size[1]}
                                   for i, size in enumerate(sizes)],
                        'annotations': truth, 'categories': [{'id': kind} for kind in kinds]}
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), 'bbox')
        judge.params.maxDets = [300]
        judge.evaluate()
        judge.accumulate()
    # [overlap][recall][class], -1 where a class is not wanted; then [overlap]
    table = judge.eval['precision'][:, :, :, 0, 0].mean(1)
    weights = [sum(row['category_id'] == kind for row in truth) for kind in kinds]
    table = (table * weights).sum(1) / sum(weights)
    return float(table.mean()), float(table[0])


def find(model, pictures, size, least=LEAST, precision='auto'):
    """What the plugin finds in each picture, as scores() has it."""
    with tempfile.TemporaryDirectory() as work:
        objects = label.teach(pictures, model, size, least, work, precision=precision)
    found = []
    for each in objects:
        rows = torch.tensor([row[:6] for row in each], dtype=torch.float32).reshape(-1, 6)
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        found.append(torch.cat((rows[:, :1], centre - half, centre + half, rows[:, 5:]), 1))
    return found


def size_of(path):
    """Width and height of a picture."""
    with Image.open(path) as image:
        return image.size


def of_folder(model, folder, classes, size, precision, form):
    """(what is found, labels, sizes) of the pictures of a folder."""
    pictures = data.pictures_of(folder)
    return (find(model, pictures, size, precision=precision),
            [data.labels_of(path, classes, form)[:, :5] for path in pictures],
            [size_of(path) for path in pictures])


def general(model, folder, classes, size, threshold, precision='auto', form=data.BOXES):
    """{'general_ap', 'general_ap50', 'general_f1'} of pictures that have nothing to do with the
    camera: what a network still knows of the rest of the world."""
    found, wanted, sizes = of_folder(model, folder, classes, size, precision, form)
    ap, ap50 = precisions(found, wanted, sizes)
    return {'general_ap': ap, 'general_ap50': ap50,
            'general_f1': scores(found, wanted, [threshold])[threshold]}


def measure(model, choose, judge, classes, size, precision='auto', form=data.BOXES):
    """{'threshold', 'f1', 'ap', 'ap50', 'chosen'}, and what is found in the pictures of `judge`.

    choose, judge: folders as data.py reads them. The threshold is that of the best F1 on the first,
    whose AP50-95 is `chosen`; the others are of the second, which chooses nothing.
    """
    result = {}
    for folder in (choose, judge):
        found, wanted, sizes = of_folder(model, folder, classes, size, precision, form)
        ap, ap50 = precisions(found, wanted, sizes)
        if not result:
            by_threshold = scores(found, wanted)
            result = {'chosen': ap, 'threshold': max(by_threshold, key=by_threshold.get)}
        else:
            at = result['threshold']
            result |= {'ap': ap, 'ap50': ap50, 'f1': scores(found, wanted, [at])[at]}
    return result, found
