#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The style that CONTRIBUTING.md asks for, as far as a program can see it.

    test-style.py [LIBRARY...]

Reads all sources, and the symbols of the static libraries. Prints TAP.
"""

import ast
import os
import re
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
COLUMNS = 100
LINES_OF_FILE = 1000
LINES_OF_FUNCTION = 80

# What may break a rule, and why: "FILE" or "FILE: FUNCTION" in length, "FILE: default",
# "FILE: lines", "FILE: licence", or a library in its symbols.
EXCEPTIONS = {
    'cuda/kernels/conv_mma.cuh: convolve': 'a kernel: its steps share registers and shared memory',
    'cuda/kernels/conv_simt.cu: conv_simt_tile_f32': 'the same',
}
# Public symbols that others' generators name.
GENERATED_SYMBOL = re.compile(r'onnx__')
OWN_SYMBOL = re.compile(r'(gst_)?yolo_|__')

LICENCE = 'SPDX-License-Identifier: MIT'
BY_ENDING = {'.c': 'c', '.h': 'c', '.cu': 'c', '.cuh': 'c', '.py': 'python', '.sh': 'shell',
             '.build': 'meson', '.proto': 'proto'}
BY_NAME = {'meson_options.txt': 'meson'}
BY_INTERPRETER = {'python3': 'python', 'sh': 'shell', 'bash': 'shell', 'make': 'make'}
COMMENT = {'c': '/* %s */', 'proto': '// %s'}

# Comments and literals of C, which hold words that are no code.
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def language(name, text):
    """The language of a source, or None for any other file."""
    ending = os.path.splitext(name)[1]
    if name in BY_NAME or ending in BY_ENDING:
        return BY_NAME.get(name) or BY_ENDING[ending]
    if not ending or name.startswith('.'):
        interpreter = re.match(r'#!.*?(\w+)(?: -f)?\n', text)
        return interpreter and BY_INTERPRETER.get(interpreter[1])
    return None


def has_licence(kind, text):
    """Whether the first line, or the one behind the interpreter's, names the licence."""
    lines = text.split('\n', 2)
    first = lines[1] if text.startswith('#!') else lines[0]
    return first == COMMENT.get(kind, '# %s') % LICENCE


def bad_lines(kind, text):
    """[(number, what is wrong)] of the lines."""
    found = []
    for number, line in enumerate(text.split('\n'), 1):
        if len(line) > COLUMNS:
            found.append((number, f'{len(line)} columns, more than {COLUMNS}'))
        if '\t' in line and kind != 'make':
            found.append((number, 'a tab'))
        if line != line.rstrip():
            found.append((number, 'blanks at the end'))
    if not text.endswith('\n'):
        found.append((text.count('\n') + 1, 'no newline at the end of the file'))
    return found


def code_of(text):
    """C without comments and literals; every line stays where it is."""
    return NO_CODE.sub(lambda match: '\n' * match[0].count('\n') or ' ', text)


def closing(text, start, pair):
    """Where the bracket that opens at `start` closes."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == pair[0]) - (text[at] == pair[1])
        if depth == 0:
            return at
    return len(text)


def switches(code):
    """[(line, labels)] of each switch of a C source; "default" is a label."""
    found = []
    for switch in re.finditer(r'\bswitch\b\s*(?=\()', code):
        body = closing(code, switch.end(), '()') + 1
        brace = code.find('{', body)
        if brace < 0:
            continue
        inside = code[brace + 1:closing(code, brace, '{}')]
        # the labels of a switch inside are its own
        while True:
            inner = re.search(r'\bswitch\b\s*(?=\()', inside)
            if not inner:
                break
            open_brace = inside.find('{', closing(inside, inner.end(), '()'))
            if open_brace < 0:
                break
            inside = inside[:inner.start()] + inside[closing(inside, open_brace, '{}') + 1:]
        labels = re.findall(r'\bcase\s+(\w+)', inside)
        if re.search(r'\bdefault\s*:', inside):
            labels.append('default')
        found.append((code.count('\n', 0, switch.start()) + 1, labels))
    return found


def bad_switches(code, closed):
    """[(line, what is wrong)]: a default over constants of which `closed` has a complete list."""
    return [(line, f'a `default:` beside {next(l for l in labels if l in closed)}: '
                   'the compiler would not name what is missing')
            for line, labels in switches(code)
            if 'default' in labels and closed.intersection(labels)]


def functions(kind, text):
    """[(line, name, lines)] of each function; in C one whose braces stand in the first column."""
    if kind == 'python':
        return [(node.lineno, node.name, node.end_lineno - node.lineno + 1)
                for node in ast.walk(ast.parse(text))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if kind != 'c':
        return []
    found = []
    start = None
    lines = code_of(text).split('\n')
    for number, line in enumerate(lines, 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start:
            # the name stands in the first column of its line, below the type
            above = next((l for l in lines[start - 2::-1] if re.match(r'\w+ ?\(', l)), '?')
            found.append((start, re.match(r'\w*', above)[0], number - start + 1))
            start = None
    return found


def bad_lengths(path, kind, text):
    """[(line, name, what is wrong)]: the file, with an empty name, and its functions."""
    found = []
    count = text.count('\n')
    if count > LINES_OF_FILE:
        found.append((1, '', f'{count} lines, more than {LINES_OF_FILE}'))
    for line, name, length in functions(kind, text):
        if length > LINES_OF_FUNCTION:
            found.append((line, name,
                          f'{name} has {length} lines, more than {LINES_OF_FUNCTION}'))
    return [(line, f'{path}: {name}' if name else path, why) for line, name, why in found]


def bad_symbols(listing):
    """Names of what `nm -g --defined-only` lists that are not ours."""
    names = [line.split()[2] for line in listing.splitlines() if len(line.split()) == 3]
    return sorted({n for n in names if not OWN_SYMBOL.match(n) and not GENERATED_SYMBOL.match(n)})


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8', errors='replace') as source:
        return source.read()


def tree():
    """[(path, language, text)] of every source: of the rooms that meson knows, and a few more."""
    rooms = re.findall(r"^ *subdir\('([\w-]+)'\)", read('meson.build'), re.M)
    paths = [name for name in os.listdir(TOP) if os.path.isfile(os.path.join(TOP, name))]
    for room in (*rooms, '.ci', 'debian', 'docs', 'training'):
        for folder, folders, files in os.walk(os.path.join(TOP, room)):
            folders[:] = [f for f in folders if f not in ('data', 'regressions', '__pycache__')]
            paths += [os.path.relpath(os.path.join(folder, file), TOP) for file in files]
    found = []
    for path in sorted(paths):
        text = read(path)
        kind = language(os.path.basename(path), text)
        if kind and text:
            found.append((path, kind, text))
    return found


def closed_lists():
    """The constants of operations and number types: of lists that every switch names in full."""
    operations = re.findall(r'^ *X \((\w+), "', read('base/operation.h'), re.M)
    types = re.search(r'typedef enum \{(.*?)\} YoloDType;', read('base/type.h'), re.S)[1]
    return ({f'YOLO_OP_{name}' for name in operations},
            set(re.findall(r'\bYOLO_\w+', code_of(types))))


def self_checks(case):
    """Made-up sources that must be refused, and some like them that must not: the test bites."""
    line = '/* SPDX-License-Identifier: MIT */\n'
    case('a licence line is seen', has_licence('c', line + 'int a;\n')
         and has_licence('shell', '#!/bin/sh\n# SPDX-License-Identifier: MIT\n'))
    case('a licence line that is missing', not has_licence('c', 'int a;\n')
         and not has_licence('shell', '#!/bin/sh\ntrue\n# SPDX-License-Identifier: MIT\n')
         and not has_licence('c', '# SPDX-License-Identifier: MIT\n'))
    case('clean lines', bad_lines('c', 'a' * 100 + '\n\n') == []
         and bad_lines('make', '\ttrue\n') == [])
    for name, text in (('a long line', 'a\n' + 'a' * 101 + '\n'), ('a tab', 'a\n\tb\n'),
                       ('blanks at the end', 'a\nb \n'), ('no newline', 'a\nb')):
        case(name, [number for number, _ in bad_lines('c', text)] == [2])
    case('languages by name and interpreter',
         [language(n, t) for n, t in (('a.cu', ''), ('run', '#!/bin/sh\n'), ('README.md', ''),
                                      ('meson_options.txt', ''), ('x', '#!/usr/bin/env python3\n'),
                                      ('rules', '#!/usr/bin/make -f\n'), ('LICENSE', 'MIT\n'))]
         == ['c', 'shell', None, 'meson', 'python', 'make', None])

    closed = {'A', 'B'}
    bad = 'int f;\nswitch (g (x)) {\n  case A: {\n    break; }\n  default:\n    break;\n}\n'
    case('a default over a closed list', [n for n, _ in bad_switches(bad, closed)] == [2])
    case('a default over others, or in a comment',
         bad_switches(bad.replace('A', 'C'), closed) == []
         and bad_switches(code_of(bad.replace('default:', '/* default: */')), closed) == [])
    inner = 'switch (a) {\n  case A:\n    switch (b) {\n      case C: default: ;\n    }\n}\n'
    case('a default of a switch inside is its own', bad_switches(inner, closed) == []
         and len(bad_switches(inner.replace('C', 'B'), closed)) == 1)

    body = 'static int\nname (int a,\n    int b)\n{\n' + '  a++;\n' * 79 + '}\n'
    case('a long function', [name for _, name, _ in bad_lengths('a', 'c', body)] == ['a: name'])
    case('a shorter function', bad_lengths('a', 'c', body.replace('  a++;\n', '', 1)) == [])
    case('a long function in Python',
         len(bad_lengths('a', 'python', 'def f():\n' + '    a = 1\n' * 80)) == 1
         and bad_lengths('a', 'python', 'def f():\n' + '    a = 1\n' * 79) == [])
    case('a long file', [name for _, name, _ in bad_lengths('a', 'c', '\n' * 1001)] == ['a']
         and bad_lengths('a', 'c', '\n' * 1000) == [])
    case('symbols', bad_symbols('x.o:\n0 T yolo_a\n0 T gst_yolo_b\n0 D onnx__c\n0 T lower\n0 B f\n')
         == ['f', 'lower'])


def symbols_of(library):
    """[(library, what is wrong)] of a static library's symbols."""
    result = subprocess.run(['nm', '-g', '--defined-only', library], stdout=subprocess.PIPE,
                            check=True, text=True)
    file = os.path.basename(library)
    return [(file, f'{file}: {name} has no prefix yolo_ or gst_yolo_')
            for name in bad_symbols(result.stdout)]


def main():
    results = []

    def case(name, good, why=()):
        results.append(bool(good))
        print(f'{"ok" if good else "not ok"} {len(results)} - {name}')
        for line in why:
            print('# ' + line)

    needed = set()

    def check(name, found):
        """found: [(what EXCEPTIONS calls it, what is wrong)]"""
        needed.update(key for key, _ in found)
        wrong = [why for key, why in found if key not in EXCEPTIONS]
        case(name, not wrong, wrong)

    self_checks(case)
    sources = tree()
    operations, types = closed_lists()
    licence, lines, defaults, lengths = [], [], [], []
    seen = set()
    for path, kind, text in sources:
        if not has_licence(kind, text):
            licence.append((f'{path}: licence', f'{path}: the first line does not say {LICENCE}'))
        # a driver in its own right, with a style of its own
        if path.startswith('tests/gpusim/') and kind == 'c':
            continue
        lines += [(f'{path}: lines', f'{path}:{number}: {why}')
                  for number, why in bad_lines(kind, text)]
        if kind == 'c':
            code = code_of(text)
            seen.update(*[labels for _, labels in switches(code)])
            defaults += [(f'{path}: default', f'{path}:{number}: {why}')
                         for number, why in bad_switches(code, operations | types)]
        if not path.startswith('tests/'):
            lengths += [(name, f'{path}:{number}: {why}')
                        for number, name, why in bad_lengths(path, kind, text)]
    kinds = {kind for _, kind, _ in sources}
    case('sources are found', len(sources) > 300 and {'c', 'python', 'shell', 'meson'} <= kinds,
         [f'{len(sources)} sources read'])
    check('every source names its licence', licence)
    check('lines are short and have no tabs and no blanks at the end', lines)
    case('switches over operations and types are found', operations & seen and types & seen)
    check('no switch over operations or types has a default', defaults)
    check('no file and no function is too long', lengths)
    for library in sys.argv[1:]:
        check(f'symbols of {os.path.basename(library)}', symbols_of(library))
    surplus = sorted(set(EXCEPTIONS) - needed)
    case('every exception is needed', not surplus, surplus)
    print(f'1..{len(results)}')
    return not all(results)


if __name__ == '__main__':
    sys.exit(main())
