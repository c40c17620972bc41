#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What yoloexport writes of each task, in each format, of one run on a picture: the formats agree,
and pycocotools reads and measures what is written for it."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, TOP, Skip, folder, run_cases, with_pycocotools

SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
CONFIDENCE = .3

# Results are measured against themselves as labels, and are right then; and against
# themselves with every other one moved, and are not.
MEASURE = '''
import contextlib, io, json, sys
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

def score(labels, results, kind, size):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {'images': [{'id': 5, 'width': size[0], 'height': size[1]}],
                         'annotations': [{**r, 'id': i + 1, 'iscrowd': 0} for i, r in
                                         enumerate(labels)],
                         'categories': [{'id': c} for c in {r['category_id'] for r in results}]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.params.maxDets = [20] if kind == 'keypoints' else [1, 10, 300]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    return float(precision[precision > -1].mean())

path, kind, width, height = sys.argv[1:]
size = int(width), int(height)
with open(path, encoding='utf-8') as file:
    results = sorted(json.load(file), key=lambda r: -r['score'])
for r in results:
    r['area'] = r['bbox'][2] * r['bbox'][3]
if kind == 'keypoints':
    del results[20:]
    labels = [{**r, 'num_keypoints': 17, 'keypoints': [2 if i % 3 == 2 else v for i, v in
                                                       enumerate(r['keypoints'])]}
              for r in results]
    moved = [{**r, 'keypoints': [v + 4000 for v in r['keypoints']]} for r in labels]
else:
    labels = results
    moved = [{**r, 'segmentation': {'size': list(size[::-1]), 'counts': mask.encode(
        1 - mask.decode(r['segmentation']))['counts'].decode()}}
        if isinstance(r['segmentation'], dict) else
        {**r, 'segmentation': [[v + 4000 for v in r['segmentation'][0]]]} for r in results]
half = [m if i % 2 else r for i, (r, m) in enumerate(zip(labels, moved))]
print(json.dumps({'same': score(labels, results, kind, size),
                  'half': score(half, results, kind, size)}))
'''

# The bounding box, area and pixels of masks, and of what their outlines hold: the middles of
# pixels from which a line to the right crosses them an odd number of times.
PIXELS = '''
import json, sys
import numpy
from pycocotools import mask

def compare(rle, outline):
    pixels = mask.decode(rle).astype(bool)
    held = numpy.zeros_like(pixels)
    height, width = pixels.shape
    points = numpy.array(outline).reshape(-1, 2) * [width, height]
    for (x1, y1), (x2, y2) in zip(points, numpy.roll(points, -1, 0)):
        for y in range(int(numpy.ceil(min(y1, y2) - .5)), int(numpy.ceil(max(y1, y2) - .5))):
            x = x1 + (y + .5 - y1) * (x2 - x1) / (y2 - y1)
            held[y, :max(0, int(numpy.ceil(x - .5)))] ^= True
    return {'box': mask.toBbox(rle).tolist(), 'area': int(pixels.sum()),
            'lost': int((pixels & ~held).sum()), 'more': int((held & ~pixels).sum())}

print(json.dumps([compare(*pair) for pair in json.load(sys.stdin)]))
'''


def shared(*path):
    name = os.path.join(SHARED, *path)
    if not os.path.exists(name):
        raise Skip('no shared material')
    return name


def export(model):
    """(frame of the JSON lines, COCO results, lines of the label file, path of the results)."""
    to = os.path.join(folder(), os.path.basename(model))
    subprocess.run(
        ['gst-launch-1.0', '-q', 'filesrc', f'location={shared("images", "bus.jpg")}', '!',
         'jpegdec', '!', 'videoconvert', '!', 'yoloinfer', f'model-file={model}',
         f'confidence-threshold={CONFIDENCE}', '!',
         'yoloexport', f'location={to}.jsonl', '!',
         'yoloexport', 'format=coco', 'first-image-id=5', f'location={to}.json', '!',
         'yoloexport', 'format=yolo', f'location={to}', '!', 'fakesink'], check=True)
    with open(f'{to}.jsonl', encoding='utf-8') as file:
        frame = json.load(file)
    with open(f'{to}.json', encoding='utf-8') as file:
        results = json.load(file)
    with open(os.path.join(to, '000000.txt'), encoding='utf-8') as file:
        lines = file.read().splitlines()
    assert len(frame['objects']) == len(results) == len(lines) > 3, (len(results), len(lines))
    assert all(r['image_id'] == 5 for r in results)
    return frame, results, lines, f'{to}.json'


def near(a, b, by):
    assert len(a) == len(b) and all(abs(x - y) <= by for x, y in zip(a, b)), (a, b)


def measure(path, kind, frame):
    size = frame['resolution']
    output = subprocess.run([with_pycocotools(), '-c', MEASURE, path, kind, str(size['width']),
                             str(size['height'])], check=True, stdout=subprocess.PIPE).stdout
    scores = json.loads(output)
    assert scores['same'] > .999, scores
    assert scores['half'] < .9, scores


def masks():
    python = with_pycocotools()
    frame, results, lines, path = export(shared('models', 'family', 'tiny-yolo11-seg.pt'))
    outlines, held, boxes = [], 0, 0
    for item, result, line in zip(frame['objects'], results, lines):
        label, *outline, confidence = map(float, line.split())
        assert item['mask'] == result['segmentation']
        assert label == item['detection']['label_id']
        near([confidence], [result['score']], 1e-6)
        outlines.append((item['mask'], outline))
    output = subprocess.run([python, '-c', PIXELS], check=True, text=True,
                            input=json.dumps(outlines), stdout=subprocess.PIPE).stdout
    for result, pixels in zip(results, json.loads(output)):
        x, y, w, h = pixels['box']
        left, top, width, height = result['bbox']
        assert left <= x and top <= y and x + w <= left + width + 1 and y + h <= top + height + 1
        # holes are the outline's, too
        assert pixels['area'] > 0 and pixels['lost'] == 0, pixels
        held += pixels['area'] + pixels['more']
        boxes += (width + 1) * (height + 1)
    assert .01 * boxes < held <= boxes, (held, boxes)
    measure(path, 'segm', frame)


def keypoints():
    frame, results, lines, path = export(shared('models', 'family', 'tiny-yolov8-pose.pt'))
    size = frame['resolution']
    for item, result, line in zip(frame['objects'], results, lines):
        points = [p[k] for p in item['keypoints'] for k in ('x', 'y', 'confidence')]
        assert len(points) == 51
        near(points, result['keypoints'], 1e-9)
        near(list(map(float, line.split()))[5:-1],
             [v / (size['width'], size['height'], 1)[k % 3] for k, v in enumerate(points)], 1e-6)
    measure(path, 'keypoints', frame)


def turned_boxes():
    frame, results, lines, path = export(shared('models', 'family', 'tiny-yolo11-obb.pt'))
    width, height = frame['resolution']['width'], frame['resolution']['height']
    for item, result, line in zip(frame['objects'], results, lines):
        corners = item['corners']
        near(corners, result['segmentation'][0], 1e-9)
        near(list(map(float, line.split()))[1:-1],
             [v / (height if k % 2 else width) for k, v in enumerate(corners)], 1e-6)
        x, y = sorted(corners[0::2]), sorted(corners[1::2])
        box = [max(x[0], 0), max(y[0], 0), min(x[3], width), min(y[3], height)]
        near(result['bbox'], [box[0], box[1], box[2] - box[0], box[3] - box[1]], .01)
        assert 0 <= item['rotation'] < 1.5708, item
    measure(path, 'segm', frame)


def classes():
    frame, results, lines, _ = export(shared('models', 'family', 'tiny-yolo11-cls.pt'))
    for item, result, line in zip(frame['objects'], results, lines):
        found = item['classification']
        assert found['label_id'] == result['category_id']
        confidence, label = line.split(' ', 1)
        assert label == found['label']
        near([float(confidence), result['score']], [found['confidence']] * 2, 1e-6)


os.environ.setdefault('GST_PLUGIN_PATH', os.path.join(BUILD, 'gst-plugin'))
run_cases([masks, keypoints, turned_boxes, classes])
