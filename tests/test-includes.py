#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every #include keeps to the table in docs/design.md.

Prints TAP. Headers of our own are named from the top folder
("network/plan.h") or lie beside the file; libraries are recognised by LIBRARIES.
"""

import os
import re
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
SOURCES = ('.c', '.h', '.cu', '.cuh', '.cc', '.cpp', '.m')

LIBRARIES = (
    ('glib', re.compile(r'(glib|gio|gmodule|gobject)([./-]|$)')),
    ('gst', re.compile(r'gst/')),
    ('json-glib', re.compile(r'json-glib/')),
    ('cairo', re.compile(r'(cairo|pango)')),
    ('soup', re.compile(r'libsoup/')),
    ('yaml', re.compile(r'yaml\.h')),
    ('protobuf-c', re.compile(r'protobuf-c/')),
    ('mosquitto', re.compile(r'(mosquitto|mqtt_protocol)\.h')),
    ('rdkafka', re.compile(r'librdkafka/')),
    ('hiredis', re.compile(r'hiredis/')),
    ('sqlite', re.compile(r'sqlite3\.h')),
    ('cuda', re.compile(
        r'(cuda|cudnn|cublas|nvml|nvrtc|driver_types|vector_types|mma\.h|cooperative_groups)')),
)


def read_table(path):
    """{room: (set of rooms, set of libraries)} of the first table of the file."""
    table = {}
    with open(path, encoding='utf-8') as lines:
        for line in lines:
            cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
            if (len(cells) == 4 and line.startswith('|') and cells[0] != 'room'
                    and '---' not in cells[0]):
                names = [set(filter(None, re.split(r'[,\s]+', cell))) for cell in cells[2:]]
                table[cells[0]] = (names[0], names[1])
    return table


def room_of(table, path):
    """The room that a path lies in, or None: of two that lie in each other, the inner one."""
    rooms = [room for room in table if path.startswith(room + '/')]
    return max(rooms, key=len, default=None)


def problem(table, room, name, beside):
    """What is wrong with `#include "name"` in a file of `room`, or None.

    beside: whether a file of that name lies in the including file's folder.
    """
    rooms, libraries = table[room]
    other = room_of(table, name)
    if name.startswith('../') or '/../' in name:
        return 'goes up; name it from the top folder'
    if other is not None:
        if other != room and other not in rooms:
            return f'{room} may not include {other}'
        return None
    if beside:
        return None
    for library, pattern in LIBRARIES:
        if pattern.match(name):
            return None if library in libraries else f'{room} may not include {library}'
    return None


def check_tree(table):
    """[(file, include, problem or None)] of all sources in the rooms."""
    found = []
    for room in sorted(table):
        for folder, folders, files in os.walk(os.path.join(TOP, room)):
            folders.sort()
            # a driver in its own right, from which only tests' environments come
            if os.path.basename(folder) == 'gpusim':
                folders.clear()
                continue
            # rooms in rooms have their own turn
            folders[:] = [name for name in folders
                          if os.path.relpath(os.path.join(folder, name), TOP) not in table]
            for file in sorted(files):
                if not file.endswith(SOURCES):
                    continue
                path = os.path.join(folder, file)
                with open(path, encoding='utf-8') as source:
                    text = source.read()
                for quote, name in INCLUDE.findall(text):
                    beside = quote == '"' and os.path.exists(os.path.join(folder, name))
                    found.append((os.path.relpath(path, TOP), name,
                                  problem(table, room, name, beside)))
    return found


def main():
    table = read_table(os.path.join(TOP, 'docs', 'design.md'))
    results = []

    def case(name, good, why=''):
        results.append(good)
        print(f'{"ok" if good else "not ok"} {len(results)} - {name}')
        if why:
            print('\n'.join('# ' + line for line in why.splitlines()))

    case('the table names the rooms',
         set(table) == {'base', 'network', 'network/onnx', 'network/torch', 'image', 'postprocess',
                        'backend', 'cpu', 'cuda', 'engine', 'export', 'gst-plugin', 'pipelines',
                        'tests'},
         'rooms: ' + ' '.join(sorted(table)))
    if results[-1]:
        # Those that must be refused, so that the check is known to bite.
        for room, name in (('network', 'cpu/cpu.h'), ('base', 'network/model.h'),
                           ('network', 'gst/gst.h'), ('postprocess', 'glib.h'),
                           ('base', 'image/frame.h'), ('image', 'postprocess/object.h'),
                           ('network', 'backend/backend.h'), ('network', 'network/onnx/reader.h'),
                           ('network', 'protobuf-c/protobuf-c.h'),
                           ('network/onnx', 'engine/load.h'),
                           ('network/onnx', 'postprocess/task.h'),
                           ('gst-plugin', 'network/onnx/reader.h'),
                           ('network/onnx', 'network/torch/zip.h'),
                           ('network/torch', 'network/onnx/tensor.h'),
                           ('network/torch', 'protobuf-c/protobuf-c.h'),
                           ('cpu', 'engine/engine.h'), ('engine', 'cpu/cpu.h'),
                           ('engine', 'cairo.h'), ('gst-plugin', 'cuda/cuda.h'),
                           ('cpu', 'json-glib/json-glib.h'), ('pipelines', 'engine/engine.h'),
                           ('cpu', 'cuda.h'), ('engine', 'gst/video/video.h'),
                           ('cuda', '../engine/engine.h'),
                           ('export', 'gst/gst.h'), ('gst-plugin', 'mosquitto.h'),
                           ('gst-plugin', 'librdkafka/rdkafka.h'), ('engine', 'sqlite3.h')):
            case(f'refuses {name} in {room}', problem(table, room, name, False) is not None)
        for room, name in (('network/onnx', 'network/graph.h'),
                           ('network/onnx', 'protobuf-c/protobuf-c.h'),
                           ('network/onnx', 'network/onnx/tensor.h'),
                           ('engine', 'network/onnx/reader.h'),
                           ('engine', 'network/torch/reader.h'),
                           ('cpu', 'network/plan.h'),
                           ('engine', 'backend/backend.h'), ('gst-plugin', 'engine/engine.h'),
                           ('gst-plugin', 'export/sink.h'), ('export', 'hiredis/hiredis.h'),
                           ('postprocess', 'math.h'), ('tests', 'cpu/cpu.h')):
            case(f'allows {name} in {room}', problem(table, room, name, False) is None)
        found = check_tree(table)
        bad = [f'{path}: {name}: {why}' for path, name, why in found if why]
        case('every include of the tree', not bad and len(found) > 0,
             '\n'.join(bad) or f'{len(found)} includes read')
    print(f'1..{len(results)}')
    return not all(results)


if __name__ == '__main__':
    sys.exit(main())
