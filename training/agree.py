# SPDX-License-Identifier: MIT
"""How well a network agrees with labels, by what the plugin finds with it: F1, the harmonic mean
of precision and recall, of boxes of the same class that overlap by .5 or more."""

import tempfile

import torch

from . import data, label

THRESHOLDS = [i / 20 for i in range(1, 20)]
OVERLAP = .5


def matches(found, wanted):
    """How many of the boxes found have one of the wanted to themselves; rows are class, left, top,
    right, bottom, those found the most confident first."""
    free, count = list(range(len(wanted))), 0
    for each in found:
        best = None
        for i in free:
            if each[0] == wanted[i][0]:
                sides = (torch.minimum(each[3:5], wanted[i][3:5])
                         - torch.maximum(each[1:3], wanted[i][1:3])).clamp(0)
                areas = (each[3:5] - each[1:3]).prod() + (wanted[i][3:5] - wanted[i][1:3]).prod()
                overlap = float(sides.prod() / (areas - sides.prod()))
                if overlap >= OVERLAP and (best is None or overlap > best[0]):
                    best = overlap, i
        if best:
            free.remove(best[1])
            count += 1
    return count


def scores(found, wanted, thresholds=THRESHOLDS):
    """{threshold: F1}. found: of each picture, rows of class, left, top, right, bottom,
    confidence; wanted: the same without confidences. Of nothing found where nothing is, 1."""
    result = {}
    for threshold in thresholds:
        count = right = 0
        for each, labels in zip(found, wanted, strict=True):
            kept = each[each[:, 5] >= threshold]
            kept = kept[kept[:, 5].argsort(descending=True)]
            right += matches(kept, labels)
            count += len(kept) + len(labels)
        result[threshold] = 2 * right / count if count else 1.
    return result


def measure(model, folder, classes, size, thresholds=THRESHOLDS):
    """(the best of the thresholds, F1 there) of a model's file, on a folder as data.py reads it."""
    pictures = data.pictures_of(folder)
    with tempfile.TemporaryDirectory() as work:
        objects = label.teach(pictures, model, size, min(thresholds), work)
    found = []
    for each in objects:
        rows = torch.tensor(each, dtype=torch.float32).reshape(-1, 6)
        centre, half = rows[:, 1:3], rows[:, 3:5] / 2
        found.append(torch.cat((rows[:, :1], centre - half, centre + half, rows[:, 5:]), 1))
    by_threshold = scores(found, [data.labels_of(path, classes) for path in pictures],
                          thresholds)
    best = max(by_threshold, key=by_threshold.get)
    return best, by_threshold[best]
