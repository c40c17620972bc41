#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts test cases in meson's logs.

usage: count.py TESTLOG.json...

A line of TAP is a case; a program without TAP is one. A program that died,
timed out or broke its plan without a failed line of its own adds one failure.
Prints the failed cases, each program's with the end of what it said, indented by
two spaces and a bar, then "N passed, N failed[, N skipped]"; exits with 1 if any
failed or none ran.
"""

import json
import re
import sys

TAP = re.compile(r'(not )?ok \d+[ \t]*-?[ \t]*([^#\n]*)(#[ \t]*(skip|todo)\b.*)?', re.I)
GOOD = ('OK', 'EXPECTEDFAIL')
LINES = 8  # Of each stream of a program that failed: those up to its last failed case.


def count_program(entry):
    """Passed and skipped as numbers, failed as names, of one test program."""
    passed, failed, skipped = 0, [], 0
    for line in (entry.get('stdout') or '').splitlines():
        match = TAP.fullmatch(line)
        if not match:
            continue
        directive = (match[4] or '').lower()
        if directive == 'skip':
            skipped += 1
        elif match[1] and directive != 'todo':
            failed.append(match[2].strip())
        else:
            passed += 1
    result = entry['result']
    if result in GOOD:
        if passed + skipped == 0:
            passed = 1
    elif result == 'SKIP':
        skipped = max(skipped, 1)
    elif not failed:
        failed.append(result)
    return passed, failed, skipped


def end_of(text):
    """The last lines, at most LINES, up to the last case that failed, if there is one."""
    lines = text.splitlines()
    for last in range(len(lines), 0, -1):
        match = TAP.fullmatch(lines[last - 1])
        if match and match[1]:
            lines = lines[:last]
            break
    return lines[-LINES:]


def main():
    passed = failed = skipped = 0
    for path in sys.argv[1:]:
        with open(path, encoding='utf-8') as log:
            for line in log:
                entry = json.loads(line)
                p, f, s = count_program(entry)
                passed, failed, skipped = passed + p, failed + len(f), skipped + s
                for name in f:
                    print(f'failed: {entry["name"]}: {name} (see {path.replace(".json", ".txt")})')
                if f:
                    for stream in ('stdout', 'stderr'):
                        for line in end_of(entry.get(stream) or ''):
                            print(f'  | {line[:160]}')
    print(f'{passed} passed, {failed} failed' + (f', {skipped} skipped' if skipped else ''))
    return failed > 0 or passed == 0


if __name__ == '__main__':
    sys.exit(main())
