#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/environment.md names every variable YOLO_... that the code reads, those in OTHERS, and no
other one.

Prints TAP.
"""

import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
OTHERS = 'ARCHIVE_PYTHON', 'CHECKPOINTS', 'TRAINING_PYTHON', 'ULTRALYTICS_PYTHON'
NAME = '(YOLO_[A-Z0-9_]+|' + '|'.join(OTHERS) + ')'
READS = (re.compile(r'getenv \("' + NAME + '"'),
         re.compile(r'os\.environ(?:\.get\(|\[)[\'"]' + NAME),
         re.compile(r'\$\{?' + NAME + r'\b'))


def sources():
    """All texts of the tree but the documents."""
    for folder, folders, files in os.walk(TOP):
        folders[:] = [f for f in folders if not f.startswith(('.', 'build'))
                      and f not in ('data', 'docs', 'regressions')]
        for file in files:
            if file.endswith(('.c', '.h', '.py', '.sh', '.build')) or '.' not in file:
                yield os.path.join(folder, file)


def main():
    read = {}
    for path in sources():
        with open(path, encoding='utf-8', errors='replace') as source:
            text = source.read()
        for pattern in READS:
            for name in pattern.findall(text):
                read.setdefault(name, os.path.relpath(path, TOP))
    with open(os.path.join(TOP, 'docs', 'environment.md'), encoding='utf-8') as document:
        told = set(re.findall(r'^\| `([A-Z0-9_]+)`', document.read(), re.M))
    print('1..2')
    missing, surplus = sorted(set(read) - told), sorted(told - set(read))
    good = 'not ok' if missing or not read else 'ok'
    print(f'{good} 1 - every variable is in docs/environment.md')
    for name in missing:
        print(f'# {name}, read in {read[name]}, is not there')
    good = 'not ok' if surplus else 'ok'
    print(f'{good} 2 - docs/environment.md names no variable that nothing reads')
    for name in surplus:
        print(f'# nothing reads {name}')
    return bool(missing or surplus)


if __name__ == '__main__':
    sys.exit(main())
