#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pipelines that training/ runs, and labelling. Needs no PyTorch. Prints TAP."""

import os
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path[:0] = [TOP, os.path.join(TOP, 'tests', 'pipelines')]

from tap import folder, run_cases
from training import DataError, pipeline


class Instead:
    """A program of a few lines of shell in the place of gst-launch-1.0, and little patience."""

    def __init__(self, script):
        self.path = os.path.join(folder(), 'gst-launch-instead')
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write('#!/bin/sh\n' + script)
        os.chmod(self.path, 0o755)

    def __enter__(self):
        self.before = pipeline.PROGRAM, pipeline.PATIENCE
        pipeline.PROGRAM, pipeline.PATIENCE = self.path, .3

    def __exit__(self, *_):
        pipeline.PROGRAM, pipeline.PATIENCE = self.before


def failure(function, *arguments):
    try:
        function(*arguments)
    except DataError as why:
        return str(why)
    raise AssertionError('nothing failed')


def read_all(line):
    with pipeline.output(line, 'what') as made:
        return made.read(1000)


def pipelines_that_fail_are_told():
    for line, text in (
            ('fakesrc num-buffers=1 ! identity error-after=1 ! fakesink', 'what: ERROR'),
            ('fakesrc ! nothing-of-that-name', 'what: '),
            ('fakesrc ! yolonothing ! fakesink', 'set GST_PLUGIN_PATH')):
        assert text in failure(pipeline.launch, line.split(), 'what'), text
    assert failure(read_all, 'fakesrc num-buffers=1 ! identity error-after=1'.split())
    with Instead('exit 3'):
        assert failure(pipeline.launch, [], 'what').endswith('ended with 3')


def what_a_pipeline_writes_is_read():
    line = 'fakesrc num-buffers=3 sizetype=fixed sizemax=5 filltype=zero'.split()
    assert read_all(line) == bytes(15)
    with pipeline.output(['fakesrc', 'sizetype=fixed', 'sizemax=5'], 'endless') as made:
        assert len(made.read(10)) == 10         # and is ended


def a_pipeline_that_does_not_end_is_ended():
    """It has told an error; the one ends when it is asked to, the other does not."""
    for more in ('', 'trap "" TERM\n'):
        with Instead(more + 'echo "ERROR: no camera" >&2\nwhile :; do sleep .1; done\n'):
            for function in (lambda: pipeline.launch([], 'what'), lambda: read_all([])):
                start = time.monotonic()
                assert failure(function) == 'what: ERROR: no camera'
                assert time.monotonic() - start > .3


def an_output_that_stays_open_is_not_waited_for():
    """A child of the program keeps it, until a file is gone."""
    flag = os.path.join(folder(), 'flag')
    with open(flag, 'w', encoding='utf-8'):
        pass
    with Instead(f'while [ -e "{flag}" ]; do sleep .1; done &\necho "ERROR: no camera"\nexit 1\n'):
        assert failure(pipeline.launch, [], 'what') == 'what: ERROR: no camera'
    os.remove(flag)


run_cases([pipelines_that_fail_are_told, what_a_pipeline_writes_is_read,
           a_pipeline_that_does_not_end_is_ended, an_output_that_stays_open_is_not_waited_for])
