#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checkpoints become modules that compute what ONNX Runtime computes of the same weights, and
what cannot be used is refused by name. Prints TAP."""

import io
import os
import pickle
import zipfile

import environment
from environment import CHECKPOINTS
from tap import folder, run_cases

import torch
from training import checkpoint, network, records
from training.records import CheckpointError


def path_of(name):
    return os.path.join(CHECKPOINTS, name + '.pt')


def checkpoints_compute_the_reference():
    rows = environment.references()
    for name in ('v8n', 'v8n-unfused', 'v8n-half', 'v8n-relu', 'v8n-depthwise',
                 'micro-attention', 'v8-p2', 'v8-p34', 'v8-p6', 'micro'):
        made = checkpoint.read(path_of(name))
        with torch.no_grad():
            maps = made(environment.reference_input(rows[name]))
        difference = environment.largest_difference(maps, name)
        assert difference < 1e-5, (name, difference)
        names = rows[name][8].split('|')
        assert made.names == dict(enumerate(names)), (name, made.names)
    # Halves of C2f in modules of their own are joined again.
    with torch.no_grad():
        maps = checkpoint.read(path_of('micro-unsplit'))(environment.reference_input(rows['micro']))
    assert environment.largest_difference(maps, 'micro') < 1e-5


def fused_norms_are_found_and_folded():
    rows = environment.references()
    for name in ('v8n', 'v8n-unfused'):
        made = network.fuse(checkpoint.read(path_of(name)))
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in made.modules())
        with torch.no_grad():
            maps = made(environment.reference_input(rows[name]))
        assert environment.largest_difference(maps, name) < 1e-5, name


REFUSED = {
    'number': 'not a network', 'state-dict': 'weights without their network',
    'state-dict-in': 'weights without their network',
    'model-state-dict': 'weights without their network', 'yolov5': 'another project\'s',
    'foreign': 'another project\'s', 'rtdetrdetectionmodel': 'a RTDETRDetectionModel',
    'worldmodel': 'a WorldModel', 'unknown': 'layer 4 is a DeformConv',
    'upsample': 'layer 5 (Upsample) has mode bilinear', 'from-ahead': 'layer 6 (Concat) reads',
    'beyond': 'does not fit in its storage', 'modelopt': 'quantised in training',
    'gray': 'takes pictures of 1 channels', 'stride': 'has not the stride',
    'classes': 'does not end in 3 channels', 'no-head': 'layer 8 is a Depth',
    'no-dfl': 'layer 8 (Detect) has no part conv', 'bins': 'has bins (dfl)',
    'extra': 'layer 2 (C2f) has a part se', 'obb': 'layer 8 is a OBB',
    'pose': 'layer 8 has a Conv2d where a branch', 'pose-none': 'points of the shape []',
    'end-to-end': 'layer 8 is a v10Detect', 'legacy': 'before version 1.6',
    'big-endian': 'byte order', 'script': 'TorchScript', 'onnx': 'no checkpoint',
    'activation-gelu': 'layer 0 has the activation GELU', 'v5u': 'layer 0 (Conv2d) has padding',
    'micro-area': 'layer 2 is a A2C2f'}


def refusal(path):
    try:
        checkpoint.read(path)
    except CheckpointError as why:
        assert str(why).startswith(f'{path}: '), why
        return str(why)
    raise AssertionError(f'{path} was read')


def others_are_refused_by_name():
    for name, text in REFUSED.items():
        why = refusal(path_of(name))
        assert text in why and '; ' in why, (name, why)
    assert 'No such file' in refusal(os.path.join(folder(), 'absent.pt'))


class Call:
    """A pickle of it calls a function by name."""

    def __reduce__(self):
        return os.mkdir, (os.path.join(folder(), 'executed'), )


def nothing_is_executed():
    data = pickle.dumps([Call()], 2)
    record = records.unpickle(data)[0]
    assert record.kind == 'mkdir' and record.args == (os.path.join(folder(), 'executed'), )
    assert not os.path.exists(os.path.join(folder(), 'executed'))
    pickle.loads(data)                          # so that the pickle is known to bite
    assert os.path.exists(os.path.join(folder(), 'executed'))
    for bad in (b'\x80\x02\x82\x01.',           # a number of copyreg's registry
                b'\x80\x02Nr\xff\xff\xff\x7f.',     # a memo of 16 GB
                b'(c__main__\nX\no.'):
        try:
            records.unpickle(bad)
        except pickle.UnpicklingError:
            continue
        raise AssertionError(bad)


def damaged_files_are_errors():
    """Bytes of a file without checksums are changed one by one, and ends are cut off: what is
    left is a network, or a CheckpointError."""
    with open(path_of('micro'), 'rb') as file:
        whole = file.read()
    path, counts = os.path.join(folder(), 'damaged.pt'), [0, 0]
    damaged = [whole[:i] for i in range(0, len(whole), 997)]
    for i in range(0, len(whole), 101):
        damaged.append(whole[:i] + bytes([whole[i] ^ (1 + i % 255)]) + whole[i + 1:])
    for data in damaged:
        with open(path, 'wb') as file:
            file.write(data)
        try:
            checkpoint.read(path)
            counts[0] += 1
        except CheckpointError:
            counts[1] += 1
    assert min(counts) > len(damaged) / 10, counts


def a_large_entry_is_not_read():
    path, most = os.path.join(folder(), 'bomb.pt'), records.MOST_PICKLE
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('x/data.pkl', bytes(1 << 20))
    try:
        records.MOST_PICKLE = 1 << 19
        assert f'more than {1 << 19}' in refusal(path)
    finally:
        records.MOST_PICKLE = most


def sizes_are_checked_before_they_are_used():
    with records.File(path_of('micro')) as file:
        layers = checkpoint.model_of(file).children['model'].children
        weight = layers['0'].children['conv'].table('_parameters')['weight']
        while weight.kind != '_rebuild_tensor_v2':
            weight = weight.args[0]
        whole = weight.args
        for shape, stride in (((1 << 20, 1 << 20), (0, 0)), ((whole[0].count + 1, ), (0, ))):
            weight.args = (whole[0], 0, shape, stride)
            try:
                file.tensor(weight)
            except CheckpointError as why:
                assert 'does not fit in its storage' in str(why), why
                continue
            raise AssertionError(shape)
        weight.args = whole
        layers['8'].state['reg_max'] = 1 << 50
        try:
            checkpoint.build(file)
        except CheckpointError as why:
            assert 'has bins (dfl)' in str(why), why
            return
    raise AssertionError('2^50 bins')


def layers_that_do_not_fit_are_refused():
    """A head in the middle, whose maps are no tensor."""
    conv = network.Conv(3, 4, 3, 2)

    def head():
        last = [torch.nn.Sequential(torch.nn.Conv2d(4, channels, 1)) for channels in (8, 1)]
        return network.Detect(last[:1], last[1:], 2, [2])
    good = network.Network([conv, head()], [-1, [0]], {0: 'a'})
    checkpoint.try_out('good.pt', good.eval())
    bad = network.Network([conv, head(), network.Conv(4, 4), head()], [-1, [0], -1, [2]], {0: 'a'})
    try:
        checkpoint.try_out('bad.pt', bad.eval())
    except CheckpointError as why:
        assert str(why).startswith('bad.pt: its layers do not fit'), why
        return
    raise AssertionError('maps are no tensor')


def refused_files_are_closed():
    path = os.path.realpath(path_of('script'))
    try:
        records.File(path)
    except CheckpointError as why:
        # The exception's frames still hold the File.
        assert why.__traceback__
        numbers = os.listdir('/proc/self/fd')
        assert numbers and path not in [os.path.realpath(f'/proc/self/fd/{n}') for n in numbers]
        return
    raise AssertionError(path)


def widths_may_differ():
    """As pruning leaves them: every layer has its own width."""
    conv = network.Conv
    block = network.C2f(conv(5, 6), conv(3 + 3 + 7 + 2, 9),
                        [network.Bottleneck(conv(3, 4, 3), conv(4, 7, 3), False),
                         network.Bottleneck(conv(7, 1, 3), conv(1, 2, 3), False)])
    assert block(torch.zeros(2, 5, 4, 6)).shape == (2, 9, 4, 6)


def published_sizes():
    """Numbers of parameters, in millions, of Ultralytics' documentation of YOLOv8."""
    names = {i: str(i) for i in range(80)}
    for scale, millions in (('n', 3.2), ('s', 11.2), ('m', 25.9), ('l', 43.7), ('x', 68.2)):
        with torch.device('meta'):
            made = network.yolov8(names, scale)
        count = sum(p.numel() for p in made.parameters())
        assert round(count / 1e6, 1) == millions, (scale, count)


def the_archive_has_no_effect_on_order():
    """A file whose entries stand in another order, compressed, is the same network."""
    again = io.BytesIO()
    with zipfile.ZipFile(path_of('v8n-half')) as old, \
            zipfile.ZipFile(again, 'w', zipfile.ZIP_DEFLATED) as new:
        for name in reversed(old.namelist()):
            new.writestr(name, old.read(name))
    path = os.path.join(folder(), 'again.pt')
    with open(path, 'wb') as file:
        file.write(again.getvalue())
    a, b = checkpoint.read(path_of('v8n-half')).state_dict(), checkpoint.read(path).state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


run_cases([checkpoints_compute_the_reference, fused_norms_are_found_and_folded,
           others_are_refused_by_name, nothing_is_executed, damaged_files_are_errors,
           a_large_entry_is_not_read, sizes_are_checked_before_they_are_used,
           layers_that_do_not_fit_are_refused, refused_files_are_closed, widths_may_differ,
           published_sizes, the_archive_has_no_effect_on_order])
