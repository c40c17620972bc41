#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks for processes that outlived a run of the tests, and ends them.

usage: left-behind.py RUN

They are those whose environment has YOLO_TEST_RUN=RUN. Prints an entry as in
meson's testlog.json, for count.py: nothing of a run may be left.
"""

import json
import os
import signal
import sys
import time

PATIENCE = 10           # seconds that a process has to end by itself


def read(pid, name):
    """The words of a file of /proc, or none of a process that is gone or another user's."""
    try:
        with open(f'/proc/{pid}/{name}', 'rb') as file:
            return [word.decode(errors='replace') for word in file.read().split(b'\0') if word]
    except OSError:
        return []


def left(run):
    """{pid: command} of what still runs; a zombie has no environment any more."""
    pids = [int(name) for name in os.listdir('/proc')
            if name.isdigit() and int(name) != os.getpid()]
    return {pid: ' '.join(read(pid, 'cmdline'))
            for pid in pids if f'YOLO_TEST_RUN={run}' in read(pid, 'environ')}


def main():
    run = sys.argv[1]
    end = time.monotonic() + PATIENCE
    while left(run) and time.monotonic() < end:
        time.sleep(.2)
    lines = []
    for pid, command in left(run).items():
        lines.append(f'not ok {len(lines) + 1} - still running: {command}')
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    print(json.dumps({'name': 'processes left behind', 'result': 'FAIL' if lines else 'OK',
                      'stdout': '\n'.join(lines or ['ok 1 - nothing is left'])}))


if __name__ == '__main__':
    main()
