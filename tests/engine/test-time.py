#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""yolo-time answers with times, or says what is wrong. Prints TAP."""

import os
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(TOP, 'tests', 'pipelines'))
from tap import run_cases                       # noqa: E402

PROGRAM = sys.argv[1]
MODEL = os.path.join(TOP, 'tests', 'data', 'v8n.onnx')
QUANTISED = os.path.join(TOP, 'tests', 'data', 'v8n-qdq-u8.onnx')


def run(*words, lines=''):
    return subprocess.run([PROGRAM, '--threads=1', *words], input=lines, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def layers_are_timed():
    """As many answers as layers, in their order: the larger ones take longer."""
    small, large = '1 1 1 8 8 4 4', '3 1 1 64 64 64 64'
    for precision in ('fp32', 'int8'):
        result = run('--layers', '--precision', precision,
                     lines='\n'.join((large, small, '3 2 1 3 13 8 12', '3 1 16 16 16 8 8',
                                      large)))
        assert result.returncode == 0, result.stderr
        times = [float(line) for line in result.stdout.split()]
        assert len(times) == 5 and min(times) >= 0, times
        assert times[1] < times[0] and times[1] < times[4], times


def networks_are_timed():
    for words in (['--input-size=64x32', MODEL], [MODEL], ['--precision=int8', QUANTISED]):
        result = run(*words)
        assert result.returncode == 0, result.stderr
        assert float(result.stdout) > 0, result.stdout


def mistakes_are_named():
    for words, lines, text in (
            (['--layers'], '3 1 1 8 8 4', "'3 1 1 8 8 4' is no layer"),
            (['--layers'], '2 1 1 8 8 4 4', 'odd kernel'),
            (['--layers'], '3 3 1 8 8 4 4', '1 or 2'),
            (['--layers'], '3 1 3 8 9 4 4', 'is no layer'),
            (['--layers'], '31 1 1 16384 16384 1 1', 'is no layer'),
            (['--layers'], '1 1 1 16384 16384 8192 8192', 'is no layer'),
            (['--layers'], '1 1 1 -1 8 4 4', 'is no layer'),
            (['--layers', MODEL], '', 'and none'), ([], '', "give a model's file"),
            (['absent.onnx'], '', 'absent.onnx'), (['--precision=fp8', MODEL], '', 'fp32'),
            (['--precision=int8', MODEL], '', 'calibration table'),
            (['--input-size=33x32', MODEL], '', '32'),
            (['--input-size=3', MODEL], '', 'WIDTHxHEIGHT')):
        result = run(*words, lines=lines)
        assert result.returncode > 0 and text in result.stderr, (words, result.stderr)
        assert result.stderr.startswith('yolo-time: ') and not result.stdout, result


run_cases([layers_are_timed, networks_are_timed, mistakes_are_named])
