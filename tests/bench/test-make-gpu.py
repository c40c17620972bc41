#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/make-gpu.py writes what bench-cuda prints and what was measured, and finds what is not so.

usage: test-make-gpu.py BENCH-CUDA
"""

import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
SCRIPT = os.path.join(TOP, 'docs', 'make-gpu.py')
EMPTY = '# A table\n\n<!-- bench-cuda plan v8n.onnx 1 32 64 -->\n<!-- end -->\n\nbehind it\n'
REPORT = """## v8n.onnx, batch 8

### Layers

Card Y: compute capability 9.0, 132 multiprocessors

{rows}
## v8n.onnx, batch 1

| precision | batch |
|---|---|
| fp16 | 1 |

### Layers

Card X: compute capability 8.9, 58 multiprocessors

| layer | shape | µs | of the roofline | way | others |
|---|---|---|---|---|---|
{rows}| all | | 77 | 50 % | | |

### Layers in int8

Card X: compute capability 8.9, 58 multiprocessors

{rows}
"""


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding='utf-8', check=False)


def main():
    program = os.path.abspath(sys.argv[1])
    results = []

    def case(name, good):
        results.append(good)
        print(f'{"ok" if good else "not ok"} {len(results)} - {name}')

    with tempfile.TemporaryDirectory() as folder:
        document, report = os.path.join(folder, 'gpu.md'), os.path.join(folder, 'results.md')

        def make(text, *options):
            """The document that text becomes, and what the script did."""
            with open(document, 'w', encoding='utf-8') as out:
                out.write(text)
            done = run(*options, '--results', report, program, document)
            with open(document, encoding='utf-8') as written:
                return written.read(), done

        made, done = make(EMPTY)
        rows = [line for line in made.splitlines() if line.startswith('|')]
        model = os.path.join(TOP, 'tests/data/v8n.onnx')
        printed = subprocess.run([program, 'plan', model, '1', '32', '64'],
                                 stdout=subprocess.PIPE, encoding='utf-8', check=True).stdout
        case('the table is what the program prints',
             done.returncode == 0 and rows == printed.splitlines())
        case('what stands around it stays', made.startswith(EMPTY[:EMPTY.index('<!-- end')])
             and made.endswith(EMPTY[EMPTY.index('<!-- end'):]))
        case('once more changes nothing', make(made)[0] == made)
        case('a check accepts it', make(made, '--check')[1].returncode == 0)
        changed, done = make(made.replace('| all |', '| most |'), '--check')
        case('a check refuses another row, and leaves it',
             done.returncode == 1 and '| most |' in changed)

        convolutions = [re.match(r'\| \S+ \| \d+x\d+/[^|]+\|', row) for row in rows]
        measured = ''.join(f'{row[0]} {i}.5 | 9 % | mma | |\n'
                           for i, row in enumerate(convolutions) if row)
        with open(report, 'w', encoding='utf-8') as out:
            out.write(REPORT.format(rows=measured))
        lines = [line for line in make(made)[0].splitlines() if line.startswith('|')]
        cells = [line.split('|')[-2].strip() for line in lines]
        case('times measured on a card are a column',
             lines[0].endswith('| Card X, measured µs |') and cells[-1] == '77'
             and cells[2:-1]
             == [f'{i}.5' if row else '' for i, row in enumerate(convolutions)][2:-1])
        case('of this batch and precision alone',
             'Card Y' not in lines[0] and lines[0].count('Card X') == 1)
        case('and of this size', 'Card' not in make(EMPTY.replace('32 64', '64 64'))[0])

        for what, text in (('end', EMPTY.replace('<!-- end -->\n', '')),
                           ('beginning', EMPTY.replace('<!-- b', '<!-- c'))):
            same, done = make(text)
            case(f'a table without its {what} is an error', done.returncode != 0 and same == text)
        same, done = make(EMPTY.replace('v8n.onnx', 'none.onnx'))
        case('so is a model that is not there', done.returncode != 0 and 'none.onnx' in done.stderr)
    print(f'1..{len(results)}')
    return not all(results)


if __name__ == '__main__':
    sys.exit(main())
