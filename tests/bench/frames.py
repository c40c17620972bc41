#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Frame to metadata: 1080p NV12 frames of vtest.avi through yoloinfer against
a loop on OpenVINO, in the same minutes, on the same threads and precision.

    $(tests/bench/venv.sh) tests/bench/frames.py [--model FILE] [--rounds N]

OpenVINO's side is what its users write: OpenCV converts and letterboxes to
the size that the file was exported for, the network runs, numpy thresholds,
OpenCV suppresses. Prints frames per second and their ratio: the median over
rounds that take turns.
"""

import argparse
import os
import statistics
import time

import cv2
import numpy as np
import openvino as ov

from turns import TOP, Elements, fetch, ratio, take_turns

WIDTH, HEIGHT = 1920, 1080
CAPS = f'video/x-raw,format=NV12,width={WIDTH},height={HEIGHT},framerate=25/1'
CONFIDENCE, IOU = 0.25, 0.7


def make_frames(count, path):
    """Every 20th frame of vtest.avi, scaled, as NV12. Writes them into a file as well."""
    video = cv2.VideoCapture(fetch('vtest'))
    frames = []
    while len(frames) < count:
        for _ in range(20):
            good, picture = video.read()
        assert good, 'the video is too short'
        yuv = cv2.cvtColor(cv2.resize(picture, (WIDTH, HEIGHT)), cv2.COLOR_BGR2YUV_I420)
        chroma = yuv[HEIGHT:].reshape(2, -1)
        frames.append(np.vstack([yuv[:HEIGHT], chroma.T.reshape(HEIGHT // 2, WIDTH)]))
    with open(path, 'wb') as file:
        for frame in frames:
            file.write(frame.tobytes())
    return frames


class OpenVINO:
    def __init__(self, model, precision, threads, frames):
        self.frames = frames
        core = ov.Core()
        network = core.read_model(model)
        self.height, self.width = (int(n) for n in network.input(0).shape[2:])
        self.request = core.compile_model(network, 'CPU', {
            'INFERENCE_PRECISION_HINT': {'fp32': 'f32', 'bf16': 'bf16'}[precision],
            'INFERENCE_NUM_THREADS': threads, 'PERFORMANCE_HINT': 'LATENCY'}).create_infer_request()

    def detect(self, nv12):
        picture = cv2.cvtColor(nv12, cv2.COLOR_YUV2RGB_NV12)
        gain = min(self.height / HEIGHT, self.width / WIDTH)
        width, height = round(WIDTH * gain), round(HEIGHT * gain)
        left, top = (self.width - width) // 2, (self.height - height) // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        picture = cv2.copyMakeBorder(picture, top, self.height - height - top, left,
                                     self.width - width - left, cv2.BORDER_CONSTANT,
                                     value=(114,) * 3)
        self.request.infer({0: cv2.dnn.blobFromImage(picture, 1 / 255)})
        output = self.request.get_output_tensor(0).data[0]
        scores = output[4:]
        kept = scores.max(axis=0) > CONFIDENCE
        boxes, scores = output[:4, kept].T, scores[:, kept]
        classes, confidences = scores.argmax(axis=0), scores.max(axis=0)
        corners = boxes.copy()
        corners[:, :2] -= boxes[:, 2:] / 2
        best = cv2.dnn.NMSBoxesBatched(corners.tolist(), confidences.tolist(), classes.tolist(),
                                       CONFIDENCE, IOU)
        return [(int(classes[i]), float(confidences[i]),
                 ((corners[i] - (left, top, 0, 0)) / gain).tolist()) for i in best]

    def run(self, count):
        start = time.perf_counter()
        found = sum(len(self.detect(frame)) for frame in self.frames[:count])
        return time.perf_counter() - start, found

    def end(self):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--model', help='an .onnx file (the demo\'s)')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--frames', type=int, default=16, help='of a round')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--precision', action='append', choices=['fp32', 'bf16'])
    arguments = parser.parse_args()
    model = os.path.abspath(arguments.model) if arguments.model else fetch('model')
    raw = os.path.join(TOP, '.cache', f'bench-{os.getpid()}.nv12')
    frames = make_frames(arguments.frames, raw)

    try:
        for precision in arguments.precision or ['fp32', 'bf16']:
            infer = (f'yoloinfer model-file="{model}" precision={precision} '
                     f'threads={arguments.threads}')
            sides = {'OpenVINO': OpenVINO(model, precision, arguments.threads, frames),
                     'input-size=auto': Elements(raw, CAPS, f'{infer} input-size=auto'),
                     'exported size': Elements(raw, CAPS, infer)}
            rates, found = take_turns(sides, arguments.rounds, len(frames))
            print(f'{os.path.basename(model)}, {precision}, {arguments.threads} threads, '
                  f'{WIDTH}x{HEIGHT} NV12, frame to metadata:')
            for name, values in rates.items():
                print(f'  {name:<16} {statistics.median(values):7.1f} frames/s  '
                      f'{ratio(rates, name, "OpenVINO"):5.2f} x OpenVINO'
                      f'  {found[name]} detections in {len(frames)} frames')
            for side in sides.values():
                side.end()
    finally:
        os.remove(raw)


if __name__ == '__main__':
    main()
