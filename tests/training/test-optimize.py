#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of labelling and judging, and the whole of training/optimize with a small network.
Prints TAP."""

import contextlib
import io
import os
import shutil
import subprocess
import sys

import environment
from environment import CHECKPOINTS, TOP
from tap import BUILD, Skip, folder, run_cases, shell

environment.require('lightning', 'PIL', 'torch_pruning')

import onnx
import torch
from training import agree, checkpoint, optimize, prune
from training.data import DataError


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


def video(pattern='snow', seconds=6):
    path = os.path.join(folder(), pattern + '.mkv')
    if not os.path.exists(path):
        result = shell('gst-launch-1.0 -q videotestsrc '
                       f'pattern={pattern} num-buffers={seconds * 5} ! '
                       'video/x-raw,format=I420,width=64,height=64,framerate=5/1 ! '
                       f'jpegenc ! matroskamux ! filesink location="{path}"')
        assert result.returncode == 0, result.stdout
    return path


def run(output, *more, model=None, film=None):
    words = ['--model', model or os.path.join(CHECKPOINTS, 'v8n.pt'), '--video', film or video(),
             '--output', output, '--size', '64x64', '--teacher-size', '64x64', '--epochs', '2',
             '--keep', '.6', *more]
    return subprocess.run([os.path.join(TOP, 'training', 'optimize'), '--python', sys.executable,
                           *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


def a_network_is_made_for_a_video():
    """Random weights see objects in noise. The files are read, cost what was asked, and a second
    run does nothing again; one with other settings is refused."""
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')
    output = os.path.join(folder(), 'camera.onnx')
    first = run(output)
    assert first.returncode == 0, first.stdout
    assert 'epoch 2 of 2' in first.stdout and 'after: F1' in first.stdout, first.stdout
    onnx.checker.check_model(onnx.load(output))
    before, after = (prune.cost_of(checkpoint.read(path), (64, 64)) for path in
                     (os.path.join(CHECKPOINTS, 'v8n.pt'), output.replace('.onnx', '.pt')))
    assert .4 < after / before <= .6, after / before
    with open(output, 'rb') as file:
        made = file.read()
    second = run(output)
    assert second.returncode == 0 and 'epoch' not in second.stdout, second.stdout
    with open(output, 'rb') as file:
        assert file.read() == made
    other = run(output, '--step', '4')
    assert other.returncode and 'other settings' in other.stdout, other.stdout


def bad_input_is_named():
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')
    output = os.path.join(folder(), 'bad.onnx')
    for text, more in (
            ('there is no such file', dict(film='absent.mkv')),
            ('layer 8 is a Pose', dict(model=os.path.join(CHECKPOINTS, 'pose.pt'))),
            ('frames that differ are too few', dict(film=video('black', 2)))):
        result = run(output, '--work', os.path.join(folder(), text[:3]), **more)
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
    before = sorted(os.listdir(to))
    for model, output, more, text in (
            (os.path.join(to, 'camera.pt'), 'camera.pt', [], 'does not end in .onnx'),
            (os.path.join(to, 'camera.pt'), 'camera', [], 'does not end in .onnx'),
            (linked, 'camera.onnx', [], 'would replace --model'),
            (path('v8n.pt'), 'camera.onnx', ['--teacher', linked], 'would replace --teacher'),
            (path('v8n.pt'), 'camera.onnx', ['--teacher', os.path.join(to, 'camera.onnx')],
             'would replace --teacher'),
            (path('v8n-depthwise.pt'), 'new.onnx', [], 'convolutions in groups'),
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


run_cases([agreement_is_counted, options_that_make_no_sense_are_refused,
           what_cannot_work_is_refused_before_any_work, bad_input_is_named,
           a_network_is_made_for_a_video])
