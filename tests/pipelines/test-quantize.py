#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-quantize: 8-bit files find in the plugin, in ONNX Runtime and in OpenVINO what the table
finds that they are made by. Prints TAP."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import TOP, Skip, folder, run_cases, shell, with_onnxruntime

PROGRAM = os.path.join(TOP, 'pipelines/yolo-quantize')
DATA = os.path.join(TOP, 'tests/data')
SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
# The environment of the benchmarks has OpenVINO too, which is too large to be installed for this.
BENCH = os.environ.get('BENCH_PYTHON', os.path.join(TOP, '.cache/bench-venv/bin/python'))

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError:
    if 'QUANTIZE_TEST' in os.environ:
        raise
    os.environ['QUANTIZE_TEST'] = '1'           # once
    try:
        own = BENCH if os.path.exists(BENCH) else with_onnxruntime()
    except Skip as why:
        print(f'1..0 # SKIP {why}')
        sys.exit()
    os.execv(own, [own, *sys.argv])

loader = importlib.machinery.SourceFileLoader('yolo_quantize', PROGRAM)
yolo_quantize = importlib.util.module_from_spec(
    importlib.util.spec_from_loader('yolo_quantize', loader))
sys.dont_write_bytecode = True
loader.exec_module(yolo_quantize)

CONFIDENCE = .25


def model(name):
    """A copy of a model of the tests, in the folder."""
    to = os.path.join(folder(), name + '.onnx')
    if not os.path.exists(to):
        shutil.copy(os.path.join(DATA, name + '.onnx'), to)
    return to


def shape_of(path):
    """[N][3][rows][columns] of a model's input."""
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    return [d.dim_value or default for d, default in zip(dims, (1, 3, 64, 64))]


def size_of(path):
    return shape_of(path)[2:]


def noise(rows, columns):
    return f'videotestsrc pattern=snow num-buffers=10 ! video/x-raw,width={columns},height={rows}'


def table(path, source=None, height=None, width=None):
    """The calibration table of a model, all of whose layers are in int8."""
    to = path.replace('.onnx', '.int8')
    if not os.path.exists(to):
        rows, columns = height or size_of(path)[0], width or size_of(path)[1]
        result = shell(f'gst-launch-1.0 -q {source or noise(rows, columns)} ! videoconvert ! '
                       f'yoloinfer model-file="{path}" input-size={columns}x{rows} calibrate="{to}"'
                       ' max-loss=1 confidence-threshold=.05 ! fakesink')
        assert result.returncode == 0 and os.path.exists(to), result.stdout
        with open(to, encoding='utf-8') as file:
            text = file.read()
        with open(to, 'w', encoding='utf-8') as file:
            file.write(text.replace(' float ', ' int8 '))
    return to


class Result:
    """What the program would print and end with. It runs in this process, as numpy and onnx take
    their time to be loaded."""

    def __init__(self, words):
        said, sys.argv = io.StringIO(), [PROGRAM, *words]
        self.returncode = 0
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                yolo_quantize.main()
        except SystemExit as end:
            self.returncode = end.code
            said.write(str(end.code))
        self.stdout = said.getvalue()


def run(*words):
    return Result(words)


def it_is_a_program():
    result = subprocess.run([sys.executable, PROGRAM, '--help'], stdout=subprocess.PIPE, text=True,
                            check=True)
    assert '--symmetric' in result.stdout


def quantised(path, *more, **how):
    to = path.replace('.onnx', ''.join(more) + '-quantised.onnx')
    result = run(path, table(path, **how), '-o', to, *more)
    assert result.returncode == 0, result.stdout
    return to


def computed(path, image):
    """All outputs of a model by ONNX Runtime. image: [1][3][rows][columns]"""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: image})


def weights_are_rounded_so_that_errors_add_up_to_little():
    draw = np.random.default_rng(1)
    weights = draw.normal(size=(5, 7, 3, 3)).astype(np.float32)
    weights[2] *= 0
    weights[3, 0, 0, 0] = 90                    # the others are small beside it
    steps = np.maximum(np.abs(weights).reshape(5, -1).max(1), 1e-9) / np.float32(127)
    whole = yolo_quantize.round_weights(weights, steps)
    error = whole - weights / steps[:, None, None, None]
    assert whole.dtype == np.int8 and np.abs(whole.astype(int)).max() == 127
    assert np.abs(error).max() < 1.5 and (np.abs(error) > .5).any()
    assert np.abs(error.reshape(5, -1).sum(1)).max() <= .5 + 1e-4
    # Plain rounding is worse: the case tests something.
    plain = np.rint(weights / steps[:, None, None, None]) - weights / steps[:, None, None, None]
    assert np.abs(plain.reshape(5, -1).sum(1)).max() > 1


def what_convolutions_read_is_rounded():
    """Each once, to the grid of the table's range, or to that of the ranges that are joined; grey
    levels as they are."""
    path = model('v8n')
    words = [line.split() for line in open(table(path), encoding='utf-8')]
    ranges = {row[4]: (float(row[2]), float(row[3])) for row in words if row[0] == 'range'}
    made = onnx.load(quantised(path)).graph
    makers = {name: node for node in made.node for name in node.output}
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in made.initializer}
    found = {}
    for node in made.node:
        if node.op_type == 'QuantizeLinear':
            assert node.input[0] not in found, node.input[0]
            found[node.input[0]] = [constants[name] for name in node.input[1:]]
    for node in made.node:
        if node.op_type == 'Conv' and 'dfl' not in node.input[1]:
            kinds = [makers[name].op_type for name in node.input]
            assert kinds == ['DequantizeLinear'] * 3, (node.name, kinds)
    scale, zero = found[made.input[0].name]
    assert abs(scale - 1 / 255) < 1e-9 and zero == 0 and zero.dtype == np.uint8
    low, high = ranges['/model.0/Conv_1']
    scale, zero = found['/model.0/Mul_3_output_0']
    assert abs(scale - (high - low) / 255) < 1e-6 * scale and zero == round(-low / scale)
    joined = next(name for name in found if makers.get(name) is not None
                  and makers[name].op_type == 'Concat')
    assert found[joined][0] * 255 >= max(found[name][0] for name in found
                                         if name in makers[joined].input)
    for node in made.node:                      # what is added to a sum is rounded as well
        if node.op_type == 'Add':
            assert not set(node.input) & set(found), node.name


def symmetric_grids_have_no_zero_points():
    made = onnx.load(quantised(model('v8n'), '--symmetric')).graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in made.initializer}
    zeros = [constants[node.input[2]] for node in made.node if node.op_type == 'QuantizeLinear']
    assert zeros and all(zero == 0 and zero.dtype == np.int8 for zero in zeros)


def every_task_can_be_quantised():
    """ONNX Runtime computes with such a file nearly what it does with the floats, and the plugin
    reads it."""
    shutil.copy(os.path.join(DATA, 'micro-external.onnx.data'), folder())
    for name in ('v8n', 'micro-attention', 'micro-segment', 'micro-pose', 'micro-classify',
                 'micro-external'):
        path = model(name)
        for more in ((), ('--symmetric',)) if name == 'v8n' else ((), ):
            made = quantised(path, *more)
            draw = np.random.default_rng(2)
            if name == 'micro-external':        # ONNX Runtime does not read it
                path = made
            image = draw.integers(0, 256, shape_of(path)).astype(np.float32) / 255
            for a, b in zip(computed(path, image), computed(made, image)):
                error = np.abs(a - b).mean() / np.abs(a).mean()
                print(f'# {name} {" ".join(more)}: {error:.4f}')
                assert a.shape == b.shape and error < .1, name
            result = shell(f'gst-launch-1.0 -q {noise(*size_of(path))} ! videoconvert ! '
                           f'yoloinfer model-file="{made}" precision=int8 ! fakesink')
            assert result.returncode == 0, (name, result.stdout)


def overlap(a, b):
    width = min(a[3], b[3]) - max(a[1], b[1])
    height = min(a[4], b[4]) - max(a[2], b[2])
    if a[0] != b[0] or width <= 0 or height <= 0:
        return 0
    both = width * height
    return both / ((a[3] - a[1]) * (a[4] - a[2]) + (b[3] - b[1]) * (b[4] - b[2]) - both)


def decoded(output, size):
    """Rows of class, corners in the picture, confidence of [1][4 + classes][anchors]."""
    rows = output[0].T
    rows = rows[rows[:, 4:].max(1) > CONFIDENCE]
    found = sorted(([int(row[4:].argmax()), row[0] - row[2] / 2, row[1] - row[3] / 2,
                     row[0] + row[2] / 2, row[1] + row[3] / 2, row[4:].max()] for row in rows),
                   key=lambda row: -row[5])
    kept = []
    for row in found:
        if all(overlap(row, other) <= .7 for other in kept):
            kept.append(row)
    for row in kept:
        row[1:5] = np.clip(row[1:5], 0, [size[1], size[0]] * 2)
    return kept


def plugin_finds(path, pixels, size, *properties):
    """The same, by the plugin. pixels: the path of pictures as they are in memory."""
    to = path + '.jsonl'
    result = shell(f'gst-launch-1.0 -q filesrc location="{pixels}" ! rawvideoparse format=rgb '
                   f'width={size[1]} height={size[0]} ! yoloinfer model-file="{path}" '
                   f'input-size={size[1]}x{size[0]} confidence-threshold={CONFIDENCE} '
                   f'{" ".join(properties)} ! yoloexport format=json-lines location="{to}" ! '
                   'fakesink')
    assert result.returncode == 0, result.stdout
    rows = []
    with open(to, encoding='utf-8') as lines:
        for line in lines:
            seen = [each['detection'] for each in json.loads(line)['objects']]
            rows.append([[each['label_id'], *(each['bounding_box'][key] * size[i % 2 == 0]
                                              for i, key in enumerate(('x_min', 'y_min', 'x_max',
                                                                       'y_max'))),
                          each['confidence']] for each in seen])
    return rows


def overlaps(name, first, second):
    """For each object of one the overlap with that of the other, of all pictures; 0: it has none.
    What is unsure by less than .05 may be missing."""
    found = []
    for here, there in zip(first, second, strict=True):
        for one, other in ((here, there), (there, here)):
            for row in one:
                best = max((overlap(row, each) for each in other), default=0)
                if best >= .5 or row[5] > CONFIDENCE + .05:
                    found.append(best)
    print(f'# {name}: {len(found) // 2} objects, IoU {min(found):.3f} to {max(found):.3f}, '
          f'{np.mean(np.array(found) < .95):.1%} below .95')
    return np.array(found)


def runtimes_agree():
    """On real pictures and weights, at 320x320."""
    source = os.path.join(SHARED, 'models/yolov8n_dynamic.onnx')
    if not os.path.exists(source):
        raise Skip('yolov8n is not there')
    path, pixels, size = os.path.join(folder(), 'yolov8n.onnx'), os.path.join(folder(), 'p'), \
        (320, 320)
    shutil.copy(source, path)
    pictures = sorted(os.listdir(os.path.join(SHARED, 'images')))
    for name in pictures:
        result = shell(f'gst-launch-1.0 -q filesrc location="{SHARED}/images/{name}" ! '
                       'decodebin ! videoconvert ! videoscale add-borders=true ! '
                       f'video/x-raw,format=RGB,width=320,height=320,pixel-aspect-ratio=1/1 ! '
                       f'filesink location=one && cat one >>"{pixels}"')
        assert result.returncode == 0, result.stdout
    made = quantised(path, source=f'filesrc location="{pixels}" ! rawvideoparse format=rgb '
                     'width=320 height=320', height=320, width=320)
    images = np.fromfile(pixels, np.uint8).reshape(len(pictures), 1, *size, 3)
    images = images.transpose(0, 1, 4, 2, 3).astype(np.float32) / 255
    ours = plugin_finds(made, pixels, size, 'precision=int8')
    theirs = [decoded(computed(made, image)[0], size) for image in images]
    by_table = plugin_finds(path, pixels, size, 'precision=int8')
    # The same numbers, rounded at the same places: what differs fell to the other side of a step.
    assert np.mean(overlaps('plugin and ONNX Runtime', ours, theirs) < .95) < .1
    # The table has a grid for each part of what is joined, the file one for the whole.
    assert np.mean(overlaps('plugin by table and by file', by_table, ours) < .9) < .1
    with contextlib.suppress(ImportError):
        import openvino
        network = openvino.Core().compile_model(made, 'CPU')
        others = [decoded(network(image)[0], size) for image in images]
        assert np.mean(overlaps('plugin and OpenVINO', ours, others) < .95) < .1


def bad_input_is_named():
    path, to = model('v8n'), os.path.join(folder(), 'bad.onnx')
    good = table(path)
    cut, other, edited = (os.path.join(folder(), name) for name in ('cut', 'other', 'edited'))
    with open(good, encoding='utf-8') as file:
        text = file.read()
    for name, content in ((cut, text[:len(text) // 2]), (other, 'something else\n'),
                          (edited, text.replace('range 1 -', 'range 1 x'))):
        with open(name, 'w', encoding='utf-8') as file:
            file.write(content)
    broken = os.path.join(folder(), 'broken.onnx')
    with open(broken, 'wb') as file:
        file.write(b'no model at all')
    line = 1 + [row[:7] for row in text.splitlines()].index('range 1')
    for words, said in (
            ((path, 'absent.int8', '-o', to), 'absent.int8: No such file'),
            ((path, other, '-o', to), 'is no calibration table'),
            ((path, cut, '-o', to), 'ends too early'),
            ((path, edited, '-o', to), f'{edited}:{line}: is not understood'),
            ((model('micro'), good, '-o', to), 'is the calibration of another model'),
            (('absent.onnx', good, '-o', to), 'absent.onnx: No such file'),
            ((broken, good, '-o', to), 'is no ONNX file'),
            ((path, good, '-o', path), 'would replace'),
            ((path, good, '-o', good), 'would replace'),
            ((path, good, '-o', os.path.join(folder(), 'absent', 'a.onnx')), 'No such file'),
            ((path, good), 'required: -o')):
        result = run(*words)
        assert result.returncode and said in result.stdout, (words, result.stdout)
        assert not os.path.exists(to), result.stdout
    for name, said in (('v8n-qdq-u8', 'in 8 bits already'), ('v8m-opset12', 'operator set 12'),
                       ('v8n-half', 'half=False')):
        with open(model(name), 'rb') as file:
            digest = yolo_quantize.hashlib.sha256(file.read()).hexdigest()
        with open(edited, 'w', encoding='utf-8') as file:
            file.write(f'yolo-calibration 1\nmodel {digest}\nconv 1 int8 0 0 /model.0/Conv_1\n'
                       'range 1 -1 1 /model.0/Conv_1\nend\n')
        result = run(model(name), edited, '-o', to)
        assert result.returncode and said in result.stdout, (name, result.stdout)
        assert not os.path.exists(to), result.stdout


def layers_that_the_table_leaves_in_floats_stay_there():
    path = model('v8n')
    with open(table(path), encoding='utf-8') as file:
        text = file.read()
    some = os.path.join(folder(), 'some.int8')
    with open(some, 'w', encoding='utf-8') as file:
        file.writelines(line.replace(' int8 ', ' float ') if '/model.2' in line else line
                        for line in text.splitlines(keepends=True))
    to = os.path.join(folder(), 'some.onnx')
    result = run(path, some, '-o', to)
    assert result.returncode == 0, result.stdout
    made = onnx.load(to).graph
    makers = {name: node for node in made.node for name in node.output}
    for node in made.node:
        if node.op_type == 'Conv' and 'dfl' not in node.input[1]:
            whole = makers.get(node.input[1]) is not None
            assert whole == ('/model.2' not in node.name), node.name


run_cases([it_is_a_program, weights_are_rounded_so_that_errors_add_up_to_little,
           what_convolutions_read_is_rounded, symmetric_grids_have_no_zero_points,
           every_task_can_be_quantised, layers_that_the_table_leaves_in_floats_stay_there,
           bad_input_is_named, runtimes_agree])
