# SPDX-License-Identifier: MIT
"""What a network's convolutions cost: multiply-adds, or the time that the plugin takes for them on
this machine, which goes by the registers that a layer fills and by the code that runs it.

A cost is a function of (a Conv2d, which says kernel, stride and groups; how many inputs and
outputs it would have; rows and columns of its output).
"""

import bisect
import contextlib
import json
import os
import shutil
import subprocess

import torch
from torch import nn

from .data import DataError

# A layer is measured at these parts of its inputs and outputs; between them, time is a line.
INPUTS, OUTPUTS = (.125, .25, .5, .75, 1), tuple(i / 8 for i in range(1, 9))
PROGRAM = 'yolo-time'
# Milliseconds: half of what the program's clock tells apart, so that nothing takes no time.
LEAST = .0005


def depthwise(conv):
    """Whether each channel has a window of its own: as many groups as channels, however many."""
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


CONVOLUTIONS = nn.Conv2d, nn.ConvTranspose2d


def multiply_adds(conv, inputs, outputs, size):
    rows, columns = size
    if isinstance(conv, nn.ConvTranspose2d):    # a pixel of the output has one tap
        return inputs * outputs * rows * columns
    groups = inputs if depthwise(conv) else conv.groups
    kernel = conv.kernel_size[0] * conv.kernel_size[1]
    return inputs * outputs // groups * kernel * rows * columns


def sizes_of(net, size):
    """{convolution: (rows, columns) of its output} for pictures of that many rows and columns."""
    sizes = {}
    with contextlib.ExitStack() as hooks, torch.no_grad():
        for module in net.modules():
            if isinstance(module, CONVOLUTIONS):
                hooks.callback(module.register_forward_hook(
                    lambda conv, _, output: sizes.update({conv: output.shape[2:]})).remove)
        net(torch.zeros(1, 3, *size, device=next(net.parameters()).device))
    return sizes


def cost_of(net, size, cost=multiply_adds):
    """The sum of all convolutions' costs."""
    return sum(cost(conv, conv.in_channels, conv.out_channels, pixels)
               for conv, pixels in sizes_of(net, size).items())


def program():
    """The path of yolo-time, or None: of an installed plugin, or a built tree."""
    built = os.path.join(os.path.dirname(__file__), '..', 'build', 'engine', PROGRAM)
    return shutil.which(PROGRAM) or (built if os.access(built, os.X_OK) else None)


def ask(words, lines=''):
    """What yolo-time prints, as numbers."""
    try:
        result = subprocess.run([program() or PROGRAM, *words], input=lines,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                check=False)
    except OSError as why:
        raise DataError(f'{PROGRAM}: cannot be run ({why.strerror}); build the project, or '
                        'install it') from None
    if result.returncode:
        raise DataError(result.stderr.strip() or f'{PROGRAM}: ended by {-result.returncode}')
    return [float(word) for word in result.stdout.split()]


def network_time(path, size, precision='auto', threads=0):
    """Milliseconds of a picture of that many rows and columns, on all cores if threads is 0."""
    return ask([f'--precision={precision}', f'--threads={threads}',
                f'--input-size={size[1]}x{size[0]}', path])[0]


def plain(conv, outputs, size):
    """(outputs, size) of the convolution whose time a transposed one's is: of a window of one
    pixel, with four times as many outputs of a map half as large."""
    if isinstance(conv, nn.ConvTranspose2d):
        return 4 * outputs, (size[0] // 2, size[1] // 2)
    return outputs, size


def shape_of(conv, size):
    """What says, with inputs and outputs, how long a convolution takes. All windows are square. 0
    groups: as many as channels."""
    if isinstance(conv, nn.ConvTranspose2d):
        return 1, 1, 1, *size
    return conv.kernel_size[0], conv.stride[0], 0 if depthwise(conv) else conv.groups, *size


class Times:
    """Milliseconds, measured by yolo-time at some widths of each layer of a network. Narrower ones
    of other networks can be asked for as long as they have the same shapes."""

    def __init__(self, table):
        """table: of measured(); or what json made of it."""
        self.table = {tuple(shape): {inputs: dict(outputs) for inputs, outputs in rows}
                      for shape, rows in table}
        self.known = {}

    def __call__(self, conv, inputs, outputs, size):
        outputs, size = plain(conv, outputs, size)
        key = (*shape_of(conv, size), inputs, outputs)
        if key not in self.known:
            self.known[key] = self.between(self.table[key[:5]], key[2], inputs, outputs)
        return self.known[key]

    def between(self, rows, groups, inputs, outputs):
        """Bilinear; a layer narrower than all that were measured takes its part of their time."""
        def along(knots, at, value):
            place = min(max(bisect.bisect_left(knots, at), 1), len(knots) - 1) \
                if len(knots) > 1 else 0
            if at < knots[0] or len(knots) == 1:
                return value(knots[0]) * at / knots[0]
            low, high = knots[place - 1], knots[place]
            part = (at - low) / (high - low)
            return value(low) * (1 - part) + value(high) * part
        if groups == 0:
            return along(sorted(rows), inputs, lambda row: rows[row][row])
        return along(sorted(rows), inputs, lambda row: along(
            sorted(rows[row]), outputs, lambda column: rows[row][column]))


def measured(net, size, precision='auto', threads=0):
    """The table of the layers' times, in lists that json can write:
    [[shape, [[inputs, [[outputs, milliseconds]]]]]]."""
    widths = {}
    for conv, pixels in sizes_of(net, size).items():
        most, pixels = plain(conv, conv.out_channels, pixels)
        shape = shape_of(conv, pixels)
        inputs, outputs = widths.setdefault(shape, (set(), set()))
        if conv.groups != 1 and not depthwise(conv):
            inputs.add(conv.in_channels)
            outputs.add(conv.out_channels)
        else:
            inputs |= {max(round(part * conv.in_channels), 1) for part in INPUTS} \
                if conv.in_channels > 3 else {conv.in_channels}
            outputs |= {max(round(part * most), 1) for part in OUTPUTS}
    asked = [(shape, i, o) for shape, (inputs, outputs) in widths.items()
             for i in thinned(outputs if shape[2] == 0 else inputs)
             for o in ([i] if shape[2] == 0 else thinned(outputs))]
    lines = ''.join(f'{kernel} {stride} {groups or i} {i} {o} {rows} {columns}\n'
                    for (kernel, stride, groups, rows, columns), i, o in asked)
    times = ask(['--layers', f'--precision={precision}', f'--threads={threads}'], lines)
    table = {}
    for (shape, i, o), time in zip(asked, times, strict=True):
        table.setdefault(shape, {}).setdefault(i, []).append([o, time + LEAST])
    return [[list(shape), [[i, row] for i, row in rows.items()]] for shape, rows in table.items()]


def thinned(widths):
    """Widths that are so near to a narrower one that their times can be told from its are left
    out, but for the widest."""
    kept = []
    for width in sorted(widths):
        if not kept or width >= kept[-1] * 1.1 or width == max(widths):
            kept.append(width)
    return kept


def read_or_measure(path, net, size, precision, threads):
    """Times, kept in a file once they are measured."""
    if not os.path.exists(path):
        table = measured(net, size, precision, threads)
        with open(path + '.part', 'w', encoding='utf-8') as file:
            json.dump(table, file)
        os.replace(path + '.part', path)
    with open(path, encoding='utf-8') as file:
        return Times(json.load(file))


def step(precision='auto'):
    """Channels that a register of this machine takes, of a layer that runs in the precision."""
    if precision == 'int8':
        return 32
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            return 16 if 'avx512f' in file.read().split() else 8
    except OSError:
        return 8
