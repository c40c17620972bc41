#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counters of a Kafka consumer group count every record once, whichever of them dies. The brokers
are librdkafka's for tests, in a process of their own."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from group import Kafka, with_kafka
from tap import PATIENCE, TOP, run_cases, wait_until

PROGRAM = os.path.join(TOP, 'pipelines/examples/count.py')
CAMERAS = [f'camera{i}' for i in range(6)]


def records(n, first):
    """What n frames of each camera and an event of each bring, and what is in them."""
    lines, want = [], collections.Counter()
    for camera in CAMERAS:
        for i in range(first, first + n):
            names = ['person'] * (i % 3) + ['car'] * (i % 2)
            lines.append((camera, {'objects': [{'roi_type': name} for name in names]}))
            want.update((camera, name) for name in ['frames'] + names)
        lines.append((camera, {'event': 'cross', 'line': 'gate'}))
        want[camera, 'cross'] += 1
    return lines, want


def send(kafka, lines):
    kafka.send('seen', [(camera, record if isinstance(record, str) else json.dumps(record))
                        for camera, record in lines])


def shown(kafka):
    text = subprocess.run([with_kafka(), PROGRAM, '--show', kafka.brokers, 'seen'], text=True,
                          check=True, stdout=subprocess.PIPE, timeout=PATIENCE).stdout
    counts = collections.Counter()
    for line in text.splitlines():
        camera, name, n = line.split('\t')
        assert (camera, name) not in counts, text
        counts[camera, name] = int(n)
    return counts


def wait_for(kafka, want):
    def is_there():
        time.sleep(.5)          # each look is a process
        return shown(kafka) == want

    wait_until(is_there, otherwise=lambda: str(shown(kafka)))


def start(kafka, stack):
    counter = stack.enter_context(subprocess.Popen([with_kafka(), PROGRAM, kafka.brokers, 'seen']))
    stack.callback(counter.kill)
    return counter


def every_record_counts_once():
    with_kafka()
    with Kafka('seen:4') as kafka, contextlib.ExitStack() as stack:
        counters = [start(kafka, stack) for _ in range(2)]
        lines, want = records(40, 0)
        send(kafka, lines)
        wait_for(kafka, want)
        # One dies between two commits, another one comes, and one ends as it should.
        lines, more = records(25, 40)
        send(kafka, lines)
        counters[0].send_signal(signal.SIGKILL)
        counters.append(start(kafka, stack))
        want += more
        wait_for(kafka, want)
        counters[1].terminate()
        assert counters[1].wait(PATIENCE) == 0
        lines, more = records(10, 65)
        send(kafka, lines)
        want += more
        wait_for(kafka, want)


def what_is_no_record_is_left_out():
    with_kafka()
    with Kafka('seen:1') as kafka, contextlib.ExitStack() as stack:
        start(kafka, stack)
        lines, want = records(1, 0)
        send(kafka, [('camera0', 'no json'), ('camera0', '[1]'), ('camera0', '{"objects": 3}'),
                     *lines])
        wait_for(kafka, want)


def wrong_words_are_told():
    result = subprocess.run([with_kafka(), PROGRAM, 'localhost'], text=True, check=False,
                            stderr=subprocess.PIPE, timeout=PATIENCE)
    assert result.returncode == 1 and '--show BROKERS TOPIC' in result.stderr, result


if __name__ == '__main__':
    run_cases([every_record_counts_once, what_is_no_record_is_left_out, wrong_words_are_told])
