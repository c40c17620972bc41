#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""left-behind.py finds a process that outlives its run, ends it, and leaves others alone."""

import json
import os
import subprocess
import sys

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'left-behind.py')


def sleep(run):
    return subprocess.Popen(['sleep', '600'], env={**os.environ, 'YOLO_TEST_RUN': run})


def look(run):
    result = subprocess.run([sys.executable, SCRIPT, run], stdout=subprocess.PIPE, text=True,
                            check=True)
    return json.loads(result.stdout)


def main():
    if not os.path.exists('/proc/self/environ'):
        print('1..0 # SKIP needs /proc')
        return
    run = f'test-{os.getpid()}'
    ours, other = sleep(run), sleep(run + '-other')
    try:
        found = look(run)
        good = (found['result'] == 'FAIL'
                and found['stdout'] == 'not ok 1 - still running: sleep 600')
        print('1..2')
        print(f'{"" if good else "not "}ok 1 - what is left is named: {found["stdout"][7:]}')
        good = ours.wait(10) == -9 and other.poll() is None and look(run)['result'] == 'OK'
        print(f'{"" if good else "not "}ok 2 - it is ended, and nothing else')
    finally:
        for process in ours, other:
            process.kill()
            process.wait()


if __name__ == '__main__':
    main()
