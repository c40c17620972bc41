#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the 8-bit file that the peers run out of a float one, in .cache/, and
prints its path: QuantizeLinear and DequantizeLinear pairs by ONNX Runtime's
own quantiser, activations uint8, weights int8 per channel.

    $(tests/bench/venv.sh) tests/bench/quantise.py MODEL [--form FORM] [--size HxW]
                                                   [--pictures FOLDER]

Forms: `conv`, convolutions as Ultralytics' exporter does it; `all`, all
operators, ONNX Runtime's fastest; `readers`, what convolutions read and not
what they write, OpenVINO's fastest, since an activation then comes between
sum and rounding. The box decode stays as it is.
"""

import argparse
import glob
import hashlib
import logging
import os
import subprocess

import cv2
import numpy as np
import onnx
from onnxruntime import quantization

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
FORMS = 'conv', 'all', 'readers'
PICTURES = 32


def video_pictures(count):
    path = subprocess.run([os.path.join(TOP, 'tests/scripts/fetch.sh'), 'vtest'],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    video = cv2.VideoCapture(path)
    for i in range(count * 24):
        good, picture = video.read()
        if good and i % 24 == 12:
            yield picture


def folder_pictures(folder, count):
    paths = sorted(path for kind in ('jpg', 'png')
                   for path in glob.glob(os.path.join(folder, '*.' + kind)))
    return (cv2.imread(path) for path in paths[:count])


def letterbox(picture, height, width):
    """BGR of any size into the network's input."""
    gain = min(height / picture.shape[0], width / picture.shape[1])
    size = round(picture.shape[1] * gain), round(picture.shape[0] * gain)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    padded = np.full((height, width, 3), 114, np.uint8)
    padded[top:top + size[1], left:left + size[0]] = cv2.resize(picture, size)
    return np.ascontiguousarray(padded[..., ::-1].transpose(2, 0, 1)[None]).astype(np.float32) / 255


class Pictures(quantization.CalibrationDataReader):
    def __init__(self, name, pictures, height, width):
        self.inputs = ({name: letterbox(picture, height, width)} for picture in pictures)

    def get_next(self):
        return next(self.inputs, None)


def behind_maps(graph):
    """Names of the nodes behind the head's maps, the box decode: what a
    convolution writes that no activation reads, and all that comes of it."""
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    def activated(node):
        return any(reader.op_type in ('Sigmoid', 'Relu') for reader in readers[node.output[0]])
    behind = {node.output[0] for node in graph.node
              if node.op_type == 'Conv' and not activated(node)}
    names = []
    for node in graph.node:                     # topological
        if any(name in behind for name in node.input):
            behind.update(node.output)
            names.append(node.name)
    return names


def quantise(model, form='conv', size=(640, 640), pictures=None):
    """The path of the 8-bit file, made if it is not there; of one that is 8-bit already, itself."""
    graph = onnx.load(model).graph
    if any(node.op_type == 'QuantizeLinear' for node in graph.node):
        return model
    with open(model, 'rb') as file:
        digest = hashlib.sha256(file.read() + repr((size, pictures)).encode()).hexdigest()[:8]
    path = os.path.join(TOP, '.cache',
                        f'{os.path.splitext(os.path.basename(model))[0]}-{form}-{digest}.onnx')
    if os.path.exists(path):
        return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # not its warning that it would rather have the file preprocessed
    logging.getLogger().setLevel(logging.ERROR)
    source = folder_pictures(pictures, PICTURES) if pictures else video_pictures(PICTURES)
    quantization.quantize_static(
        model, path + '.part', Pictures(graph.input[0].name, source, *size),
        quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=None if form == 'all' else ['Conv'],
        nodes_to_exclude=behind_maps(graph),
        extra_options={'OpTypesToExcludeOutputQuantization': ['Conv']} if form == 'readers' else {})
    os.replace(path + '.part', path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model')
    parser.add_argument('--form', choices=FORMS, default='conv')
    parser.add_argument('--size', default='640x640')
    parser.add_argument('--pictures',
                        help='a folder of .jpg and .png; default: frames of vtest.avi')
    arguments = parser.parse_args()
    size = tuple(int(n) for n in arguments.size.split('x'))
    print(quantise(arguments.model, arguments.form, size, arguments.pictures))


if __name__ == '__main__':
    main()
