#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone, without a warning: it includes what it needs.

    test-headers.py BUILD CC...

BUILD is where generated headers lie. Prints TAP.
"""

import concurrent.futures
import os
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
ROOMS = ('base', 'network', 'image', 'postprocess', 'backend', 'cpu', 'cuda', 'engine', 'export',
         'gst-plugin', 'pipelines', 'tests')
PACKAGES = ('glib-2.0', 'gstreamer-base-1.0', 'gstreamer-video-1.0', 'json-glib-1.0', 'pangocairo',
            'libprotobuf-c')
FLAGS = ('-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror',
         '-x', 'c', '-')


def headers_of(room):
    """Paths from the top folder. Neither the stand-in driver's headers are among them, which is a
    project in its own right, nor stand-ins for headers of others.
    """
    found = []
    for folder, folders, files in os.walk(os.path.join(TOP, room)):
        folders[:] = sorted(f for f in folders if f not in ('gpusim', 'deepstream'))
        found += [os.path.relpath(os.path.join(folder, f), TOP)
                  for f in sorted(files) if f.endswith('.h')]
    return found


def main():
    build, compiler = sys.argv[1], sys.argv[2:]
    cuda = [f'-I{path}' for path in ('/usr/local/cuda/include', '/usr/include')
            if os.path.exists(f'{path}/cuda.h')]
    flags = subprocess.run(['pkg-config', '--cflags', *PACKAGES], stdout=subprocess.PIPE,
                           check=True, text=True).stdout.split()
    soup = subprocess.run(['pkg-config', '--cflags', 'libsoup-3.0'], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, text=True)
    flags += soup.stdout.split()
    flags += [f'-I{TOP}', f'-I{build}', f'-I{build}/network/onnx', *cuda]

    def problem(path):
        """What the compiler says of a header, or nothing."""
        if path.startswith(('cuda/', 'tests/cuda/')) and not cuda:
            return None
        if path.startswith('pipelines/server/') and soup.returncode:
            return None
        result = subprocess.run([*compiler, *flags, *FLAGS], input=f'#include "{path}"\n',
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=False)
        return result.stdout if result.returncode != 0 else ''

    headers = [path for room in ROOMS for path in headers_of(room)]
    print(f'1..{len(headers) + 1}')
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(problem, headers))
    for i, (path, said) in enumerate(zip(headers, results), 1):
        if said is None:
            print(f'ok {i} - {path} # SKIP needs the headers of a library that is not here')
            continue
        print(f'{"not ok" if said else "ok"} {i} - {path}')
        for line in said.splitlines():
            print('# ' + line)
    good = 'ok' if len(headers) > 10 else 'not ok'
    print(f'{good} {len(headers) + 1} - {len(headers)} headers read')


if __name__ == '__main__':
    main()
