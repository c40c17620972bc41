# SPDX-License-Identifier: MIT
"""What the benchmarks of whole pipelines share."""

import os
import statistics
import subprocess
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))


def fetch(name):
    return subprocess.run([os.path.join(TOP, 'tests/scripts/fetch.sh'), name],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Elements:
    """Elements in a process of their own, which waits for its turn; `raw` is a file of
    frames of `caps`."""

    def __init__(self, raw, caps, elements):
        environment = {**os.environ, 'GST_PLUGIN_PATH': os.path.join(TOP, 'build/gst-plugin')}
        # ONNX Runtime says much there even if all is well.
        self.errors = tempfile.TemporaryFile('w+', encoding='utf-8')
        self.process = subprocess.Popen(
            [os.path.join(TOP, 'build/tests/bench/frames'), raw, caps, elements],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=environment)

    def run(self, count):
        """The seconds that `count` frames take, and how many regions of interest they have."""
        self.process.stdin.write(f'{count}\n')
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            self.errors.seek(0)
            raise SystemExit(''.join(self.errors.readlines()[-20:]) or 'the pipeline failed')
        return float(answer[0]), int(answer[1])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(sides, rounds, count):
    """Frames a second of each round by side, and the detections of one round. A side has
    run(), which takes the number of frames and returns what that of Elements does."""
    rates = {name: [] for name in sides}
    found = {}
    for side in sides.values():         # first runs allocate and warm up
        side.run(4)
    for _ in range(rounds):
        for name, side in sides.items():
            seconds, found[name] = side.run(count)
            rates[name].append(count / seconds)
    return rates, found


def ratio(rates, name, peer):
    """How many times the frames of `peer` it does: the median over rounds."""
    return statistics.median(a / b for a, b in zip(rates[name], rates[peer]))
