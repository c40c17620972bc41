#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-corpus.py DATA FOLDER: the fuzzer's first inputs, out of the small
models of DATA: themselves, cut short, and with what bad files are known for.
Needs nothing but Python.
"""

import glob
import itertools
import os
import struct
import sys

# Field numbers: ONNX, onnx/onnx.proto
GRAPH, METADATA = 7, 14                         # of the model
NODE, INITIALIZER, OUTPUT = 1, 5, 12            # of the graph
INPUT, RESULT, OP, ATTRIBUTE = 1, 2, 4, 5       # of a node
NAME, INTEGER, INTEGERS = 1, 3, 8               # of an attribute
DIMS, TYPE, TENSOR_NAME, RAW, EXTERNAL, LOCATION = 1, 2, 8, 9, 13, 14   # of a tensor


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def decode(data):
    """[field, value]: int, or bytes of wire types 1, 2 and 5."""
    fields, i = [], 0

    def number():
        nonlocal i
        n = shift = 0
        while True:
            n |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                return n
    while i < len(data):
        key = number()
        field, wire = key >> 3, key & 7
        if wire == 0:
            fields.append([field, 0, number()])
        else:
            n = {1: 8, 5: 4}.get(wire) or number()
            fields.append([field, wire, data[i:i + n]])
            i += n
    return fields


def encode(fields):
    out = []
    for field, wire, value in fields:
        out.append(varint(field << 3 | wire))
        if wire == 0:
            out.append(varint(value))
        else:
            out.append((varint(len(value)) if wire == 2 else b'') + value)
    return b''.join(out)


def change(data, path, edit):
    """Applies edit to the message at the path of (field, index)."""
    fields = decode(data)
    if not path:
        return encode(edit(fields) or fields)
    (field, index), rest = path[0], path[1:]
    found = [f for f in fields if f[0] == field]
    target = found[index % len(found)]
    target[2] = change(target[2], rest, edit)
    return encode(fields)


def put(field, value):
    """An edit that sets a field anew, or drops it (None)."""
    def edit(fields):
        fields[:] = [f for f in fields if f[0] != field]
        for v in value if isinstance(value, list) else [] if value is None else [value]:
            fields.append([field, 0, v] if isinstance(v, int) else [field, 2, v])
    return edit


def repeat(field, times):
    def edit(fields):
        fields.extend([f for f in fields if f[0] == field][:1] * times)
    return edit


def nodes(data):
    graph = next(f[2] for f in decode(data) if f[0] == GRAPH)
    return [decode(f[2]) for f in decode(graph) if f[0] == NODE]


def bad(data):
    """(name, bytes) of broken variants."""
    graph = [(GRAPH, 0)]
    huge = 1 << 32
    for i in (0, 1, 5):
        tensor = graph + [(INITIALIZER, i)]
        for name, edit in (
                ('dims-4g', put(DIMS, [huge])),
                ('dims-product', put(DIMS, [1 << 31, 1 << 31, 1 << 31])),
                ('dims-negative', put(DIMS, [-1, 4])), ('dims-zero', put(DIMS, [0])),
                ('dims-many', put(DIMS, [1] * 1000)), ('dims-none', put(DIMS, None)),
                ('type-string', put(TYPE, 8)), ('type-double', put(TYPE, 11)),
                ('type-bad', put(TYPE, 77)), ('raw-none', put(RAW, None)),
                ('raw-short', put(RAW, b'abc')), ('raw-long', put(RAW, bytes(5000))),
                ('raw-nan', put(RAW, struct.pack('<f', float('nan')) * 64)),
                ('external', put(EXTERNAL, b'\n\x08location\x12\x0b/etc/passwd')),
                ('location', put(LOCATION, 1))):
            yield '%s-%d' % (name, i), change(data, tensor, edit)
    for i, node in enumerate(nodes(data)):
        op = bytes(next(f[2] for f in node if f[0] == OP)).decode()
        at = graph + [(NODE, i)]
        first = next(f[2] for f in node if f[0] == RESULT)
        tag = '%s-%d' % (op, i)
        yield 'cycle-' + tag, change(data, at, put(INPUT, first))
        yield 'dangling-' + tag, change(data, at, put(INPUT, [b'nowhere'] * 3))
        yield 'inputless-' + tag, change(data, at, put(INPUT, None))
        yield 'attributeless-' + tag, change(data, at, put(ATTRIBUTE, None))
        yield 'unknown-' + tag, change(data, at, put(OP, b'Frobnicate'))
        for j, attribute in enumerate(f for f in node if f[0] == ATTRIBUTE):
            fields = decode(attribute[2])
            count = sum(f[0] == INTEGERS for f in fields)
            for value in (0, -1, huge, (1 << 63) - 1):
                edit = put(INTEGERS, [value] * count) if count else put(INTEGER, value)
                yield ('attribute%d=%d-%s' % (j, value, tag),
                       change(data, at + [(ATTRIBUTE, j)], edit))
    yield 'graphless', change(data, [], put(GRAPH, None))
    yield 'outputless', change(data, graph, put(OUTPUT, None))
    yield 'nodeless', change(data, graph, put(NODE, None))
    yield 'nodes-twice', change(data, graph, repeat(NODE, 3))
    yield 'graph-twice', change(data, [], repeat(GRAPH, 1))
    for key, value in (
            ('names', '{0: '), ('names', '{' * 5000), ('names', "{0: 'a', 4294967296: 'b'}"),
            ('names', "[]"), ('names', "{-1: 'a'}"), ('names', "'''"), ('names', "{0: '\\x"),
            ('stride', '0'), ('stride', '-32'), ('stride', '99999999999999999999'),
            ('imgsz', '[0, 0]'), ('imgsz', '[100000, 100000]'),
            ('imgsz', '[64'), ('task', 'segment'), ('task', '')):
        entry = encode([[1, 2, key.encode()], [2, 2, value.encode()]])

        def edit(fields):
            fields[:] = [f for f in fields if f[0] != METADATA or not f[2].startswith(
                b'\n' + varint(len(key)) + key.encode())] + [[METADATA, 2, entry]]
        tag = ''.join(c if c.isalnum() else '_' for c in value[:24])
        yield 'meta-%s-%s' % (key, tag), change(data, [], edit)
    # lengths that claim what is not there
    at = data.index(varint(len(next(f[2] for f in decode(data) if f[0] == GRAPH))))
    assert data[at - 1] == GRAPH << 3 | 2 and data[at + 1] < 128
    for n in (huge - 1, huge, (1 << 63) - 1, (1 << 64) - 1):
        yield 'claims-%d' % n, data[:at] + varint(n) + data[at + 2:]
    yield 'initialisers-of-nothing', b'\x3a' + varint(400000) + b'\x2a\x00' * 200000
    yield 'nodes-of-nothing', b'\x3a' + varint(400000) + b'\x0a\x00' * 200000
    yield 'empty', b''
    yield 'text', b'ir_version: 8\ngraph {\n}\n'


def many(data):
    """(name, bytes) of files of many parts, which must not take long."""
    graph = [(GRAPH, 0)]
    # names of one hash in GLib's g_str_hash(): 'A' * 33 + 'z' is 'B' * 33 + 'Y'
    names = [''.join(p).encode() for p in itertools.product(('Az', 'BY'), repeat=12)]
    scalar = [[TYPE, 0, 1], [RAW, 2, struct.pack('<f', 1)]]

    def add(field, messages):
        def edit(fields):
            fields.extend([field, 2, encode(m)] for m in messages)
        return edit

    def node(op, result, *inputs):
        return [[INPUT, 2, i] for i in inputs] + [[RESULT, 2, result], [OP, 2, op]]

    def chain(op, n, *more):
        """n nodes between the first activation and what reads it"""
        at = next(i for i, f in enumerate(nodes(data)) if [OP, 2, b'Mul'] in f)
        end = next(f[2] for f in nodes(data)[at] if f[0] == RESULT)
        between = [b'cut'] + names[:n - 1] + [end]
        cut = change(data, graph + [(NODE, at)], put(RESULT, b'cut'))
        cut = change(cut, graph, add(INITIALIZER, [scalar + [[TENSOR_NAME, 2, name]]
                                                   for name in (b'odd', b'even')]))
        return change(cut, graph,
                      add(NODE, [node(op, between[i + 1], between[i], *(more[i % 2:i % 2 + 1]))
                                             for i in range(n)]))
    yield 'colliding-initializers', change(data, graph, add(
        INITIALIZER, [scalar + [[TENSOR_NAME, 2, name]] for name in names]))
    first = next(f[2] for f in nodes(data)[0] if f[0] == RESULT)
    yield ('colliding-nodes',
           change(data, graph, add(NODE, [node(b'Relu', name, first) for name in names])))
    for op in (b'Relu', b'Identity', b'Sigmoid', b'MaxPool'):
        yield 'chain-' + op.decode(), chain(op, 500)
    for op in (b'Mul', b'QuantizeLinear', b'Add'):
        yield 'chain-' + op.decode(), chain(op, 500, b'odd', b'even')


def outside(data):
    """(name, bytes) of models whose weights lie in weights.bin, which the fuzzer has."""
    graph = next(f[2] for f in decode(data) if f[0] == GRAPH)
    lengths = [len(next((g[2] for g in decode(f[2]) if g[0] == RAW), b''))
               for f in decode(graph) if f[0] == INITIALIZER]

    def place(offset, length, location=b'weights.bin'):
        def edit(fields):
            fields[:] = [f for f in fields if f[0] != RAW]
            for key, value in ((b'location', location), (b'offset', b'%d' % offset),
                               (b'length', b'%d' % length)):
                fields.append([EXTERNAL, 2, encode([[1, 2, key], [2, 2, value]])])
            fields.append([LOCATION, 0, 1])
        return edit
    all_out, offset = data, 0
    for i, length in enumerate(lengths):
        all_out = change(all_out, [(GRAPH, 0), (INITIALIZER, i)], place(offset, length))
        offset += length
    yield 'outside-all', all_out
    at = [(GRAPH, 0), (INITIALIZER, 0)]
    for name, edit in (
            ('first', place(0, lengths[0])), ('negative', place(-1, lengths[0])),
            ('beyond', place(8192, lengths[0])), ('long', place(0, 1 << 62)),
            ('up', place(0, lengths[0], b'../weights.bin')),
            ('folder', place(0, lengths[0], b'.')),
            ('absolute', place(0, lengths[0], b'/tmp/weights.bin'))):
        yield 'outside-' + name, change(data, at, edit)


def main():
    source, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)

    def write(name, data):
        with open(os.path.join(folder, name.replace('/', '_')), 'wb') as f:
            f.write(data)

    for path in sorted(glob.glob(os.path.join(source, '*.onnx'))):
        name = os.path.basename(path)[:-5]
        with open(path, 'rb') as f:
            data = f.read()
        write(name, data)
        for part in (1, 3, 7):
            write('%s-cut%d' % (name, part), data[:len(data) * part // 8])
        if name == 'micro':
            for variant, content in bad(data):
                write('micro-' + variant, content)
            for variant, content in itertools.chain(many(data), outside(data)):
                write('micro-' + variant, content)


if __name__ == '__main__':
    main()
