#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The plot and the table of scale.md, out of runs of bench-scale:

    docs/make-scale.py build/tests/bench/bench-scale docs/scale.svg [SECONDS]

Prints the table; needs matplotlib. Each run lasts SECONDS, 1 unless given; all together some
minutes. Frames come as fast as they are answered: each camera has two under way at all times. Of
several runs in turns the one with the most frames counts, since what else a machine does only takes
frames away.
"""
import re
import subprocess
import sys

import matplotlib
matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402

COPIES = [1, 2, 4, 8]
PIECES = ['1x2', '1x4', '2x2', '1x8', '4x2']
CAMERAS = [1, 4, 16, 32, 64, 128, 256, 512]
LINE = re.compile(r'(\S+) devices, .* fps: (\d+) frames/s.* p50 (\S+) p95 (\S+) p99 (\S+) ms, '
                  r'fewest/most (\d+) %')

ROUNDS = 3


def measure(program, devices, cameras, seconds):
    """Frames a second, three percentiles of the latency in ms, and the fairness in %."""
    output = subprocess.run([program, str(devices), str(cameras), '0', str(seconds)],
                            check=True, capture_output=True, text=True).stdout
    match = LINE.search(output)
    if match is None:
        sys.exit(f'{program} wrote what is no measurement: {output}')
    return [float(number) for number in match.groups()[1:]]


def devices_of(name):
    """How many devices a name like 4 or 2x2 stands for."""
    copies, _, pieces = str(name).partition('x')
    return int(copies) * int(pieces or 1)


def plot(results, path):
    matplotlib.rcParams['svg.hashsalt'] = 'scale'     # the same file for the same numbers
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2))
    for name in COPIES + PIECES:
        style = '--' if 'x' in str(name) else '-'
        label = f'{name} in pieces' if 'x' in str(name) else f'{name}'
        for axis, column in zip(axes, [0, 2]):
            axis.plot(CAMERAS, [results[name, n][column] for n in CAMERAS], style, marker='.',
                      label=label)
    axes[0].set_ylabel('frames a second')
    axes[1].set_ylabel('95th percentile of the latency, ms')
    axes[1].set_yscale('log')
    for axis in axes:
        axis.set_xscale('log', base=2)
        axis.set_xticks(CAMERAS, [str(n) for n in CAMERAS])
        axis.set_xlabel('cameras')
        axis.grid(alpha=.3)
    axes[0].legend(title='copies', fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={'Date': None})


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, path = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 1
    cases = [(name, n) for name in COPIES + PIECES for n in CAMERAS]
    rounds = [{case: measure(program, *case, seconds) for case in cases} for _ in range(ROUNDS)]
    results = {case: max(one[case] for one in rounds) for case in cases}
    plot(results, path)
    print('| devices | cameras | frames/s | of one device | p50, p95, p99 in ms | fewest of most |')
    print('|---|---|---|---|---|---|')
    for name in COPIES + PIECES:
        for n in [32, 32 * devices_of(name)] if devices_of(name) > 1 else [32]:
            rate, p50, p95, p99, fair = results[name, n]
            print(f'| {name} | {n} | {rate:.0f} | {rate / results[1, 32][0]:.2f} x '
                  f'| {p50:.0f}, {p95:.0f}, {p99:.0f} | {fair:.0f} % |')


if __name__ == '__main__':
    main()
