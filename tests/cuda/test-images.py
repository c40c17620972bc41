#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the objects of the kernels hold is what meson asked nvcc for, and no
device from compute capability 8.0 on is left with kernels of 7.5.

usage: test-images.py --machine-code LIST --ptx LIST --known LIST OBJECT..."""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'gpusim',
                                'translate'))
import fatbin

# Chips on a board: they take machine code of no other chip, and none takes theirs.
EMBEDDED = (87, 110, 121)
DEVICES = (75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121, 130)


def numbers(text):
    return [int(number) for number in text.split(',') if number]


def image(path):
    """The fat binary in an object of cuda/compile.sh."""
    with open(path, 'rb') as file:
        data = file.read()
    return data[data.index(fatbin.MAGIC.to_bytes(4, 'little')):]


def runs(code, device):
    """Whether machine code runs on a device: of its generation and not newer.
    Source: CUDA C++ Programming Guide, binary compatibility."""
    if code in EMBEDDED or device in EMBEDDED:
        return code == device
    return code // 10 == device // 10 and code <= device


def check(path, machine_code, ptx):
    entries = fatbin.entries(image(path))
    found = sorted(e.arch for e in entries if e.kind == fatbin.KIND_MACHINE_CODE)
    assert found == sorted(machine_code), f'machine code of {found}, not {sorted(machine_code)}'
    texts = sorted(e.arch for e in entries if e.kind == fatbin.KIND_PTX)
    assert texts == sorted(ptx), f'PTX of {texts}, not {sorted(ptx)}'
    for device in DEVICES:
        if any(runs(code, device) for code in found):
            continue
        newest = max((text for text in texts if text <= device), default=0)
        assert newest >= min(device, 80), f'{device / 10} gets PTX of {newest / 10}'


def main():
    parser = argparse.ArgumentParser()
    for name in '--machine-code', '--ptx', '--known':
        parser.add_argument(name, type=numbers)
    parser.add_argument('objects', nargs='+')
    options = parser.parse_args()
    machine_code = [arch for arch in options.machine_code if arch in options.known]
    ptx = [arch for arch in options.ptx if arch in options.known]
    failed = False
    print(f'1..{len(options.objects)}')
    for i, path in enumerate(options.objects, 1):
        name = os.path.basename(path)
        if 75 not in ptx or 80 not in ptx:
            print(f'ok {i} - {name} # SKIP this build leaves out PTX of 7.5 or 8.0')
            continue
        try:
            check(path, machine_code, ptx)
            print(f'ok {i} - {name}')
        except AssertionError as error:
            failed = True
            print(f'not ok {i} - {name}: {error}')
    sys.exit(failed)


if __name__ == '__main__':
    main()
