#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of labelling and judging, and the whole of training/optimize with a small network.
Prints TAP."""

import argparse
import contextlib
import fcntl
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import environment
from environment import CHECKPOINTS, TOP
from tap import BUILD, Skip, folder, run_cases, shell

environment.require('lightning', 'PIL', 'torch_pruning', 'pycocotools')

import numpy as np
import onnx
import torch
from PIL import Image
from pictures import NAMES, random_network, write_scenes
from training import agree, checkpoint, cost, data, optimize, report, saving
from training.data import BOXES, DataError, Form


def agreement_is_counted():
    """Two objects and three boxes: one of the wrong class, one twice."""
    wanted = [torch.tensor([[0, .1, .1, .3, .3], [1, .5, .5, .9, .9]])]
    found = [torch.tensor([[0, .1, .1, .3, .31, .9], [0, .11, .1, .3, .3, .8],
                           [0, .5, .5, .9, .9, .7]])]
    scores = agree.scores(found, wanted, (.1, .75, .85, .95))
    assert scores == {.1: 2 / 5, .75: 2 / 4, .85: 2 / 3, .95: 0.}, scores
    found[0][2, 0] = 1
    assert agree.scores(found, wanted, (.1, ))[.1] == 4 / 5
    found[0][0, 3:5] = .19                      # overlaps by less than half
    found[0][1, 0] = 1
    assert agree.scores(found, wanted, (.1, ))[.1] == 2 / 5
    nothing = [torch.zeros(0, 6)]
    assert agree.scores(nothing, [torch.zeros(0, 5)], (.5, ))[.5] == 1


def precision_is_cocos():
    """Of three objects two are found, the better one by the less confident box; a box that is
    alone comes between. Precision is 1 up to a recall of a third, then 2/3 up to two thirds."""
    wanted = [torch.tensor([[0, .1, .1, .3, .3], [0, .5, .5, .9, .9], [0, 0, .8, .1, .9]])]
    found = [torch.tensor([[0, .1, .1, .3, .3, .9], [0, .6, .1, .8, .3, .8],
                           [0, .5, .5, .9, .9, .7]])]
    expected = (34 + 33 * 2 / 3) / 101
    for value in agree.precisions(found, wanted, [(640, 480)]):
        assert abs(value - expected) < 1e-6, (value, expected)
    # Another class, wanted once and never found, weighs a quarter.
    wanted[0] = torch.cat((wanted[0], torch.tensor([[1, .1, .1, .3, .3]])))
    assert abs(agree.precisions(found, wanted, [(640, 480)])[1] - expected * 3 / 4) < 1e-6
    assert agree.precisions([torch.zeros(0, 6)], wanted, [(64, 64)]) == (0, 0)
    assert agree.precisions(found, [torch.zeros(0, 5)], [(64, 64)]) == (0, 0)


def times_of_networks_correct_those_of_layers():
    """Layers say that half is left; the network takes two fifths, and no time at all at last."""
    options = argparse.Namespace(model='whole', size=(64, 64), precision='int8', threads=1)
    asked, times = [], {'whole': 10., 'pruned': 4., 'none': 1e-9}

    def network_time(path, *more):
        asked.append(more)
        return times[path]
    kept, cost.network_time = cost.network_time, network_time
    try:
        assert abs(optimize.corrected(options, 'pruned', .5) - .8) < 1e-9
        assert optimize.corrected(options, 'none', .5) == optimize.MOST_CORRECTED
        assert asked[0] == ((64, 64), 'auto', 1), asked
    finally:
        cost.network_time = kept


def epochs_are_shared_out():
    """All are spent, the last round has at least one, and the others no more than half."""
    for epochs, rounds, expected in ((20, 2, [5, 15]), (2, 2, [1, 1]), (1, 2, [0, 1]),
                                     (1, 1, [1]), (2, 4, [1, 0, 0, 1]), (9, 3, [1, 1, 7])):
        assert optimize.shares(epochs, rounds) == expected, (epochs, rounds)
    for epochs in range(1, 30):
        for rounds in range(1, 8):
            found = optimize.shares(epochs, rounds)
            assert len(found) == rounds and sum(found) == epochs, found
            assert found[-1] >= 1 and min(found) >= 0, found


def doubts_are_told():
    """Each warning where it belongs, and none where all is well."""
    work = os.path.join(folder(), 'doubts')
    options = argparse.Namespace(work=work, form=BOXES)
    random = np.random.default_rng(0)

    def frames(part, count, confidence, objects=30):
        for inner in ('images', 'labels'):
            os.makedirs(os.path.join(work, 'frames', part, inner), exist_ok=True)
        for i in range(count):
            stem = os.path.join(work, 'frames', part, '{}', f'{i}')
            Image.fromarray(random.integers(0, 255, (9, 16, 3), np.uint8)).resize(
                (64, 36)).save(stem.format('images') + '.png')
            with open(stem.format('labels') + '.txt', 'w', encoding='utf-8') as file:
                file.write('0 .5 .5 .2 .2\n' * objects)
        with open(os.path.join(work, 'frames', 'labels.jsonl'), 'a', encoding='utf-8') as file:
            for i in range(count):
                file.write(json.dumps({'image': f'{part}/images/{i}.png', 'objects': [
                    {'label_id': 0, 'confidence': confidence}] * objects}) + '\n')
    frames('train', 6, .9)
    frames('judge', 2, .9)
    rows = [{'name': 'before', 'ap': .5, 'f1': .8, 'ms': 2.},
            {'name': 'before, smaller input', 'ap': .4, 'f1': .7, 'ms': 1.}]
    student = {'ap': .6, 'f1': .9, 'ms': 1.}
    said = report.warnings(rows, student, options, 1)
    assert not [text for text in said if 'look like' not in text], said
    for ap, f1, text in ((.45, .9, 'AP50-95 fell from 0.500 to 0.450'), (.6, .7, 'F1 fell'),
                         (.3, .9, '"before, smaller input" agrees better')):
        assert any(text in line for line in report.warnings(
            rows, {**student, 'ap': ap, 'f1': f1}, options, 1)), text
    slow = [rows[0], {**rows[1], 'ms': 1.5}]
    assert not any('agrees better' in line
                   for line in report.warnings(slow, {**student, 'ap': .3}, options, 1))
    os.remove(os.path.join(work, 'frames', 'labels.jsonl'))
    frames('train', 6, .3)
    frames('judge', 2, .9, objects=3)
    said = ' '.join(report.warnings(rows, student, options, 1))
    assert '100% of its labels' in said and 'only 6 objects' in said, said
    same = os.path.join(work, 'frames', 'judge', 'images', '0.png')
    shutil.copy(os.path.join(work, 'frames', 'train', 'images', '0.png'), same)
    shutil.copy(same, same.replace('0.png', '1.png'))
    assert 'look like those that were learnt' in ' '.join(
        report.warnings(rows, student, options, 1))


def video(pattern='snow', seconds=6):
    path = os.path.join(folder(), pattern + '.mkv')
    if not os.path.exists(path):
        result = shell('gst-launch-1.0 -q videotestsrc '
                       f'pattern={pattern} num-buffers={seconds * 5} ! '
                       'video/x-raw,format=I420,width=64,height=64,framerate=5/1 ! '
                       f'jpegenc ! matroskamux ! filesink location="{path}"')
        assert result.returncode == 0, result.stdout
    return path


def command(output, *more, model=None, film=None):
    return [os.path.join(TOP, 'training', 'optimize'), '--python', sys.executable,
            '--model', model or os.path.join(CHECKPOINTS, 'v8n.pt'), '--video', film or video(),
            '--output', output, '--size', '64x64', '--teacher-size', '64x64', '--epochs', '2',
            '--keep', '.6', '--threads', '1', *more]


def run(output, *more, model=None, film=None, before=None):
    return subprocess.run(command(output, *more, model=model, film=film), preexec_fn=before,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def needs_plugin():
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')


# What the steps of a run leave, in their order.
LEFT = ('frames', 'pruned-1.pt', 'seed-0/round-1/last.ckpt', 'seed-0/taught-1.pt',
        'seed-0/pruned-2.pt', 'seed-0/student.onnx', 'seed-0/whole/last.ckpt', 'judged')


def kill_when(output, path):
    """Runs until the path is there, and is killed then; FALSE where it ended before."""
    with subprocess.Popen(command(output), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        while process.poll() is None and not os.path.exists(path):
            time.sleep(.01)
        ended = process.poll() is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return not ended


def a_network_is_made_for_a_video():
    """Random weights see objects in noise. The run is killed behind its steps and goes on each
    time. The files are read, cost less, and the report has what was measured; a second run does
    nothing again; one with other settings, or beside another, is refused."""
    needs_plugin()
    output = os.path.join(folder(), 'camera.onnx')
    work = output + '.work'
    for path in (LEFT if 'YOLO_TEST_ONCE' in os.environ else LEFT[2:3]):
        assert kill_when(output, os.path.join(work, path)), path
    first = run(output)
    assert first.returncode == 0, first.stdout
    assert 'labels frames' not in first.stdout and 'gst-launch-1.0' in first.stdout, first.stdout
    onnx.checker.check_model(onnx.load(output))
    before, after = (cost.cost_of(checkpoint.read(path), (64, 64)) for path in
                     (os.path.join(CHECKPOINTS, 'v8n.pt'), output.replace('.onnx', '.pt')))
    assert .2 < after / before < .9, after / before
    with open(output.replace('.onnx', '.json'), encoding='utf-8') as file:
        said = json.load(file)
    names = [row['name'] for row in said['networks']]
    assert names[:4] == ['before', 'before, smaller input', 'whole, seed 0',
                         'student, seed 0'] or names[:3] == [
        'before', 'whole, seed 0', 'student, seed 0'], names
    assert names[-2:] == ['before, int8', 'student, int8'], names
    assert all(0 <= row[key] <= 1 for row in said['networks'] for key in ('ap', 'f1', 'ap50'))
    quantized = subprocess.run(
        [sys.executable, os.path.join(TOP, 'pipelines', said['quantize'].split()[0]),
         *said['quantize'].split()[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False)
    assert quantized.returncode == 0, quantized.stdout
    assert os.path.exists(output.replace('.onnx', '-int8.onnx'))
    with open(output.replace('.onnx', '.html'), encoding='utf-8') as file:
        page = file.read()
    assert page.count('<img') == 5 and '<svg' in page and said['line'].split('!')[1] in page
    with open(output, 'rb') as file:
        made = file.read()
    second = run(output)
    assert second.returncode == 0 and 'epoch 1' not in second.stdout, second.stdout
    with open(output, 'rb') as file:
        assert file.read() == made
    other = run(output, '--step', '4')
    assert other.returncode and 'other settings' in other.stdout, other.stdout
    with open(os.path.join(work, 'lock'), 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        beside = run(output)
    assert beside.returncode == 1 and 'another run is at work' in beside.stdout, beside.stdout


def labelled_by_hand():
    """The path of a data.yaml with pictures, whose classes have the model's names and others'
    numbers."""
    top = os.path.join(folder(), 'hand')
    random = np.random.default_rng(0)
    for inner in ('images', 'labels'):
        os.makedirs(os.path.join(top, inner))
    for i in range(10):
        Image.fromarray(random.integers(0, 255, (48, 64, 3), np.uint8)).save(
            os.path.join(top, 'images', f'{i}.png'))
        with open(os.path.join(top, 'labels', f'{i}.txt'), 'w', encoding='utf-8') as file:
            file.write('1 .5 .5 .4 .4\n')
    path, names = os.path.join(top, 'data.yaml'), checkpoint.read(
        os.path.join(CHECKPOINTS, 'v8n.pt')).names
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'train': 'images', 'names': ['of no model', names[0]]}, file)
    return path


def few_epochs_and_labels_by_hand_do():
    """Only the last of two rounds learns. Labels by hand are beside the teacher's, and the line of
    what is asked for in 8 bits says so."""
    needs_plugin()
    output = os.path.join(folder(), 'few.onnx')
    result = run(output, '--labels', labelled_by_hand(), '--epochs', '1', '--no-whole',
                 '--precision', 'int8')
    assert result.returncode == 0, result.stdout
    left = os.listdir(os.path.join(output + '.work', 'seed-0'))
    assert 'taught-2.pt' in left and 'taught-1.pt' not in left, left
    with open(os.path.join(output + '.work', 'frames', 'labels.jsonl'), encoding='utf-8') as lines:
        rows = [json.loads(line) for line in lines]
    hand = [row for row in rows if row['by'] == 'hand']
    assert len(hand) == 10 and len(rows) > 10, rows
    assert all(row['objects'][0]['label_id'] == 0 for row in hand), hand
    with open(output.replace('.onnx', '.json'), encoding='utf-8') as file:
        said = json.load(file)
    row = said['networks'][-1]
    assert row['name'] == 'student, int8' and row['precision'] == 'int8', row
    assert row['ms'] > 0 and f'precision=int8 confidence-threshold={row["threshold"]} ' in \
        said['line'], said
    with open(output.replace('.onnx', '.int8'), encoding='utf-8') as file:
        assert 'input 64x64' in file.read()
    with open(output.replace('.onnx', '.html'), encoding='utf-8') as file:
        assert 'White: the teacher and labels by hand.' in file.read()


def masks_and_points_are_kept():
    """Of drawn scenes, labelled by hand, beside noise in which a network with random weights sees
    objects with masks or points. What comes out segments, or finds points, and the page says what
    it forgot of other scenes."""
    needs_plugin()
    for task, form in (('segment', Form('segment')), ('pose', Form('pose', (3, 3), (1, 0, 2)))):
        model, output = (os.path.join(folder(), task + ending) for ending in ('-in.pt', '.onnx'))
        saving.save(random_network(task), model, (64, 64))
        scenes, others = (write_scenes(f'{name} {task}', 12, task) for name in ('own', 'other'))
        for to in (scenes, others):
            with open(os.path.join(to, 'data.yaml'), 'w', encoding='utf-8') as file:
                json.dump({'train': 'images', 'names': list(NAMES.values())} | (
                    {'kpt_shape': [3, 3]} if task == 'pose' else {}), file)
        more = ['--flip-idx', '1,0,2'] if task == 'pose' else []
        result = run(output, '--labels', scenes, '--general', others, '--rounds', '1', '--no-whole',
                     '--frames', '20', *more, model=model)
        assert result.returncode == 0, result.stdout
        made = checkpoint.read(output.replace('.onnx', '.pt'))
        assert made.head.task == task and cost.cost_of(made, (64, 64)) < cost.cost_of(
            checkpoint.read(model), (64, 64))
        outputs = [each.name for each in onnx.load(output).graph.output]
        assert outputs == ['output0', 'output1'][:1 + (task == 'segment')], outputs
        by = set()
        with open(os.path.join(output + '.work', 'frames', 'labels.jsonl'), encoding='utf-8') as f:
            for row in map(json.loads, f):
                path = os.path.join(output + '.work', 'frames', row['image'])
                objects = data.labels_of(path, len(NAMES), form)
                assert len(objects) == len(row['objects']), (path, objects)
                by |= {row['by']} if len(objects) else set()
        assert by == {'teacher', 'hand'}, by
        with open(output.replace('.onnx', '.json'), encoding='utf-8') as file:
            rows = json.load(file)['networks']
        told = [row['name'] for row in rows if 0 <= row.get('general_ap', -1) <= 1]
        assert told == ['before', 'student, seed 0'], rows
        with open(output.replace('.onnx', '.html'), encoding='utf-8') as file:
            page = file.read()
        assert 'Of the rest of the world' in page and 'general F1' in page
        assert 'Of the rest of the world' in result.stdout


def disks_that_are_full_are_named():
    """As a limit on the size of files looks: nothing that is there is broken."""
    needs_plugin()
    output = os.path.join(folder(), 'full.onnx')
    full = run(output, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
    assert full.returncode == 1 and 'Traceback' not in full.stdout, full.stdout
    assert not os.path.exists(output)
    free, shutil.disk_usage = shutil.disk_usage, lambda _: argparse.Namespace(free=1 << 20)
    try:
        optimize.begin(argparse.Namespace(work=os.path.join(folder(), 'small'), model='a',
                                          video=['b'], labels=[], teacher=None,
                                          general=None))
    except DataError as why:
        assert '1 MiB are free' in str(why), why
    else:
        raise AssertionError('no error')
    finally:
        shutil.disk_usage = free


def blind():
    """The path of a network that sees nothing."""
    net = checkpoint.read(os.path.join(CHECKPOINTS, 'v8n.pt'))
    with torch.no_grad():
        for branch in net.head.cv3:
            branch[-1].weight.zero_()
            branch[-1].bias.fill_(-20)
    path = os.path.join(folder(), 'blind.pt')
    saving.save(net, path, (64, 64))
    return path


def bad_input_is_named():
    needs_plugin()
    output = os.path.join(folder(), 'bad.onnx')
    for number, (text, more) in enumerate((
            ('there is no such file', dict(film='absent.mkv')),
            ('layer 8 is a OBB', dict(model=os.path.join(CHECKPOINTS, 'obb.pt'))),
            ('3 frames that differ are too few', dict(film=video('black', 2))),
            ('the teacher finds no object', dict(model=blind())))):
        result = run(output, '--work', os.path.join(folder(), f'bad-{number}'), **more)
        assert result.returncode == 1 and text in result.stdout, result.stdout
        assert 'Traceback' not in result.stdout, result.stdout
        assert not os.path.exists(output)


def options_that_make_no_sense_are_refused():
    for words, text in ((['--keep', '2'], 'more than 0'), (['--size', '100x64'], 'multiples of 32'),
                        (['--epochs', '0'], '1 or more'), (['--duration', '0'], '1 or more')):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                optimize.arguments_of(['--model', 'a', '--video', 'b', '--output', 'c', *words])
        except SystemExit as why:
            assert why.code == 2 and text in said.getvalue(), said.getvalue()
            continue
        raise AssertionError(words)
    assert optimize.size('320x256') == (256, 320) and optimize.size('64') == (64, 64)


def what_cannot_work_is_refused_before_any_work():
    def path(name):
        return os.path.join(CHECKPOINTS, name)
    to = os.path.join(folder(), 'early')
    os.makedirs(to)
    for name in ('camera.pt', 'camera.onnx'):
        shutil.copy(path('v8n.pt'), os.path.join(to, name))
    linked = os.path.join(to, 'linked.pt')
    os.symlink(os.path.join(to, 'camera.pt'), linked)
    net, grouped = checkpoint.read(path('v8n.pt')), os.path.join(folder(), 'grouped.pt')
    conv = net.model[1].conv
    net.model[1].conv = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 3, 2, 1, groups=2,
                                        bias=False)
    saving.save(net, grouped, (64, 64))
    before = sorted(os.listdir(to))
    for model, output, more, text in (
            (os.path.join(to, 'camera.pt'), 'camera.pt', [], 'does not end in .onnx'),
            (os.path.join(to, 'camera.pt'), 'camera', [], 'does not end in .onnx'),
            (linked, 'camera.onnx', [], 'would replace --model'),
            (path('v8n.pt'), 'camera.onnx', ['--teacher', linked], 'would replace --teacher'),
            (path('v8n.pt'), 'camera.onnx', ['--teacher', os.path.join(to, 'camera.onnx')],
             'would replace --teacher'),
            (grouped, 'new.onnx', [], 'convolutions in groups'),
            (path('v8-p6.pt'), 'new.onnx', ['--size', '96x64'], 'a stride of 64')):
        options = optimize.arguments_of(['--model', model, '--video', 'absent.mkv', '--output',
                                         os.path.join(to, output), *more])
        try:
            optimize.optimize(options)
        except DataError as why:
            assert text in str(why) and '; ' in str(why), why
            assert sorted(os.listdir(to)) == before
            continue
        raise AssertionError(text)


run_cases([agreement_is_counted, precision_is_cocos, times_of_networks_correct_those_of_layers,
           epochs_are_shared_out, doubts_are_told,
           options_that_make_no_sense_are_refused, what_cannot_work_is_refused_before_any_work,
           bad_input_is_named, disks_that_are_full_are_named, a_network_is_made_for_a_video,
           few_epochs_and_labels_by_hand_do, masks_and_points_are_kept])
