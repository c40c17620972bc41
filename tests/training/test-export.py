#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exported and saved files compute what the network does, and the plugin finds by them what it
finds by the checkpoint. Prints TAP."""

import os

import environment
from environment import CHECKPOINTS, SHARED
from tap import BUILD, Skip, fetch, folder, read_lines, run_cases, shell

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
import torch
from training import checkpoint, export, network, saving


def path_of(name):
    return os.path.join(CHECKPOINTS, name + '.pt')


def decoded(made, images):
    with torch.no_grad():
        return network.decode(made(images), made.head).numpy()


def the_file_computes_what_the_network_does():
    rows = environment.references()
    for name in ('micro', 'micro-attention', 'v8n-relu', 'v8n-unfused', 'v8n-depthwise', 'v8-p34'):
        made, images = checkpoint.read(path_of(name)), environment.reference_input(rows[name])
        path = os.path.join(folder(), name + '.onnx')
        before = {key: value.clone() for key, value in made.state_dict().items()}
        export.write(made, path, tuple(images.shape[2:]))
        after = made.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before), name
        found = ReferenceEvaluator(path).run(None, {'images': images[:1].numpy()})[0]
        expected = decoded(made, images[:1])
        assert found.shape == expected.shape, (name, found.shape, expected.shape)
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        assert difference < 1e-5, (name, difference)


def the_file_says_what_it_is():
    made, path = checkpoint.read(path_of('v8n')), os.path.join(folder(), 'said.onnx')
    export.write(made, path, (64, 96))
    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {'task': 'detect', 'stride': '32', 'batch': '1', 'imgsz': '[64, 96]',
                    'names': "{0: 'alpha', 1: 'beta', 2: 'gamma'}"}, said
    shape = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
    assert shape == [1, 7, 8 * 12 + 4 * 6 + 2 * 3], shape
    with open(path, 'rb') as file:
        before = file.read()
    try:
        export.write(made, path, (64, 100))
        raise AssertionError('100 is no multiple of 32')
    except ValueError as why:
        assert '100x64' in str(why) and 'multiples of 32' in str(why), why
    with open(path, 'rb') as file:
        assert file.read() == before
    left = [name for name in os.listdir(folder()) if '.part-' in name]
    assert not left, left


def detections(source, model, threshold):
    """[(class, confidence, x1, y1, x2, y2)] of all frames, corners as parts of the frame."""
    path = os.path.join(folder(), 'found.jsonl')
    if os.path.exists(path):
        os.remove(path)
    result = shell(f'gst-launch-1.0 -q {source} ! yoloinfer model-file="{model}" device=cpu '
                   f'precision=fp32 confidence-threshold={threshold} ! '
                   f'yoloexport format=json-lines location="{path}" ! fakesink')
    assert result.returncode == 0, result.stdout
    found = []
    for frame in read_lines(path):
        for each in frame['objects']:
            box = each['detection']['bounding_box']
            found.append((each['detection']['label_id'], each['detection']['confidence'],
                          *(box[key] for key in ('x_min', 'y_min', 'x_max', 'y_max'))))
    return found


def assert_same(source, first, second, threshold, least):
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')
    a, b = (detections(source, model, threshold) for model in (first, second))
    assert len(a) == len(b) >= least, (len(a), len(b))
    for one, other in zip(a, b):
        assert one[0] == other[0] and np.allclose(one[1:], other[1:], atol=1e-4), (one, other)


def the_plugin_finds_the_same():
    """A network with random weights, on noise."""
    path = os.path.join(folder(), 'v8n.onnx')
    export.write(checkpoint.read(path_of('v8n')), path, (64, 64))
    assert_same('videotestsrc pattern=snow num-buffers=3 ! video/x-raw,format=RGB,width=64,'
                'height=64', path_of('v8n'), path, .3, 3)


def the_plugin_finds_the_same_by_attention():
    """YOLO11 with random weights, by the checkpoint, the file that is written of it, and the
    checkpoint that is saved again."""
    model = os.path.join(SHARED, 'models', 'family', 'tiny-yolo11.pt')
    if not os.path.exists(model):
        raise Skip('needs ../shared/models/family/tiny-yolo11.pt')
    made = checkpoint.read(model)
    with torch.no_grad():
        for branch in made.head.cv3:
            branch[-1].bias += 6                # random weights see nothing
    paths = [os.path.join(folder(), 'eleven' + ending) for ending in ('.pt', '.onnx')]
    saving.save(made, paths[0], (64, 64), half=False)
    export.write(made, paths[1], (64, 64))
    assert_same('videotestsrc pattern=snow num-buffers=2 ! video/x-raw,format=RGB,width=64,'
                'height=64', *paths, .3, 3)


def the_plugin_finds_the_same_on_a_photograph():
    model = os.path.join(SHARED, 'models', 'yolov8n.pt')
    if not os.path.exists(model):
        raise Skip('needs ../shared/models/yolov8n.pt')
    path = os.path.join(folder(), 'yolov8n.onnx')
    export.write(checkpoint.read(model), path)
    assert_same(f'filesrc location="{fetch("bus")}" ! jpegdec', model, path, .25, 4)


def saved_networks_are_read_again():
    rows = environment.references()
    for name in ('micro', 'micro-attention', 'v8n-relu', 'v8n-unfused', 'v8-p2'):
        made, path = checkpoint.read(path_of(name)), os.path.join(folder(), name + '.pt')
        saving.save(made, path, half=False)
        again = checkpoint.read(path)
        a, b = made.state_dict(), again.state_dict()
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), name
        assert again.names == made.names and again.head.strides == made.head.strides
        images = environment.reference_input(rows[name])
        assert np.array_equal(decoded(made, images), decoded(again, images)), name
        saving.save(made, path)
        again = checkpoint.read(path)
        difference = np.abs(decoded(made, images) - decoded(again, images)).max()
        assert 0 < difference < .5, (name, difference)          # pixels, by the rounding to half
        with torch.no_grad():
            made.model[0].bn.running_var[0] = 1e6               # too large for half
        saving.save(made, path)
        assert checkpoint.read(path).model[0].bn.running_var[0] == 1e6
    left = [name for name in os.listdir(folder()) if name.startswith('.')]
    assert not left, left


def the_plugin_reads_saved_networks():
    path = os.path.join(folder(), 'saved.pt')
    saving.save(checkpoint.read(path_of('v8n')), path, (64, 64), half=False)
    assert_same('videotestsrc pattern=snow num-buffers=3 ! video/x-raw,format=RGB,width=64,'
                'height=64', path_of('v8n'), path, .3, 3)


run_cases([saved_networks_are_read_again, the_plugin_reads_saved_networks,
           the_file_computes_what_the_network_does, the_file_says_what_it_is,
           the_plugin_finds_the_same, the_plugin_finds_the_same_by_attention,
           the_plugin_finds_the_same_on_a_photograph])
