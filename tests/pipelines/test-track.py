#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""People who are tracked in a video: every frame as the reference has it, and by every second
frame alone."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import TOP, Skip, fetch, folder, read_lines, run_cases, shell

SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
MODEL = os.path.join(SHARED, 'models/yolov8n.onnx')
TRUTH = os.path.join(SHARED, 'tracking/PETS09-S2L1')
FRAMES = 21
WIDTH, HEIGHT = 768, 576


def tracks(path):
    """{(frame, id): [left, top, right, bottom]} of a file in MOTChallenge's columns, clipped to the
    frame."""
    found = {}
    with open(path, encoding='utf-8') as lines:
        for line in lines:
            columns = line.split(',')
            x, y, w, h = map(float, columns[2:6])
            found[int(columns[0]), int(columns[1])] = [
                max(x, 0), max(y, 0), min(x + w, WIDTH), min(y + h, HEIGHT)]
    return found


def reference():
    """What Ultralytics' ByteTrack makes of this network's detections."""
    path = os.path.join(TRUTH, 'bytetrack-defaults-on-yolov8n.txt')
    if not os.path.exists(path) or not os.path.exists(MODEL):
        raise Skip('the network and its tracks are not here')
    return {key: box for key, box in tracks(path).items() if key[0] <= FRAMES}


def run(infer, rest):
    """Runs the network and what is behind it on the first frames of the video."""
    result = shell(f'gst-launch-1.0 -q filesrc location="{fetch("vtest")}" ! decodebin ! '
                   f'identity eos-after={FRAMES + 1} ! yoloinfer model-file="{MODEL}" '
                   f'precision=fp32 class-ids=person {infer} ! {rest} ! fakesink')
    assert result.returncode == 0 and 'ERROR' not in result.stdout, result.stdout


def overlap(a, b):
    """Intersection over union."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def every_frame_as_the_reference():
    """Its lost tracks are remembered for 30 frames, which are three seconds here."""
    expected = reference()
    run('', 'yolotrack preset=ultralytics buffer=3000000000 ! '
            'yoloexport format=mot location=tracks.txt')
    found = {key: box for key, box in tracks(os.path.join(folder(), 'tracks.txt')).items()
             if key[0] <= FRAMES}
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    # Decoders of JPEG differ by a grey level.
    furthest = max(abs(a - b) for key in found for a, b in zip(found[key], expected[key]))
    assert furthest < 1, furthest


def frames_between_are_filled():
    expected = reference()
    run('inference-interval=2',
        'yolotrack ! yolooverlay show-trails=true ! yoloexport location=tracks.jsonl')
    lines = read_lines(os.path.join(folder(), 'tracks.jsonl'))[:FRAMES]
    # The three who are there from the beginning keep the numbers that they have there, until one
    # of them is hidden.
    assert len(lines) == FRAMES, len(lines)
    for line in lines[:18]:
        people = {o['id']: o for o in line['objects'] if 'id' in o}
        states = {o.get('state', 'tracked') for o in people.values()}
        assert states == {'predicted' if line['frame'] % 2 else 'tracked'}, (line['frame'], states)
        for number in 1, 2, 3:
            box = people[number]['detection']['bounding_box']
            box = [box['x_min'] * WIDTH, box['y_min'] * HEIGHT,
                   box['x_max'] * WIDTH, box['y_max'] * HEIGHT]
            key = line['frame'] + 1, number
            # after some looks it is known how fast they go
            if line['frame'] > 6:
                assert overlap(box, expected[key]) > .4, (key, box, expected[key])


run_cases([every_frame_as_the_reference, frames_between_are_filled])
