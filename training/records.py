# SPDX-License-Identifier: MIT
"""Reads a file of torch.save() as data: nothing in it is imported or called.

A class or function that the pickle names becomes a subclass of Record that knows its name; what
the pickle would make by calling it is an instance, with the arguments, the state and the items
that it was given. A malicious file is a tree of records that nobody looks at.
"""

import io
import math
import os
import pickle
import pickletools
import zipfile

import torch

# Opcodes that make data, and the calls that become records. EXT (copyreg's registry), INST and OBJ
# are in no file of torch's.
CALLS = {'GLOBAL', 'STACK_GLOBAL', 'REDUCE', 'NEWOBJ', 'NEWOBJ_EX', 'BUILD', 'BINPERSID'}
OPCODES = CALLS | {
    'PROTO', 'FRAME', 'STOP', 'MARK', 'POP', 'POP_MARK', 'DUP', 'NONE', 'NEWTRUE', 'NEWFALSE',
    'BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'INT', 'LONG', 'BINFLOAT', 'FLOAT',
    'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'UNICODE', 'BINSTRING', 'SHORT_BINSTRING',
    'STRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8', 'BYTEARRAY8', 'EMPTY_DICT', 'EMPTY_LIST',
    'EMPTY_TUPLE', 'EMPTY_SET', 'FROZENSET', 'TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3', 'LIST', 'DICT',
    'APPEND', 'APPENDS', 'SETITEM', 'SETITEMS', 'ADDITEMS', 'BINPUT', 'LONG_BINPUT', 'PUT',
    'MEMOIZE', 'BINGET', 'LONG_BINGET', 'GET'}

TYPES = {'HalfStorage': torch.float16, 'FloatStorage': torch.float32,
         'BFloat16Storage': torch.bfloat16, 'DoubleStorage': torch.float64,
         'LongStorage': torch.int64, 'IntStorage': torch.int32, 'ByteStorage': torch.uint8,
         'BoolStorage': torch.bool}

# Bytes. The pickle of a network of 500 layers has 100 thousand; a storage is a layer's weights.
MOST_PICKLE, MOST_STORAGE = 256 << 20, 2 << 30


class CheckpointError(Exception):
    """A file that cannot be used; says which, why, and what to do."""


class Record:
    """What the pickle would have made by calling the class or function `path`."""

    path = ''

    def __new__(cls, *args, **keywords):
        self = super().__new__(cls)
        self.args, self.state, self.items = args, {}, {}
        return self

    def __init__(self, *args, **keywords):
        """Takes what __new__ has kept."""

    def __setstate__(self, state):
        if isinstance(state, dict):
            self.state = state

    def __setitem__(self, key, value):
        self.items[key] = value

    def append(self, value):
        self.items[len(self.items)] = value

    def extend(self, values):
        for value in values:
            self.append(value)

    def add(self, value):
        self.append(value)

    @property
    def kind(self):
        """The class's name without its module, which differs from version to version."""
        return self.path.rpartition('.')[2]

    def get(self, key, default=None):
        return self.state.get(key, default)

    def table(self, key):
        """The dict of that name in the state, whether it was pickled as dict or OrderedDict."""
        value = self.state.get(key)
        if isinstance(value, Record):
            value = value.items
        return value if isinstance(value, dict) else {}

    @property
    def children(self):
        """{name: record} of a module's submodules."""
        return {name: child for name, child in self.table('_modules').items()
                if isinstance(child, Record)}


class Storage:
    """Names an entry of the zip: its type (a Record's class), key, and count of elements."""

    def __init__(self, identity):
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == 'storage'
                and isinstance(identity[1], type) and isinstance(identity[4], int)):
            raise pickle.UnpicklingError('a persistent id that is no storage')
        self.kind, self.key, self.count = identity[1].path.rpartition('.')[2], identity[2], \
            identity[4]


class Reader(pickle.Unpickler):
    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.classes = {}

    def find_class(self, module, name):
        path = f'{module}.{name}'
        if path not in self.classes:
            self.classes[path] = type('Record', (Record, ), {'path': path})
        return self.classes[path]

    def persistent_load(self, pid):
        return Storage(pid)


def unpickle(data):
    """The pickle's top value. Raises pickle.UnpicklingError and what malformed data brings."""
    memo = 0
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name not in OPCODES:
            raise pickle.UnpicklingError(f'opcode {opcode.name} at byte {position} is not data')
        if opcode.name in ('BINPUT', 'LONG_BINPUT', 'PUT'):
            # Python's memo is an array: an index of 2^31 would take 16 GB.
            memo += 1
            if int(argument) > 2 * memo + 1000:
                raise pickle.UnpicklingError(f'memo index {argument} at byte {position}')
    return Reader(data).load()


class File:
    """A checkpoint: `top`, its pickle's value, and tensor(). `with` closes it."""

    def __init__(self, path):
        self.path = path
        try:
            # pylint: disable-next=consider-using-with
            self.zip = zipfile.ZipFile(path)
        except OSError as why:
            raise CheckpointError(f'{path}: {why.strerror}') from None
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise CheckpointError(self.not_a_zip()) from None
        try:
            self.open()
        except BaseException:
            self.zip.close()
            raise

    def open(self):
        """Finds the pickle among the entries, and reads it."""
        path = self.path
        entries = self.zip.namelist()
        tops = [name for name in entries if name.endswith('/data.pkl') and name.count('/') == 1]
        if len(tops) != 1:
            raise CheckpointError(f'{path}: a zip, but no file of torch.save(): it has no NAME/'
                                  'data.pkl; give the .pt file that training wrote')
        self.folder = tops[0][:-len('data.pkl')]
        if self.folder + 'constants.pkl' in entries:
            raise CheckpointError(f'{path}: TorchScript, which has no modules to train; give the '
                                  '.pt file that it was exported from')
        if (self.folder + 'byteorder' in entries
                and self.read(self.folder + 'byteorder', 16) != b'little'):
            raise CheckpointError(f'{path}: written on a machine of another byte order; load and '
                                  'save it with PyTorch on this one')
        try:
            self.top = unpickle(self.read(tops[0], MOST_PICKLE))
        except CheckpointError:
            raise
        except Exception as why:  # malformed pickles raise whatever their values bring about
            raise CheckpointError(f'{path}: its pickle is damaged ({why}); get the file '
                                  'again') from None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.zip.close()

    def not_a_zip(self):
        with open(self.path, 'rb') as file:
            start = file.read(16)
        # A pickle of protocol 2 that begins with a number of ten bytes, torch's magic number.
        if start.startswith(b'\x80\x02\x8a\n'):
            return (f'{self.path}: PyTorch\'s format of before version 1.6; load and save it with '
                    'a newer PyTorch')
        size = os.path.getsize(self.path)
        return f'{self.path}: no checkpoint, or one that was cut off at {size} bytes; get it again'

    def read(self, name, most):
        """The bytes of an entry, at most so many."""
        try:
            info = self.zip.getinfo(name)
            if info.file_size > most:
                raise CheckpointError(f'{self.path}: {name} has {info.file_size} bytes, more than '
                                      f'{most}; is it a checkpoint?')
            # torch.serialization.set_crc32_options(False) writes 0 in place of all checksums.
            info.CRC = info.CRC or None
            return self.zip.read(info)
        except KeyError:
            raise CheckpointError(f'{self.path}: {name} is missing; get the file again') from None
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError,
                ValueError) as why:
            raise CheckpointError(f'{self.path}: {name} cannot be read ({why}); get the file '
                                  'again') from None

    def tensor(self, record):
        """The numbers of a pickled tensor, a copy in the type that they were saved in; None of
        what is none."""
        while isinstance(record, Record) and record.kind.startswith('_rebuild_parameter'):
            record = record.args[0] if record.args else None
        if record is None:
            return None
        if (not isinstance(record, Record) or record.kind != '_rebuild_tensor_v2'
                or len(record.args) < 4 or not isinstance(record.args[0], Storage)):
            raise CheckpointError(f'{self.path}: a tensor of a kind that is not known; save the '
                                  'checkpoint with plain tensors')
        storage, offset, shape, stride = record.args[:4]
        if storage.kind not in TYPES:
            raise CheckpointError(f'{self.path}: a tensor in {storage.kind}; save it in half or '
                                  'float')
        kind = TYPES[storage.kind]
        last = self.last_index(offset, shape, stride)
        # A stride of 0 repeats numbers: a shape could then be larger than any memory.
        if last >= storage.count or math.prod(shape) > storage.count:
            raise CheckpointError(f'{self.path}: a tensor of {tuple(shape)} does not fit in its '
                                  f'storage of {storage.count} numbers; get the file again')
        data = bytearray(self.read(f'{self.folder}data/{storage.key}', MOST_STORAGE))
        if len(data) != storage.count * kind.itemsize:
            raise CheckpointError(f'{self.path}: data/{storage.key} has {len(data)} bytes where '
                                  f'{storage.count * kind.itemsize} belong; get the file again')
        if last < 0:
            return torch.empty(tuple(shape), dtype=kind)
        flat = torch.frombuffer(data, dtype=kind)
        return torch.as_strided(flat, tuple(shape), tuple(stride), offset).clone()

    def last_index(self, offset, shape, stride):
        """Of the tensor's elements in the storage, the last one; -1 of an empty tensor."""
        numbers = (offset, *shape, *stride)
        if len(shape) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
            raise CheckpointError(f'{self.path}: a tensor with shape {shape} and strides '
                                  f'{stride}; get the file again')
        if 0 in shape:
            return -1
        return offset + sum((size - 1) * step for size, step in zip(shape, stride))
