#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/reference-detections.json: what the demo's model finds in
two photographs and eight frames of a video, by ONNX Runtime in float32 and the
pre- and postprocess of Ultralytics, written anew out of its formulas.

  make-reference.py
  make-reference.py --compare DETECTIONS.json MODELS IMAGES

The second form runs the entries of such a file (models and pictures in these
folders) and says how far the results are from it: that is how this program
was checked against Ultralytics' own output.

Needs numpy, onnxruntime and opencv-python-headless (PyPI), gst-launch-1.0 with
avidemux and avdec_msmpeg4, and tests/scripts/fetch.sh.

Sources: Ultralytics data/augment.py (LetterBox), utils/nms.py
(non_max_suppression), utils/ops.py (scale_boxes).
"""

import ast
import hashlib
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIDENCE, IOU, MAX_DETECTIONS, PADDING = .25, .7, 300, 114
FRAMES = range(0, 800, 100)     # of vtest.avi, counted from 0


def letterbox(rgb, height, width):
    """uint8 [h][w][3] into uint8 [height][width][3]: scaled, centred, padded."""
    h, w = rgb.shape[:2]
    gain = min(height / h, width / w)
    inner_w, inner_h = round(w * gain), round(h * gain)
    if (w, h) != (inner_w, inner_h):
        rgb = cv2.resize(rgb, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
    left, top = round((width - inner_w) / 2 - .1), round((height - inner_h) / 2 - .1)
    out = np.full((height, width, 3), PADDING, np.uint8)
    out[top:top + inner_h, left:left + inner_w] = rgb
    return out


def to_frame(boxes, height, width, h, w):
    """Network pixels to pixels of the frame, clipped to it."""
    gain = min(height / h, width / w)
    pad = [round((width - w * gain) / 2 - .1), round((height - h * gain) / 2 - .1)]
    boxes = (boxes - np.array(pad * 2, np.float32)) / np.float32(gain)
    return np.clip(boxes, 0, np.array([w, h, w, h], np.float32))


def overlap(box, boxes):
    """Intersection over union, [4] with [n][4]."""
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    both = np.prod(np.maximum(size, 0), 1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - both
    return both / np.maximum(union, 1e-9)


def suppress(out, confidence=CONFIDENCE, iou=IOU, size=MAX_DETECTIONS):
    """[4 + classes][anchors] into [n][6]: x1 y1 x2 y2 confidence class, best first."""
    scores, classes = out[4:].max(0), out[4:].argmax(0)
    keep = scores > confidence
    x, y, w, h = out[:4, keep]
    boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)
    scores, classes = scores[keep], classes[keep]
    order = np.argsort(-scores, kind='stable')
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    chosen, alive = [], np.ones(len(scores), bool)
    for i in range(len(scores)):
        if alive[i]:
            chosen.append(i)
            alive &= ~((classes == classes[i]) & (overlap(boxes[i], boxes) > iou))
    chosen = chosen[:size]
    return np.column_stack([boxes[chosen], scores[chosen], classes[chosen]])


class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        shape = self.session.get_inputs()[0].shape
        self.batch, self.size = shape[0], shape[2:]
        metadata = self.session.get_modelmeta().custom_metadata_map
        names = ast.literal_eval(metadata['names']) if 'names' in metadata else []
        self.names = names if isinstance(names, list) else list(names.values())

    def detect(self, rgb, imgsz=None, confidence=CONFIDENCE, iou=IOU):
        height, width = self.size if all(isinstance(s, int) for s in self.size) else (
            imgsz if isinstance(imgsz, list) else [imgsz] * 2)
        image = letterbox(rgb, height, width).astype(np.float32).transpose(2, 0, 1)[None] / 255
        if isinstance(self.batch, int) and self.batch > 1:
            image = np.repeat(image, self.batch, 0)
        feed = {self.session.get_inputs()[0].name: np.ascontiguousarray(image)}
        out = self.session.run(None, feed)[0][0]
        if out.shape[-1] == 6 and out.shape[0] == 300:
            rows = out[out[:, 4] > confidence]
        else:
            rows = suppress(out, confidence, iou)
        rows[:, :4] = to_frame(rows[:, :4], height, width, *rgb.shape[:2])
        return [{'class_id': int(c), 'label': self.names[int(c)] if self.names else str(int(c)),
                 'confidence': float(s), 'x1': float(x1), 'y1': float(y1), 'x2': float(x2),
                 'y2': float(y2)}
                for x1, y1, x2, y2, s, c in rows]


def match(mine, other):
    """Pairs by class and overlap, best first; (matched, worst IoU, worst confidence)."""
    left, worst_iou, worst_confidence, n = list(other), 1., 0., 0
    for d in mine:
        box = np.array([d[k] for k in ('x1', 'y1', 'x2', 'y2')])
        same = [o for o in left if o['class_id'] == d['class_id']]
        if not same:
            continue
        ious = overlap(box,
                       np.array([[o[k] for k in ('x1', 'y1', 'x2', 'y2')] for o in same], float))
        best = int(ious.argmax())
        if ious[best] < .5:
            continue
        left.remove(same[best])
        n += 1
        worst_iou = min(worst_iou, ious[best])
        worst_confidence = max(worst_confidence, abs(same[best]['confidence'] - d['confidence']))
    return n, worst_iou, worst_confidence


def compare(path, models, images):
    with open(path) as f:
        entries = json.load(f)
    loaded, totals = {}, {}
    for e in entries:
        detections = e.get('detections')
        if detections is None or any(k in d for d in detections
                                     for k in ('keypoints', 'xywhr')) or 'mask_size' in e:
            continue
        name = e['model'].split()[-1]
        model_path = os.path.join(models, name)
        if name == 'best_fp16.onnx':
            model_path = os.path.join(HERE, '../../.cache', name)
        if not name.endswith('.onnx') or not os.path.exists(model_path):
            continue
        picture = e['file'] if e.get('frame') is None else 'vtest_%03d.png' % e['frame']
        if name not in loaded:
            loaded[name] = Model(model_path)
        bgr = cv2.imread(os.path.join(images, picture))
        mine = loaded[name].detect(np.ascontiguousarray(bgr[..., ::-1]), e['imgsz'])
        n, iou, confidence = match(mine, detections)
        t = totals.setdefault((name, str(e['imgsz'])), [0, 0, 0, 1., 0.])
        t[0] += len(detections)
        t[1] += len(mine)
        t[2] += n
        t[3], t[4] = min(t[3], iou), max(t[4], confidence)
    print('%-32s %10s %6s %6s %8s %9s %11s'
          % ('model', 'imgsz', 'theirs', 'ours', 'matched', 'least IoU', 'confidence'))
    for (name, size), (theirs, ours, n, iou, confidence) in totals.items():
        print('%-32s %10s %6d %6d %8d %9.5f %11.6f'
              % (name, size, theirs, ours, n, iou, confidence))


def i420_to_rgb(data, width, height):
    """BT.601, 16-235, each pixel with the chroma sample that covers it."""
    w2, h2 = (width + 1) // 2, (height + 1) // 2
    flat = np.frombuffer(data, np.uint8)
    y = flat[:width * height].reshape(height, width).astype(np.float64)
    u, v = (flat[width * height + i * w2 * h2:][:w2 * h2].reshape(h2, w2).astype(np.float64)
            .repeat(2, 0).repeat(2, 1)[:height, :width] for i in (0, 1))
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    red, blue = .299, .114                      # ITU-R BT.601-7, 2.5.1
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.floor(np.stack([r, g, b], -1) + .5), 0, 255).astype(np.uint8)


def video_frames(path, width, height, wanted):
    """I420 bytes of the wanted frames."""
    player = subprocess.Popen(
        ['gst-launch-1.0', '-q', 'filesrc', 'location=' + path, '!', 'avidemux', '!',
         'avdec_msmpeg4', '!', 'video/x-raw,format=I420,width=%d,height=%d' % (width, height), '!',
         'fdsink', 'fd=1'],
        stdout=subprocess.PIPE)
    size = width * height * 3 // 2
    for i in range(max(wanted) + 1):
        data = player.stdout.read(size)
        assert len(data) == size, 'the video ended at frame %d' % i
        if i in wanted:
            yield i, data
    player.kill()
    player.wait()


def entry(name, frame, rgb, pixels, detections):
    out = {'file': name}
    if frame is not None:
        out['frame'] = frame
    rounded = [{k: round(v, 6 if k == 'confidence' else 3) if isinstance(v, float) else v
                for k, v in d.items()}
               for d in detections]
    out.update(width=rgb.shape[1], height=rgb.shape[0], sha256=hashlib.sha256(pixels).hexdigest(),
               detections=rounded)
    return out


def main():
    if sys.argv[1:2] == ['--compare'] and len(sys.argv) == 5:
        return compare(*sys.argv[2:])
    fetched = subprocess.run([os.path.join(HERE, 'fetch.sh'), 'model', 'bus', 'zidane', 'vtest'],
                             stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    model = Model(fetched[0])
    entries = []
    for path in fetched[1:3]:
        rgb = np.ascontiguousarray(cv2.imread(path)[..., ::-1])
        entries.append(entry(os.path.basename(path), None, rgb, rgb.tobytes(), model.detect(rgb)))
    for i, data in video_frames(fetched[3], 768, 576, FRAMES):
        rgb = i420_to_rgb(data, 768, 576)
        entries.append(entry('vtest.avi', i, rgb, data, model.detect(rgb)))
    for e in entries:
        print(e['file'], e.get('frame', ''), len(e['detections']))
    with open(os.path.join(HERE, '../data/reference-detections.json'), 'w') as f:
        json.dump({'model': os.path.basename(fetched[0]), 'confidence': CONFIDENCE, 'iou': IOU,
                   'names': model.names, 'images': entries}, f, indent=1)
        f.write('\n')


if __name__ == '__main__':
    main()
