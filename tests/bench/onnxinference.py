#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""yoloinfer against GStreamer's own onnxinference ! yolov8tensordec (1.28 and newer, where
it is built with ONNX Runtime), on the same pictures in one run: what both find, and
frames a second, taking turns.

    tests/debian.sh forky && tests/debian.sh forky tests/bench/onnxinference.py [--rounds N]

What they find is compared on pixels of the network's size, so that both see the same;
yolov8tensordec suppresses across classes, so that yoloinfer is told to here. Frames a
second are measured of such pixels, and of 1080p NV12 frames, which videoconvertscale makes
fit for onnxinference. That has no property for threads: both take all CPUs. Its
optimization-level is disable-all by default, and is measured with enable-all as well.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import types

from turns import TOP, Elements, fetch, ratio, take_turns

SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
SIZE, CLASSES = 640, 80
CONFIDENCE, IOU = .25, .7
FIT = f'video/x-raw,format=RGB,width={SIZE},height={SIZE},pixel-aspect-ratio=1/1'
FULL = 'video/x-raw,format=NV12,width=1920,height=1080,pixel-aspect-ratio=1/1'

# What onnxinference wants to know of a file that Ultralytics' exporter wrote.
MODELINFO = f'''[modelinfo]
version=1.0
group-id=yolo-v8-out

[images]
id=yolo-v8-in
type=float32
dims=1,3,{SIZE},{SIZE}
dir=input
ranges=0.0,1.0;0.0,1.0;0.0,1.0

[output0]
id=yolo-v8-out
type=float32
dims=1,-1,-1
dir=output
dims-order=col-major
'''


def skip(why):
    print(f'skipped: {why}')
    sys.exit(77)                        # a skip to meson and automake


def load_eval():
    """yolo-eval as a module: how it compares detections."""
    path = os.path.join(TOP, 'pipelines/yolo-eval')
    loader = importlib.machinery.SourceFileLoader('yolo_eval', path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('yolo_eval', loader))
    loader.exec_module(module)
    return module


def launch(line):
    """Runs a pipeline. ONNX Runtime says much on the standard error, which is shown when
    the pipeline fails."""
    result = subprocess.run(f'gst-launch-1.0 -q {line}', shell=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False,
                            env={**os.environ,
                                 'GST_PLUGIN_PATH': os.path.join(TOP, 'build/gst-plugin')})
    if result.returncode:
        raise SystemExit('\n'.join(result.stdout.splitlines()[-20:]))


def make_frames(sources, rate, caps, path):
    """Every source's frames in `caps`, one behind the other; of a video `rate` a second."""
    with open(path, 'wb') as whole:
        for source in sources:
            few = (f'videorate drop-only=true ! video/x-raw,framerate={rate} !'
                   if source.endswith('.avi') else '')
            launch(f'filesrc location="{source}" ! decodebin ! {few} '
                   f'videoconvertscale add-borders=true ! "{caps}" ! filesink location="{path}.1"')
            with open(f'{path}.1', 'rb') as part:
                whole.write(part.read())
            os.remove(f'{path}.1')


def find(raw, elements, lines):
    """A list of detections for each frame of `raw`, which has the network's size."""
    launch(f'filesrc location="{raw}" ! rawvideoparse format=rgb width={SIZE} height={SIZE} '
           f'framerate=2/1 ! {elements} ! yoloexport location="{lines}" ! fakesink')
    frames = []
    with open(lines, encoding='utf-8') as file:
        for line in file:
            found = [item['detection'] for item in json.loads(line)['objects']]
            # A label of theirs is a class's number, as the label file says.
            frames.append([{
                'class': int(d.get('label_id', d['label'])), 'confidence': d['confidence'],
                'box': [d['bounding_box'][k] * SIZE for k in ('x_min', 'y_min', 'x_max', 'y_max')],
            } for d in found])
    return frames


def show_versions():
    packages = subprocess.run(['dpkg-query', '-W', 'gstreamer1.0-plugins-bad',
                               'libonnxruntime[0-9]*'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False).stdout.splitlines()
    known = [' '.join(words) for words in map(str.split, packages) if len(words) == 2]
    print(', '.join(known + [f'{len(os.sched_getaffinity(0))} CPUs']))


def show_detections(ours, theirs):
    compare = load_eval().compare
    print(f'found in {len(ours)} pictures of {SIZE}x{SIZE}, confidence {CONFIDENCE}: '
          f'onnxinference {sum(map(len, theirs))}, yoloinfer in fp32 {sum(map(len, ours))}')
    for at_least in (.5, .9):
        seen = compare(theirs, ours, types.SimpleNamespace(conf=CONFIDENCE, match_iou=at_least))
        print(f'  IoU {at_least}: {seen["matched_share"]:.2%} of theirs matched, '
              f'{seen["gained_share"]:.2%} gained, mean IoU {seen["mean_iou"]:.4f}, '
              f'mean change of confidence {seen["mean_confidence_change"]:.6f}')


def show_rates(title, sides, rounds, count):
    rates, _ = take_turns(sides, rounds, count)
    peer = list(sides)[1]
    print(f'{title}, frames a second')
    for name, values in rates.items():
        print(f'  {name:<42} {statistics.median(values):7.1f}  '
              f'{ratio(rates, name, peer):5.2f} x {peer}')
    for side in sides.values():
        side.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--model', default=os.path.join(SHARED, 'models/yolov8n.onnx'),
                        help=f'a detector of Ultralytics\' exporter for COCO, {SIZE}x{SIZE}')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--frames', type=int, default=16, help='of a round')
    arguments = parser.parse_args()
    for element in ('onnxinference', 'yolov8tensordec'):
        if subprocess.run(['gst-inspect-1.0', '--exists', element], check=False).returncode:
            skip(f'GStreamer here has no {element}, which comes with 1.28 in '
                 'gstreamer1.0-plugins-bad, where that is built with ONNX Runtime')
    if not os.path.exists(arguments.model):
        skip(f'{arguments.model} is not there')
    model = os.path.abspath(arguments.model)
    show_versions()

    with tempfile.TemporaryDirectory(prefix='onnxinference-') as folder:
        theirs = os.path.join(folder, 'model.onnx')
        os.symlink(model, theirs)
        with open(f'{theirs}.modelinfo', 'w', encoding='utf-8') as file:
            file.write(MODELINFO)
        with open(os.path.join(folder, 'labels'), 'w', encoding='utf-8') as file:
            file.writelines(f'{i}\n' for i in range(CLASSES))
        decode = (f'yolov8tensordec class-confidence-threshold={CONFIDENCE} iou-threshold={IOU} '
                  f'max-detections=300 label-file="{folder}/labels"')
        plain = f'onnxinference model-file="{theirs}" ! {decode}'
        best = f'onnxinference model-file="{theirs}" optimization-level=enable-all ! {decode}'
        ours = (f'yoloinfer device=cpu model-file="{model}" confidence-threshold={CONFIDENCE} '
                f'iou-threshold={IOU} agnostic-nms=true')
        fp32 = f'{ours} precision=fp32'
        fit = f'videoconvertscale add-borders=true ! {FIT} !'

        every, small, large = (os.path.join(folder, name) for name in ('every', 'small', 'large'))
        video = fetch('vtest')
        make_frames([fetch('bus'), fetch('zidane'), video], '2/1', FIT, every)
        make_frames([video], '1/2', FIT, small)
        make_frames([video], '1/2', FULL, large)
        show_detections(find(every, fp32, os.path.join(folder, 'ours.jsonl')),
                        find(every, best, os.path.join(folder, 'theirs.jsonl')))

        caps = f'{FIT},framerate=25/1'
        show_rates(f'{SIZE}x{SIZE} RGB', {
            'onnxinference, as it comes': Elements(small, caps, plain),
            'onnxinference, enable-all': Elements(small, caps, best),
            'yoloinfer, fp32': Elements(small, caps, fp32),
            'yoloinfer, as it comes': Elements(small, caps, ours),
        }, arguments.rounds, arguments.frames)
        caps = f'{FULL},framerate=25/1'
        show_rates('1920x1080 NV12', {
            'onnxinference, as it comes': Elements(large, caps, f'{fit} {plain}'),
            'onnxinference, enable-all': Elements(large, caps, f'{fit} {best}'),
            'yoloinfer, fp32': Elements(large, caps, fp32),
            'yoloinfer, fp32, input-size=auto': Elements(large, caps, f'{fp32} input-size=auto'),
            'yoloinfer, as it comes, input-size=auto':
                Elements(large, caps, f'{ours} input-size=auto'),
        }, arguments.rounds, arguments.frames)


if __name__ == '__main__':
    main()
