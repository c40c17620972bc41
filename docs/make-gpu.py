#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tables of layers in docs/gpu.md.

    docs/make-gpu.py build/tests/bench/bench-cuda docs/gpu.md
    docs/make-gpu.py --check build/tests/bench/bench-cuda docs/gpu.md

A table stands between the lines `<!-- bench-cuda plan MODEL BATCH HEIGHT WIDTH -->` and
`<!-- end -->`, and is what the program prints for these arguments, which takes no GPU. A
column is added for each card on which docs/gpu-results.md, a report of tests/on-gpu.sh, has
the same layers of the same model and batch measured. MODEL is the name of a file in
tests/data or in the folder models of YOLO_SHARED (../shared if unset).

--check prints TAP, changes nothing, and fails where the document is not what would be written.
"""

import argparse
import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
FOLDERS = (os.path.join(TOP, 'tests', 'data'), os.path.join(SHARED, 'models'))
BEGIN = re.compile(r'<!-- bench-cuda plan (\S+) (\d+) (\d+) (\d+) -->')
END = '<!-- end -->'


def read_results(path):
    """What was measured: {(model, batch): {card: {(layer, shape): microseconds}}}.

    The report's headings are "## MODEL, batch BATCH" and "### Layers", below which
    the card's name stands in front of "compute capability", and then the table. The sum
    of all layers has the key ('all', '').
    """
    found, model, card, layers = {}, None, None, False
    if not os.path.exists(path):
        return found
    with open(path, encoding='utf-8') as report:
        for line in report:
            cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
            heading = re.match(r'## (.+), batch (\d+)$', line)
            if line.startswith('## '):
                model = (heading[1], heading[2]) if heading else None
            if line.startswith('#'):
                card = None
                layers = line.strip() == '### Layers'
            elif model and layers and ': compute capability ' in line:
                card = found.setdefault(model, {}).setdefault(line.split(': compute')[0], {})
            elif card is not None and len(cells) > 2 and re.fullmatch(r'[\d.]+', cells[2]):
                card[cells[0], cells[1]] = cells[2]
    return found


def make_table(program, arguments, results):
    """The lines of one table, or None where the model's file is not at hand."""
    model, batch = arguments[:2]
    path = next((p for p in (os.path.join(f, model) for f in FOLDERS) if os.path.exists(p)), None)
    if path is None:
        return None
    lines = subprocess.run([program, 'plan', path, *arguments[1:]], stdout=subprocess.PIPE,
                           check=True, encoding='utf-8').stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    for card, times in sorted(results.get((model, batch), {}).items()):
        # Another size of the same model has the same layers, but not the same shapes.
        if all((row[0], row[1]) in times for row in rows if re.match(r'\d+x\d+/', row[1])):
            lines[0] += f' {card}, measured µs |'
            lines[1] += '---|'
            for i, row in enumerate(rows[2:], 2):
                key = ('all', '') if row[0] == 'all' else (row[0], row[1])
                lines[i] += f' {times.get(key, "")} |'
    return lines


def make_document(program, text, results):
    """The document with its tables made anew, and the models of those that could not be."""
    made, missing, inside, keep = [], [], False, True
    for line in text.splitlines():
        begin = BEGIN.fullmatch(line)
        if begin and not inside:
            made.append(line)
            table = make_table(program, begin.groups(), results)
            made += ['', *table, ''] if table else []
            missing += [] if table else [begin[1]]
            inside, keep = True, table is None
        elif line == END and inside:
            made.append(line)
            inside, keep = False, True
        elif begin or line == END:
            sys.exit(f'make-gpu.py: "{line}" has no partner')
        elif keep:
            made.append(line)
    if inside:
        sys.exit(f'make-gpu.py: the last table lacks its "{END}"')
    return '\n'.join(made) + '\n', missing


def main():
    parser = argparse.ArgumentParser(description='Writes the tables of layers in docs/gpu.md.')
    parser.add_argument('--check', action='store_true', help='only say whether it is up to date')
    parser.add_argument('--results', default=os.path.join(TOP, 'docs', 'gpu-results.md'))
    parser.add_argument('program', help='bench-cuda')
    parser.add_argument('document')
    options = parser.parse_args()
    with open(options.document, encoding='utf-8') as document:
        text = document.read()
    made, missing = make_document(options.program, text, read_results(options.results))
    if not options.check:
        if missing:
            sys.exit(f'make-gpu.py: {", ".join(missing)} is not there; set YOLO_SHARED')
        with open(options.document, 'w', encoding='utf-8') as document:
            document.write(made)
        return 0
    print('1..1')
    skip = f' # SKIP needs {", ".join(missing)} in ../shared/models' if missing else ''
    good = 'ok' if made == text else 'not ok'
    print(f'{good} 1 - {options.document} has what the program prints{skip}')
    if made != text:
        print('# make it anew: docs/make-gpu.py build/tests/bench/bench-cuda docs/gpu.md')
        for line in set(made.splitlines()) - set(text.splitlines()):
            print('# the program has: ' + line)
    return made != text


if __name__ == '__main__':
    sys.exit(main())
