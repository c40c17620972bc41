#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make-checkpoints.py DATA FOLDER: PyTorch checkpoints in the form of Ultralytics', made
of the small ONNX models of DATA: the same weights in the tree of modules that they would
have been exported from, so that both must give the same maps. And files of other kinds.
Needs nothing but Python: classes of the right names stand in for torch's and Ultralytics'.
"""

import collections
import importlib.util
import io
import os
import pickle
import re
import struct
import sys
import types
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location('corpus',
                                              os.path.join(HERE, '..', 'fuzz', 'make-corpus.py'))
corpus = importlib.util.module_from_spec(spec)
spec.loader.exec_module(corpus)

# -- names that a pickle may hold


def name(path, what=None):
    """The class or function of this path, made up where Python's own do not have it."""
    module, last = path.rsplit('.', 1)
    for part in (module.split('.')[0], module):
        sys.modules.setdefault(part, types.ModuleType(part))
    made = sys.modules[module]
    if not hasattr(made, last):
        what = what or type(last, (Module,), {})
        what.__module__, what.__name__, what.__qualname__ = module, last, last
        setattr(made, last, what)
    return getattr(made, last)


class Module:
    """What torch.nn.Module keeps; its state is its __dict__."""

    def __init__(self, **attributes):
        # torch before 2.5 has OrderedDicts where newer versions have dicts
        self.__dict__.update(training=False,
                             _parameters=Module.dict(),
                             _buffers=Module.dict(),
                             _non_persistent_buffers_set=set(),
                             _forward_hooks=collections.OrderedDict(),
                             _modules=Module.dict())
        self.__dict__.update(attributes)

    dict = dict


class Storage:
    def __init__(self, data):
        self.data = data


class Tensor:
    """Numbers in a storage of a type: Half, Float, BFloat16, ..."""

    def __init__(self, kind, numbers, shape, stride=None, offset=0, parameter=False):
        storage = name(f'torch.{kind}Storage', type('S', (Storage, ), {}))
        self.storage = storage(packed(kind, numbers))
        self.storage.count = len(numbers)
        self.shape, self.offset, self.parameter = tuple(shape), offset, parameter
        self.stride = stride
        if stride is None:
            self.stride, n = (), 1
            for size in reversed(shape):
                self.stride = (n,) + self.stride
                n *= size

    def rebuild(self):
        rebuild = name('torch._utils._rebuild_tensor_v2', lambda *arguments: None)
        return rebuild, (self.storage, self.offset, self.shape, self.stride, False,
                         collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        if not self.parameter:
            return self.rebuild()
        inner = Tensor.__new__(Tensor)
        inner.__dict__.update(self.__dict__, parameter=False)
        return (name('torch._utils._rebuild_parameter', lambda *arguments: None),
                (inner, False, collections.OrderedDict()))


def packed(kind, numbers):
    if kind == 'BFloat16':
        return b''.join(struct.pack('<f', x)[2:] for x in numbers)
    letter = {'Half': 'e', 'Float': 'f', 'Double': 'd', 'Long': 'q', 'Byte': 'B'}[kind]
    return struct.pack(f'<{len(numbers)}{letter}', *numbers)


class Pickler(pickle.Pickler):
    """Leaves storages out, as torch's does."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = {}

    def persistent_id(self, what):
        if not isinstance(what, Storage):
            return None
        key = self.storages.setdefault(id(what), (str(len(self.storages)), what))[0]
        return 'storage', type(what), key, 'cpu', what.count


def save(path,
         what,
         folder='archive',
         protocol=2,
         method=zipfile.ZIP_STORED,
         order=b'little',
         crc=True):
    """What torch.save() writes; crc=False: as with set_crc32_options(False)."""
    file = io.BytesIO()
    pickler = Pickler(file, protocol)
    pickler.dump(what)
    with zipfile.ZipFile(path, 'w', method) as out:
        entries = [('data.pkl', file.getvalue()), ('.format_version', b'1'), ('byteorder', order)]
        entries += [('data/' + key, storage.data) for key, storage in pickler.storages.values()]
        for entry, data in entries + [('version', b'3\n')]:
            out.writestr(zipfile.ZipInfo(f'{folder}/{entry}'), data, method)
    if not crc:
        without_crc(path)


def without_crc(path):
    with open(path, 'r+b') as file:
        data = bytearray(file.read())
        for signature, at in ((b'PK\1\2', 16), (b'PK\3\4', 14)):
            for found in re.finditer(re.escape(signature), bytes(data)):
                data[found.start() + at:found.start() + at + 4] = bytes(4)
        file.seek(0)
        file.write(data)


# -- the small models


def text(value):
    return bytes(value).decode()


def each(parts, field):
    return [value for f, _, value in parts if f == field]


def first(parts, field, otherwise=None):
    return next(iter(each(parts, field)), otherwise)


def integers(values):
    """Integers, one by one or packed into one text."""
    if len(values) != 1 or isinstance(values[0], int):
        return values
    out, n, shift = [], 0, 0
    for byte in values[0]:
        n |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            out.append(n)
            n = shift = 0
    return out


def tensors(graph):
    """{name: (sizes, numbers)} of the weights of an ONNX graph."""
    found = {}
    for parts in map(corpus.decode, each(graph, corpus.INITIALIZER)):
        raw = first(parts, corpus.RAW, b'')
        letter = {1: 'f', 10: 'e'}.get(first(parts, corpus.TYPE))
        if letter:
            numbers = struct.unpack(f'<{len(raw) // struct.calcsize(letter)}{letter}', raw)
            name = text(first(parts, corpus.TENSOR_NAME))
            found[name] = integers(each(parts, corpus.DIMS)), list(numbers)
    return found


def attributes(node):
    found = {}
    for parts in map(corpus.decode, each(node, corpus.ATTRIBUTE)):
        many = integers(each(parts, corpus.INTEGERS))
        found[text(first(parts, corpus.NAME))] = many or first(parts, corpus.INTEGER)
    return found


def convolutions(path):
    """{module's path: dict(weight, bias, bn, stride, pad, groups, shape)} of an ONNX model."""
    with open(path, 'rb') as file:
        graph = corpus.decode(first(corpus.decode(file.read()), corpus.GRAPH))
    weights, found, by_output = tensors(graph), {}, {}
    for node in map(corpus.decode, each(graph, corpus.NODE)):
        kind, inputs = text(first(node, corpus.OP)), list(map(text, each(node, corpus.INPUT)))
        if kind == 'Conv':
            shape, weight = weights[inputs[1]]
            how = attributes(node)
            conv = dict(shape=shape, weight=weight, stride=how['strides'], pad=how['pads'][:2])
            conv.update(groups=how.get('group') or 1, bn=None, bias=None)
            if len(inputs) > 2:
                conv['bias'] = weights[inputs[2]][1]
            found[re.sub(r'^model\.', '', inputs[1])[:-len('.weight')]] = conv
            by_output[text(first(node, corpus.RESULT))] = conv
        elif kind == 'BatchNormalization':
            by_output[inputs[0]]['bn'] = [weights[i][1] for i in inputs[1:]]
    return found


def yolov8(first=3, last=5):
    """[(class, f)] of the layers, as make-models.py builds them."""
    layers, taps = [], {}

    def add(kind, f=-1):
        layers.append((kind, f))
        return len(layers) - 1

    for p in range(1, last + 1):
        taps[p] = add('Conv')
        if p > 1:
            taps[p] = add('C2f')
    taps[last] = add('SPPF')
    for p in range(last - 1, first - 1, -1):
        add('Upsample')
        add('Concat', [-1, taps[p]])
        taps[p] = add('C2f')
    outs = [taps[first]]
    for p in range(first + 1, last + 1):
        add('Conv')
        add('Concat', [-1, taps[p]])
        outs.append(add('C2f'))
    add('Detect', outs)
    return layers


def yolov5u():
    layers, taps = [], {}

    def add(kind, f=-1):
        layers.append((kind, f))
        return len(layers) - 1

    for p in range(1, 6):
        taps[p] = add('Conv')
        if p > 1:
            taps[p] = add('C3')
    add('SPPF')
    lateral = {}
    for p in (4, 3):
        lateral[p + 1] = add('Conv')
        add('Upsample')
        add('Concat', [-1, taps[p]])
        last = add('C3')
    outs = [last]
    for p in (4, 5):
        add('Conv')
        add('Concat', [-1, lateral[p]])
        outs.append(add('C3'))
    add('Detect', outs)
    return layers


MICRO = [('Conv', -1), ('Conv', -1), ('C2f', -1), ('Conv', -1), ('SPPF', -1), ('Upsample', -1),
         ('Concat', [-1, 2]), ('Conv', -1), ('Detect', [7, 4])]


BLOCKS = [('Conv', -1), ('AConv', -1), ('RepNCSPELAN4', -1), ('ADown', -1), ('SPPELAN', -1),
          ('C2fCIB', -1), ('SCDown', -1), ('Detect', [2, 5, 6])]


FUSE = [('Identity', -1), ('Conv', -1), ('Conv', -1), ('Conv', -1), ('CBLinear', 1),
        ('CBLinear', 2), ('CBLinear', 3), ('Conv', 0), ('CBFuse', [4, 5, 6, -1]), ('Conv', -1),
        ('CBFuse', [5, 6, -1]), ('Conv', -1), ('CBFuse', [6, -1]), ('Detect', [10, 12])]
PARTS = {4: [4], 5: [4, 4], 6: [4, 4, 6]}


def attentive(block):
    """The layers of make-models.py's micro_attention()."""
    return [('Conv', -1), ('Conv', -1), (block, -1), ('Conv', -1), ('SPPF', -1), ('Detect', [2, 4])]


class Maker:
    """Modules of one version of Ultralytics, whose numbers are of one type."""

    def __init__(self, number='Float', old=False, act='SiLU', last=False):
        self.number, self.old, self.last = number, old, last
        self.act = self.torch('activation.' + act, inplace=True)

    def torch(self, what, **attributes):
        return name('torch.nn.modules.' + what)(**attributes)

    def own(self, what, **attributes):
        path = 'ultralytics.nn.modules.' + (what.split('.')[1] if self.old else what)
        return name(path)(**attributes)

    def tensor(self, numbers, shape=None, parameter=True):
        shape = shape or (len(numbers),)
        if not self.last or len(shape) != 4:
            return Tensor(self.number, numbers, shape, parameter=parameter)
        o, i, h, w = shape
        moved = [numbers[((a * i + d) * h + b) * w + c] for a in range(o) for b in range(h)
                 for c in range(w) for d in range(i)]
        # behind something else in the same storage
        return Tensor(self.number, [7.] * 5 + moved, shape, (h * w * i, 1, w * i, i), 5, parameter)

    def conv2d(self, c):
        out, channels, rows, columns = c['shape']
        m = self.torch('conv.Conv2d',
                       in_channels=channels * c['groups'],
                       out_channels=out,
                       kernel_size=(rows, columns),
                       stride=tuple(c['stride']),
                       padding=tuple(c['pad']),
                       dilation=(1, 1),
                       transposed=False,
                       output_padding=(0, 0),
                       groups=c['groups'],
                       padding_mode='zeros')
        m._parameters['weight'] = self.tensor(c['weight'], c['shape'])
        m._parameters['bias'] = None if c['bias'] is None else self.tensor(c['bias'])
        return m

    def conv(self, c, act=None):
        m = self.own('conv.DWConv' if c['groups'] > 1 else 'conv.Conv')
        m._modules['conv'] = self.conv2d(c)
        if c['bn'] is not None:
            bn = m._modules['bn'] = self.torch('batchnorm.BatchNorm2d',
                                               num_features=c['shape'][0],
                                               eps=1e-3,
                                               momentum=.03,
                                               affine=True,
                                               track_running_stats=True)
            weight, bias, mean, variance = c['bn']
            bn._parameters.update(weight=self.tensor(weight), bias=self.tensor(bias))
            bn._buffers.update(running_mean=self.tensor(mean, parameter=False),
                               running_var=self.tensor(variance, parameter=False),
                               num_batches_tracked=Tensor('Long', [7], ()))
        m._modules['act'] = self.torch(act) if act else self.act
        return m

    def sequence(self, what, modules):
        m = self.torch('container.' + what)
        m._modules.update((str(i), module) for i, module in enumerate(modules))
        return m

    def block(self, kind, convs, shortcut):
        """convs: {path within the block: convolution}"""
        if kind == 'Conv':
            return self.conv(convs['conv'])
        m = self.own('block.' + kind)
        for key in ('cv1', 'cv2', 'cv3'):
            if key + '.conv' in convs:
                m._modules[key] = self.conv(convs[key + '.conv'])
        if kind == 'SPPF':
            m._modules['m'] = self.torch('pooling.MaxPool2d',
                                         kernel_size=5,
                                         stride=1,
                                         padding=2,
                                         dilation=1,
                                         return_indices=False,
                                         ceil_mode=False)
            if not self.old:
                m.n, m.add = 3, False
            return m
        inner = []
        while f'm.{len(inner)}.cv1.conv' in convs:
            b = self.own('block.Bottleneck', add=shortcut)
            for key in ('cv1', 'cv2'):
                b._modules[key] = self.conv(convs[f'm.{len(inner)}.{key}.conv'])
            inner.append(b)
        if kind == 'C2f':
            m.c = 1                             # stale, as pruning leaves it
        m._modules['m'] = self.sequence('Sequential' if kind == 'C3' else 'ModuleList', inner)
        return m

    def attention(self, kind, convs, **numbers):
        """Attention or AAttn. convs: {path within it: convolution}"""
        m = self.own('block.' + kind, **numbers)
        for key in ('qkv', 'proj', 'pe'):
            m._modules[key] = self.conv(convs[key + '.conv'], act='linear.Identity')
        return m

    def attentive(self, kind, convs, gamma, numbers):
        """C2PSA, PSA and A2C2f, with one module of attention blocks within."""
        m = self.own('block.' + kind)
        for key in ('cv1', 'cv2'):
            m._modules[key] = self.conv(convs[key + '.conv'])
        within = {re.sub(r'^m\.0\.', '', path): c for path, c in convs.items() if path[:2] == 'm.'}

        def block(path, inner, attention, more):
            own = {p[len(path):]: c for p, c in within.items() if p.startswith(path)}
            made = self.own('block.' + inner)
            made._modules['attn'] = self.attention(
                attention, {p[len('attn.'):]: c for p, c in own.items()}, **numbers)
            made._modules[more] = self.sequence('Sequential', [
                self.conv(own[more + '.0.conv']),
                self.conv(own[more + '.1.conv'], act='linear.Identity')
            ])
            return made

        if kind == 'A2C2f':
            inner = [block(f'{i}.', 'ABlock', 'AAttn', 'mlp') for i in range(2)]
            m._modules['m'] = self.sequence('ModuleList', [self.sequence('Sequential', inner)])
            m._parameters['gamma'] = None if gamma is None else self.tensor(gamma)
            return m
        psa = block('', 'PSABlock', 'Attention', 'ffn')
        if kind == 'PSA':
            m._modules.update(psa._modules)
        else:
            psa.add = True
            m._modules['m'] = self.sequence('Sequential', [psa])
        return m

    def pool(self, kernel):
        return self.torch('pooling.MaxPool2d', kernel_size=kernel, stride=1, padding=kernel // 2,
                          dilation=1, return_indices=False, ceil_mode=False)

    def branches(self, kind, c, large, small, size):
        """RepConv and RepVGGDW: the middle of the windows is a convolution of its own."""
        out, channels, rows, _ = c['shape']
        first = (rows - size) // 2
        inside = [first <= k // rows % rows < first + size and first <= k % rows < first + size
                  for k in range(len(c['weight']))]
        middle = dict(c, weight=[x for x, i in zip(c['weight'], inside) if i], bias=[0.] * out,
                      shape=[out, channels, size, size], pad=[size // 2] * 2)
        rest = dict(c, weight=[0. if i else x for x, i in zip(c['weight'], inside)])
        m = self.own('conv.' + kind if kind == 'RepConv' else 'block.' + kind)
        m._modules.update({large: self.conv(rest, act='linear.Identity'),
                           small: self.conv(middle, act='linear.Identity'), 'act': self.act})
        return m

    def csp(self, convs):
        """RepCSP of one RepBottleneck."""
        m, inner = self.own('block.RepCSP'), self.own('block.RepBottleneck', add=True)
        for key in ('cv1', 'cv2', 'cv3'):
            m._modules[key] = self.conv(convs[key + '.conv'])
        inner._modules['cv1'] = self.branches('RepConv', convs['m.0.cv1.conv'], 'conv1', 'conv2', 1)
        inner._modules['cv2'] = self.conv(convs['m.0.cv2.conv'])
        m._modules['m'] = self.sequence('Sequential', [inner])
        return m

    def newer(self, kind, convs):
        """The blocks of YOLOv9 and v10 that micro-blocks has."""
        m = self.own('block.' + kind)
        for path, c in convs.items():
            if path.count('.') == 1 and path.endswith('.conv'):
                bare = kind == 'SCDown' and path == 'cv2.conv'
                m._modules[path[:-len('.conv')]] = self.conv(c, 'linear.Identity' if bare else None)
        if kind == 'SPPELAN':
            m._modules.update((f'cv{i}', self.pool(5)) for i in (2, 3, 4))
        if kind == 'RepNCSPELAN4':
            for key in ('cv2', 'cv3'):
                own = {p[len(key) + 3:]: c for p, c in convs.items() if p.startswith(key + '.0.')}
                m._modules[key] = self.sequence(
                    'Sequential', [self.csp(own), self.conv(convs[key + '.1.conv'])])
        if kind == 'C2fCIB':
            parts = [convs[f'm.0.cv1.{i}.conv'] for i in range(5)]
            chain = [self.branches('RepVGGDW', c, 'conv', 'conv1', 3) if i == 2 else self.conv(c)
                     for i, c in enumerate(parts)]
            inner = self.own('block.CIB', add=True)
            inner._modules['cv1'] = self.sequence('Sequential', chain)
            m._modules['m'] = self.sequence('ModuleList', [inner])
        return m

    def detect(self, convs, strides, classes, bins):
        m = self.own('head.Detect',
                     nc=classes,
                     nl=len(strides),
                     reg_max=bins,
                     no=classes + 4 * bins,
                     stride=Tensor(self.number, [float(s) for s in strides], (len(strides), )))
        for key in ('cv2', 'cv3'):
            levels = []
            for i in range(len(strides)):
                parts = []
                for j in range(2):
                    if f'{key}.{i}.{j}.0.conv' in convs:
                        parts.append(
                            self.sequence('Sequential', [
                                self.conv(convs[f'{key}.{i}.{j}.0.conv']),
                                self.conv(convs[f'{key}.{i}.{j}.conv'])
                            ]))
                    else:
                        parts.append(self.conv(convs[f'{key}.{i}.{j}.conv']))
                levels.append(
                    self.sequence('Sequential', parts + [self.conv2d(convs[f'{key}.{i}.2'])]))
            m._modules[key] = self.sequence('ModuleList', levels)
        dfl = m._modules['dfl'] = self.own('block.DFL', c1=bins)
        dfl._modules['conv'] = self.conv2d(
            dict(shape=[1, bins, 1, 1],
                 weight=list(map(float, range(bins))),
                 bias=None,
                 stride=[1, 1],
                 pad=[0, 0],
                 groups=1))
        return m

    def model(self, layers, convs, strides, names, bins, size, gammas=None, numbers=None):
        modules, kinds = [], [kind for kind, _ in layers]
        spine = min(kinds.index(k) if k in kinds else len(kinds) for k in ('SPPF', 'SPPELAN'))
        for i, (kind, f) in enumerate(layers):
            own = {path[len(f'{i}.'):]: c for path, c in convs.items() if path.startswith(f'{i}.')}
            if kind == 'Upsample':
                m = self.torch('upsampling.Upsample', size=None, scale_factor=2., mode='nearest',
                               align_corners=None, recompute_scale_factor=None)
            elif kind == 'Identity':
                m = self.torch('linear.Identity')
            elif kind == 'CBLinear':
                m = self.own('block.CBLinear', c2s=PARTS[i])
                m._modules['conv'] = self.conv2d(own['conv'])
            elif kind == 'CBFuse':
                m = self.own('block.CBFuse', idx=[kinds[:i].count('CBFuse')] * (len(f) - 1))
            elif kind == 'Concat':
                m = self.own('conv.Concat', d=1)
            elif kind == 'Detect':
                m = self.detect(own, strides, len(names), bins)
            elif kind in ('C2PSA', 'PSA', 'A2C2f'):
                m = self.attentive(kind, own, gammas.get(str(i)), numbers)
            elif kind in ('AConv', 'ADown', 'C2fCIB', 'RepNCSPELAN4', 'SCDown', 'SPPELAN'):
                m = self.newer(kind, own)
            else:
                m = self.block(kind, own, i < spine)
            m.i, m.f, m.type = i, f, type(m).__module__ + '.' + type(m).__name__
            modules.append(m)
        top = name('ultralytics.nn.tasks.DetectionModel')()
        top.yaml, top.args = {'nc': len(names)}, {'imgsz': size, 'task': 'detect'}
        top.names, top.inplace = names, True
        top.stride = Tensor('Float', [float(s) for s in strides], (len(strides), ))
        top._modules['model'] = self.sequence('Sequential', modules)
        return top


def gammas(path):
    """{module's path: factors of channels} of an ONNX model."""
    with open(path, 'rb') as file:
        graph = corpus.decode(first(corpus.decode(file.read()), corpus.GRAPH))
    return {name[:-len('.gamma')]: numbers for name, (_, numbers) in tensors(graph).items()
            if name.endswith('.gamma')}


def tree(data, file, layers, names=dict, numbers=None, **options):
    """The model of a file, as models.tsv describes that."""
    with open(os.path.join(data, 'models.tsv'), encoding='utf-8') as rows:
        row = next(r.rstrip('\n').split('\t') for r in rows if r.startswith(file + '.onnx\t'))
    height, width, bins = map(int, row[4:7])
    strides = list(map(int, row[7].split(',')))
    labels = dict(enumerate(row[8].split('|')))
    path = os.path.join(data, file + '.onnx')
    return Maker(**options).model(
        layers, convolutions(path), strides, labels if names is dict else names(labels.values()),
        bins, [height, width], gammas(path), numbers)


def checkpoint(model, **others):
    made = dict(date='2026-01-01',
                version='8.4.0',
                epoch=-1,
                best_fitness=None,
                ema=None,
                model=model,
                updates=None,
                optimizer=None,
                train_args={'imgsz': 640})
    made.update(others)
    return made


class Call:
    """Becomes GLOBAL and REDUCE: what a malicious pickle has."""

    def __init__(self, path, *arguments):
        self.path, self.arguments = path, arguments

    def __reduce_ex__(self, protocol):
        return name(self.path, lambda *arguments: None), self.arguments


def unsplit(model):
    """Gives each half of C2f's first convolution a module of its own, as Torch-Pruning does."""
    block = model._modules['model']._modules['2']
    block.__class__ = name('__main__.C2f_v2')
    whole = block._modules.pop('cv1')
    for i in range(2):
        half = block._modules[f'cv{i}'] = name('ultralytics.nn.modules.conv.Conv')()
        inner = half._modules['conv'] = type(whole._modules['conv'])()
        inner.__dict__.update(whole._modules['conv'].__dict__, _parameters={})
        half._modules['act'] = whole._modules['act']
        for key, both in whole._modules['conv']._parameters.items():
            part = inner._parameters[key] = Tensor.__new__(Tensor)
            n = both.shape[0] // 2
            part.__dict__.update(both.__dict__, shape=(n, ) + both.shape[1:])
            part.offset += i * n * both.stride[0]


def good(data, folder):
    def write(file, model, **options):
        save(os.path.join(folder, file), model, **options)

    write('v8n-unfused.pt', checkpoint(tree(data, 'v8n-unfused', yolov8())), folder='best')
    # fused, with the cycle that it leaves, numpy's scalars, and what would do harm if called
    model = tree(data, 'v8n', yolov8())
    first = model._modules['model']._modules['0']
    first.forward = Call('builtins.getattr', first, 'forward_fuse')
    write('v8n.pt', checkpoint(model, best_fitness=Call('numpy.core.multiarray.scalar', 1),
                               git=Call('os.system', 'touch executed')))
    half = tree(data, 'v8n-half', yolov8(), names=list, number='Half')
    write('v8n-half.pt', checkpoint(None, ema=half), protocol=4)
    relu = tree(data, 'v8n-relu', yolov8(), act='ReLU', last=True)
    write('v8n-relu.pt', checkpoint(relu), protocol=5)
    depthwise = tree(data, 'v8n-depthwise', yolov8(), number='Double')
    write('v8n-depthwise.pt', checkpoint(depthwise), crc=False)
    write('v8-p34.pt', checkpoint(tree(data, 'v8-p34', yolov8(last=4))), protocol=3)
    write('v8-p2.pt', checkpoint(tree(data, 'v8-p2', yolov8(first=2))))
    write('v8-p6.pt', checkpoint(tree(data, 'v8-p6', yolov8(last=6))))
    Module.dict = collections.OrderedDict
    # as versions before 8.2 write them in training: what counts is the average
    average = tree(data, 'v5u', yolov5u(), old=True)
    write('v5u.pt', checkpoint(tree(data, 'micro', MICRO, old=True), ema=average))
    Module.dict = dict
    parallel = name('torch.nn.parallel.distributed.DistributedDataParallel')()
    parallel._modules['module'] = tree(data, 'v5u-l', yolov5u())
    write('v5u-l.pt', checkpoint(parallel))
    micro = tree(data, 'micro', MICRO)
    write('micro.pt', checkpoint(micro), folder='m', crc=False)
    unsplit(micro)
    write('micro-unsplit.pt', checkpoint(micro))
    for file, block, numbers in (
            ('micro-attention', 'C2PSA', dict(num_heads=2, key_dim=3, head_dim=4, scale=3**-.5)),
            ('micro-attention-b3', 'PSA', dict(num_heads=1, key_dim=4, head_dim=8)),
            ('micro-area', 'A2C2f', dict(num_heads=2, head_dim=4, all_head_dim=8, area=4)),
            ('micro-area-whole', 'A2C2f', dict(num_heads=4, head_dim=2, area=1))):
        write(file + '.pt', checkpoint(tree(data, file, attentive(block), numbers=numbers)))
    write('micro-blocks.pt', checkpoint(tree(data, 'micro-blocks', BLOCKS)))
    write('micro-fuse.pt', checkpoint(tree(data, 'micro-fuse', FUSE)))


def activations(data, folder):
    """activation-CASE.pt: micro with another activation behind its first convolution."""
    cases = {
        'elu': ('ELU', dict(alpha=.75)),
        'gelu': ('GELU', dict(approximate='none')),
        'gelu-old': ('GELU', {}),
        'gelu-tanh': ('GELU', dict(approximate='tanh')),
        'gelu-other': ('GELU', dict(approximate='sigmoid')),
        'hard-sigmoid': ('Hardsigmoid', {}),
        'hard-swish': ('Hardswish', {}),
        'hard-tanh': ('Hardtanh', dict(min_val=-.5, max_val=2)),
        'hard-tanh-endless': ('Hardtanh', dict(min_val=-.5)),
        'leaky-relu': ('LeakyReLU', dict(negative_slope=.125)),
        'mish': ('Mish', {}),
        'prelu': ('PReLU', dict(weight=[.25])),
        'prelu-channels': ('PReLU', dict(weight=[.25, -.5])),
        'prelu-wrong': ('PReLU', dict(weight=[.25, -.5, 1.])),
        'relu': ('ReLU', {}),
        'relu6': ('ReLU6', dict(min_val=0., max_val=6.)),
        'sigmoid': ('Sigmoid', {}),
        'silu': ('SiLU', {}),
        'softsign': ('Softsign', {}),
    }
    for case, (kind, numbers) in cases.items():
        model = tree(data, 'micro', MICRO)
        act = Maker().torch('activation.' + kind, inplace=True)
        model._modules['model']._modules['0']._modules['act'] = act
        if 'weight' in numbers:
            act._parameters['weight'] = Tensor('Float', numbers['weight'],
                                               (len(numbers['weight']), ), parameter=True)
        else:
            act.__dict__.update(numbers)
        save(os.path.join(folder, f'activation-{case}.pt'), checkpoint(model))


def other(data, folder):
    """Files that must be refused, each for its own reason."""
    def write(file, model, **options):
        save(os.path.join(folder, file), model, **options)

    def micro(**change):
        made = tree(data, 'micro', MICRO)
        made.__dict__.update(change)
        return made

    def layer(i, **change):
        made = micro()
        made._modules['model']._modules[str(i)].__dict__.update(change)
        return checkpoint(made)

    weights = collections.OrderedDict(
        {'model.0.conv.weight': Tensor('Float', [1.], (1, ), parameter=True)})
    write('state-dict.pt', weights)
    write('state-dict-in.pt', dict(epoch=1, state_dict=weights))
    write('model-state-dict.pt', dict(model=weights))
    write('number.pt', 7)
    write('compressed.pt', checkpoint(micro()), method=zipfile.ZIP_DEFLATED)
    write('big-endian.pt', checkpoint(micro()), order=b'big')
    for task in ('RTDETRDetectionModel', 'WorldModel'):
        model = name(f'ultralytics.nn.tasks.{task}')()
        model.__dict__.update(micro().__dict__)
        write(task.lower() + '.pt', checkpoint(model))
    write('yolov5.pt', checkpoint(name('models.yolo.DetectionModel')()))
    write('foreign.pt', checkpoint(name('somewhere.else.Net')()))
    write('upsample.pt', layer(5, mode='bilinear'))
    write('from-ahead.pt', layer(6, f=[-1, 7]))
    unknown = micro()
    block = name('ultralytics.nn.modules.block.DeformConv')()
    block.i, block.f = 4, -1
    unknown._modules['model']._modules['4'] = block
    write('unknown.pt', checkpoint(unknown))
    for case, i, change in (('of-conv', 12, dict(f=[3, -1])), ('before', 12, dict(idx=[-1])),
                            ('beyond', 12, dict(idx=[3])), ('count', 12, dict(idx=[2, 2])),
                            ('sizes', 6, dict(c2s=[4, 4, 600])), ('none', 6, dict(c2s=[4, 4, 0]))):
        fuse = tree(data, 'micro-fuse', FUSE)
        fuse._modules['model']._modules[str(i)].__dict__.update(change)
        write(f'fuse-{case}.pt', checkpoint(fuse))
    write('modelopt.pt', checkpoint(micro(), modelopt={'quantizers': 1}))
    write('gray.pt', checkpoint(micro(yaml={'channels': 1})))
    head = type(micro()._modules['model']._modules['8'])
    write('stride.pt', layer(8, stride=Tensor('Float', [4., 16.], (2, ))))
    write('classes.pt', layer(8, nc=3))
    headless = micro()
    last = headless._modules['model']._modules['8']
    last.__class__ = name('ultralytics.nn.modules.head.Depth')
    write('no-head.pt', checkpoint(headless))
    for file, i, key, module in (('extra.pt', 2, 'se', head()), ('no-dfl.pt', 8, 'dfl', head())):
        changed = micro()
        changed._modules['model']._modules[str(i)]._modules[key] = module
        write(file, checkpoint(changed))
    heads(write, micro)
    bins = micro()
    dfl = bins._modules['model']._modules['8']._modules['dfl']._modules['conv']
    dfl._parameters['weight'] = Tensor('Float', [0., 1., 2., 4.], (1, 4, 1, 1))
    write('bins.pt', checkpoint(bins))
    # modules without an end: one within itself, and 2^60 of them
    endless, many = micro(), micro()
    sequence = name('torch.nn.modules.container.Sequential')
    loop = sequence()
    loop._modules['0'] = loop
    inner = name('torch.nn.modules.linear.Identity')()
    for _ in range(60):
        outer = sequence()
        outer._modules.update({'0': inner, '1': inner})
        inner = outer
    for model, module in ((endless, loop), (many, inner)):
        module.i, module.f = 4, -1
        model._modules['model']._modules['4'] = module
    write('endless.pt', checkpoint(endless))
    write('many.pt', checkpoint(many))
    weight = micro()
    conv = weight._modules['model']._modules['1']._modules['conv']
    conv._parameters['weight'].offset = 1
    write('beyond.pt', checkpoint(weight))
    with open(os.path.join(folder, 'legacy.pt'), 'wb') as file:
        for value in (0x1950a86a20f9469cfc6c, 1001, {'little_endian': True}, {}):
            file.write(pickle.dumps(value, 2))
    with open(os.path.join(folder, 'pickle.pt'), 'wb') as file:
        pickle.dump({'weights': [1., 2.]}, file, 4)
    with zipfile.ZipFile(os.path.join(folder, 'script.pt'), 'w') as out:
        for entry in ('code/__torch__/net.py', 'data.pkl', 'constants.pkl', 'version'):
            out.writestr(zipfile.ZipInfo('net/' + entry), b'')
    with zipfile.ZipFile(os.path.join(folder, 'packed.pt'), 'w') as out:
        out.writestr(zipfile.ZipInfo('best.pt'), b'')
    with zipfile.ZipFile(os.path.join(folder, 'arrays.pt'), 'w') as out:
        out.writestr(zipfile.ZipInfo('weights.npy'), b'')
    with open(os.path.join(folder, 'weights.pt'), 'wb') as file:
        file.write(struct.pack('<Q', 2) + b'{}')
    with open(os.path.join(data, 'micro.onnx'),
              'rb') as source, open(os.path.join(folder, 'onnx.pt'), 'wb') as file:
        file.write(source.read())


def heads(write, micro):
    """Checkpoints of the heads beside detect, all with the boxes and classes of micro."""

    def head_of(model, class_name):
        head = model._modules['model']._modules['8']
        head.__class__ = name('ultralytics.nn.modules.head.' + class_name)
        return head

    # with two heads, the one from many candidates to one runs where the module says so, or
    # where fusing has left no other
    for file, asked, left in (('both-heads', False, True), ('asked-end-to-end', True, True),
                              ('end-to-end', False, False)):
        model = micro()
        head = head_of(model, 'v10Detect')
        for key in ('cv2', 'cv3'):
            head._modules['one2one_' + key] = head._modules[key]
            if not left:
                head._modules[key] = None
            elif asked:                         # what must not run then
                head._modules[key] = name('torch.nn.modules.linear.Identity')()
        if asked:
            head._end2end = True
        write(file + '.pt', checkpoint(model))

    maker = Maker()
    for file, class_name, channels, state in (('obb', 'OBB', 1, {}), ('obb26', 'OBB26', 1, {}),
                                              ('pose', 'Pose', 6, {'kpt_shape': [3, 2]}),
                                              ('pose-shape', 'Pose', 6, {'kpt_shape': [2, 2]}),
                                              ('pose-none', 'Pose', 6, {})):
        model = micro()
        head = head_of(model, class_name)
        head.__dict__.update(state)
        inner = [level._modules['0']._modules['conv']._parameters['weight'].shape[1]
                 for level in head._modules['cv2']._modules.values()]
        head._modules['cv4'] = maker.sequence('ModuleList', [
            maker.conv2d(dict(shape=[channels, n, 1, 1], weight=[.125] * (channels * n), bias=None,
                              stride=[1, 1], pad=[0, 0], groups=1)) for n in inner])
        write(file + '.pt', checkpoint(model))


def main():
    data, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    good(data, folder)
    activations(data, folder)
    other(data, folder)
    os.utime(folder)                            # newer than what it was made of, for ninja


if __name__ == '__main__':
    main()
