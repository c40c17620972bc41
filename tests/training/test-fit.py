#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lightning's command line: options in a file and in words, resumed, and what is written. Prints
TAP."""

import contextlib
import io
import os
import shlex

import environment
from environment import CHECKPOINTS, TOP
from pictures import write_pictures
from tap import folder, run_cases

environment.require('lightning', 'jsonargparse', 'PIL')

import torch
from training import checkpoint, fit

MODEL = os.path.join(CHECKPOINTS, 'v8n.pt')


def words(*more):
    to = folder()
    frames = os.path.join(to, 'frames')
    for part, count in (('train', 9), ('choose', 4)):
        if not os.path.exists(os.path.join(frames, part)):
            os.makedirs(frames, exist_ok=True)
            os.rename(write_pictures(part, count), os.path.join(frames, part))
    config = os.path.join(to, 'run.yaml')
    with open(os.path.join(TOP, 'training', 'camera.yaml'), encoding='utf-8') as file:
        text = file.read().replace('training-logs', os.path.join(to, 'logs'))
    with open(config, 'w', encoding='utf-8') as file:
        file.write(text)
    return ['fit', '--config', config, '--data.folder', frames, '--model.file', MODEL,
            '--data.size', '[64, 64]', '--data.batch', '4', '--data.workers', '0',
            '--trainer.accelerator', 'cpu', '--trainer.enable_progress_bar', 'false', *more]


def a_file_and_words_train():
    output = os.path.join(folder(), 'taught.onnx')
    fit.main(words('--trainer.max_epochs', '2', '--output', output))
    assert os.path.exists(output)
    made, was = checkpoint.read(output.replace('.onnx', '.pt')), checkpoint.read(MODEL)
    assert made.names == was.names
    logs = os.listdir(os.path.join(folder(), 'logs', 'log'))
    assert 'metrics.csv' in logs and 'config.yaml' in logs, logs
    assert any('tfevents' in name for name in logs), logs
    last = os.path.join(folder(), 'logs', 'last.ckpt')
    state = torch.load(last, map_location='cpu', weights_only=True)
    assert state['epoch'] == 1 and int(state['state_dict']['steps']) == 4, state['epoch']
    fit.main(words('--trainer.max_epochs', '3', '--ckpt_path', last))
    state = torch.load(last, map_location='cpu', weights_only=True)
    assert state['epoch'] == 2 and int(state['state_dict']['steps']) == 6, state['epoch']


def gradients_are_added_up():
    """Of two batches a step, in bfloat16, with a teacher's features."""
    fit.main(words('--trainer.max_epochs', '1', '--trainer.accumulate_grad_batches', '2',
                   '--trainer.precision', 'bf16-mixed', '--model.teacher', MODEL,
                   '--model.imitation', '.5'))
    last = os.path.join(folder(), 'logs', 'last.ckpt')
    assert torch.load(last, map_location='cpu', weights_only=True)['global_step'] == 1


def lines_of_the_document_are_understood():
    """All but the start of processes, which is torchrun's and SLURM's: options are, names of files
    aside, as they are written. --print_config ends behind that."""
    with open(os.path.join(TOP, 'docs', 'optimizing.md'), encoding='utf-8') as text:
        lines = [shlex.split(line) for line in text
                 if line.startswith('    ') and 'camera.yaml' in line]
    assert len(lines) == 4, lines
    for line in lines:
        line = line[line.index('fit', line.index('-m') if '-m' in line else 0):]
        line[line.index('training/camera.yaml')] = os.path.join(TOP, 'training', 'camera.yaml')
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                fit.main([*line, '--print_config'])
        except SystemExit as why:
            assert not why.code and 'max_epochs: 20' in said.getvalue(), (line, why.code)
            continue
        raise AssertionError(line)


def mistakes_are_named():
    for more, text in ((['--output', 'a.pt'], 'does not end in .onnx'),
                       (['--data.size', '[65, 64]'], 'multiples of that'),
                       (['--data.folder', 'absent'], 'absent'),
                       (['--model.file', 'absent.pt'], 'absent.pt'),
                       (['--model.teacher', os.path.join(CHECKPOINTS, 'v8-p6.pt')], 'has other')):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                fit.main(words(*more))
        except SystemExit as why:
            assert text in f'{why.code} {said.getvalue()}', (text, why.code, said.getvalue())
            continue
        raise AssertionError(more)


run_cases([a_file_and_words_train, gradients_are_added_up,
           lines_of_the_document_are_understood, mistakes_are_named])
