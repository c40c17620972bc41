# SPDX-License-Identifier: MIT
"""Builds the modules of network.py out of a checkpoint in the form of Ultralytics'.

The tree of modules in the file says what the network is, as in the plugin's own reader
(network/torch): not the yaml beside it, which pruning makes wrong. A class, and a setting of
one, that network.py does not have is an error that names the layer.
"""

import torch
from torch import nn

from . import network
from .records import CheckpointError, File, Record

ACTIVATIONS = {'SiLU': nn.SiLU, 'ReLU': nn.ReLU, 'Identity': nn.Identity}
# The parts of each class. What else a module has would change what it computes.
PARTS = {'Conv': {'conv', 'bn', 'act'}, 'DWConv': {'conv', 'bn', 'act'}, 'Upsample': set(),
         'Concat': set(), 'C2f': {'cv1', 'cv2', 'm'}, 'SPPF': {'cv1', 'cv2', 'm'},
         'C2f_v2': {'cv0', 'cv1', 'cv2', 'm'}, 'Bottleneck': {'cv1', 'cv2'},
         'C3k2': {'cv1', 'cv2', 'm'}, 'C3k': {'cv1', 'cv2', 'cv3', 'm'},
         'C2PSA': {'cv1', 'cv2', 'm'}, 'PSABlock': {'attn', 'ffn'},
         'Attention': {'qkv', 'proj', 'pe'},
         'Detect': {'cv2', 'cv3', 'dfl', 'one2one_cv2', 'one2one_cv3'},
         'Segment': {'cv2', 'cv3', 'cv4', 'dfl', 'proto'}, 'Pose': {'cv2', 'cv3', 'cv4', 'dfl'},
         'Proto': {'cv1', 'upsample', 'cv2', 'cv3'}, 'ConvTranspose2d': set(),
         'Conv2d': set(), 'BatchNorm2d': set()}
# Models, and the heads that they end in.
TASKS = {'DetectionModel': 'Detect', 'SegmentationModel': 'Segment', 'PoseModel': 'Pose'}
KNOWN = ('training knows YOLOv8 and YOLO11 to detect, to segment and to find points, and YOLO26 to '
         'detect: Conv, C2f, C3k2, C2PSA, SPPF, Upsample, Concat, Detect, Segment and Pose')
# Of a pose: far more than any body has.
MOST_POINTS = 1000
# Pixels. The largest stride of a head with the level P7, which is the deepest that is in use.
MOST_STRIDE = 128


class Builder:
    """Makes modules of records. `where` is the path of the module that is being made."""

    def __init__(self, file):
        self.file, self.where = file, ''

    def fail(self, why, remedy):
        raise CheckpointError(f'{self.file.path}: {self.where} {why}; {remedy}')

    def expect(self, record, *kinds):
        """Fails unless the record is a module of these classes without parts that none has."""
        if record.kind not in kinds:
            self.fail(f'has a {record.kind} where a {kinds[0]} belongs', KNOWN)
        for name in record.children:
            if name not in PARTS.get(record.kind, record.children):
                self.fail(f'({record.kind}) has a part {name}', KNOWN)

    def child(self, record, name):
        child = record.children.get(name)
        if child is None:
            self.fail(f'({record.kind}) has no part {name}', 'get the file again')
        return child

    def only(self, record, **expected):
        """Fails where an attribute is there and has another value than network.py computes by."""
        for name, value in expected.items():
            found = record.get(name, value)
            if isinstance(found, tuple) and isinstance(value, int):
                value = (value, ) * len(found)
            if found != value:
                self.fail(f'({record.kind}) has {name} {found}', f'training knows {value} alone')

    def numbers(self, record, name, tensors='_parameters'):
        """A parameter or buffer in float32."""
        tensor = self.file.tensor(record.table(tensors).get(name))
        return None if tensor is None else tensor.float()

    def kernel(self, record):
        """The weights of a Conv2d, [outputs][inputs / groups][rows][columns], checked to be what
        the padding, stride and groups that are given make of a square window."""
        self.expect(record, 'Conv2d')
        self.only(record, padding_mode='zeros', dilation=1)
        weight = self.numbers(record, 'weight')
        if weight is None or weight.dim() != 4:
            self.fail('has a convolution without weights', 'get the file again')
        size, stride = weight.shape[2], record.get('stride', (1, 1))
        self.only(record, padding=size // 2)
        if weight.shape[3] != size or not isinstance(stride, tuple) or len(set(stride)) != 1:
            self.fail(f'has a window of {tuple(weight.shape[2:])} and stride {stride}',
                      'training knows square ones')
        return weight, stride[0], record.get('groups', 1)

    def conv2d(self, record):
        """The last layer of a branch, with its bias."""
        weight, stride, groups = self.kernel(record)
        bias = self.numbers(record, 'bias')
        made = nn.Conv2d(weight.shape[1] * groups, *weight.shape[:1], weight.shape[2], stride,
                         weight.shape[2] // 2, groups=groups, bias=bias is not None)
        with torch.no_grad():
            made.weight.copy_(weight)
            if bias is not None:
                made.bias.copy_(bias)
        return made

    def conv(self, record):
        """Conv. A file that was fused gets a batch norm that only adds its bias: training can
        then go on with it."""
        self.expect(record, 'Conv', 'DWConv')
        inner, act = self.child(record, 'conv'), record.children.get('act')
        weight, stride, groups = self.kernel(inner)
        name = act.kind if act else 'Identity'
        if name not in ACTIVATIONS:
            self.fail(f'has the activation {name}', f'training knows {", ".join(ACTIVATIONS)}')
        made = network.Conv(weight.shape[1] * groups, weight.shape[0], weight.shape[2], stride,
                            groups, ACTIVATIONS[name])
        bias, bn = self.numbers(inner, 'bias'), record.children.get('bn')
        with torch.no_grad():
            made.conv.weight.copy_(weight)
            if bn is not None and bn.kind == 'BatchNorm2d':
                self.norm(bn, made.bn)
                if bias is not None:
                    made.bn.running_mean -= bias
            else:
                made.bn.running_var.fill_(1 - made.bn.eps)
                if bias is not None:
                    made.bn.bias.copy_(bias)
        return made

    def norm(self, record, norm):
        norm.eps = record.get('eps', norm.eps)
        for name, table in (('weight', '_parameters'), ('bias', '_parameters'),
                            ('running_mean', '_buffers'), ('running_var', '_buffers')):
            values = self.numbers(record, name, table)
            if values is None or values.shape != norm.weight.shape:
                self.fail(f'has a batch norm without its {name}', 'get the file again')
            getattr(norm, name).copy_(values)

    def part(self, record, name):
        return self.conv(self.child(record, name))

    def block(self, record):
        kind = record.kind
        if kind not in PARTS:
            self.fail(f'is a {kind}', KNOWN)
        self.expect(record, kind)
        if kind in ('Conv', 'DWConv'):
            return self.conv(record)
        if kind in ('C2f', 'C2f_v2', 'C3k2'):
            return self.c2f(record)
        if kind == 'C2PSA':
            return self.c2psa(record)
        if kind == 'SPPF':
            return self.sppf(record)
        if kind == 'Upsample':
            self.only(record, mode='nearest', size=None, scale_factor=2.)
            return nn.Upsample(scale_factor=2)
        if kind == 'Concat':
            self.only(record, d=1)
            return network.Concat()
        return self.head(record)

    def c2f(self, record):
        bottlenecks = []
        for inner in self.child(record, 'm').children.values():
            if record.kind == 'C3k2' and inner.kind == 'C3k':
                self.expect(inner, 'C3k')
                bottlenecks.append(network.C3k(
                    *(self.part(inner, name) for name in ('cv1', 'cv2', 'cv3')),
                    map(self.bottleneck, self.child(inner, 'm').children.values())))
            elif record.kind == 'C3k2' and inner.kind == 'Sequential':
                bottlenecks.append(self.attentive(inner))
            else:
                bottlenecks.append(self.bottleneck(inner))
        first = self.part(record, 'cv1')
        if record.kind == 'C2f_v2':             # Torch-Pruning's example splits the halves
            other = self.part(record, 'cv0')
            if other.conv.out_channels != first.conv.out_channels:
                self.fail('has halves of different widths', 'prune both by as much')
            first = network.join(other, first)
        if first.conv.out_channels % 2:
            self.fail('has halves of different widths', 'prune both by as much')
        return network.C2f(first, self.part(record, 'cv2'), bottlenecks)

    def bottleneck(self, record):
        self.expect(record, 'Bottleneck')
        return network.Bottleneck(self.part(record, 'cv1'), self.part(record, 'cv2'),
                                  bool(record.get('add')))

    def attentive(self, record):
        """A bottleneck with attention behind it."""
        parts = list(record.children.values())
        if [part.kind for part in parts] != ['Bottleneck', 'PSABlock']:
            self.fail(f'(C3k2) has a chain of {", ".join(part.kind for part in parts)}', KNOWN)
        first = self.bottleneck(parts[0])
        return nn.Sequential(first, self.psa_block(parts[1], first.cv2.conv.out_channels))

    def psa_block(self, record, channels):
        self.expect(record, 'PSABlock')
        ffn = list(self.child(record, 'ffn').children.values())
        if len(ffn) != 2:
            self.fail(f'(PSABlock) has {len(ffn)} layers in its ffn', KNOWN)
        return network.PSABlock(self.attention(self.child(record, 'attn'), channels),
                                *map(self.conv, ffn), bool(record.get('add')))

    def c2psa(self, record):
        first, blocks = self.part(record, 'cv1'), []
        half = first.conv.out_channels // 2
        for inner in self.child(record, 'm').children.values():
            blocks.append(self.psa_block(inner, half))
        return network.C2PSA(first, self.part(record, 'cv2'), blocks)

    def attention(self, record, channels):
        """channels: of the map that it reads."""
        self.expect(record, 'Attention')
        heads, key = record.get('num_heads'), record.get('key_dim')
        parts = [self.part(record, name) for name in ('qkv', 'proj', 'pe')]
        if not all(type(n) is int and 0 < n <= channels for n in (heads, key)) \
                or channels % heads or parts[0].conv.out_channels != channels + 2 * heads * key:
            self.fail(f'(Attention) has {heads} heads of {key} that do not fit its channels',
                      'get the file again')
        self.only(record, head_dim=channels // heads)
        if abs(record.get('scale', key ** -.5) - key ** -.5) > 1e-6:
            self.fail(f'(Attention) has scale {record.get("scale")}', 'get the file again')
        return network.Attention(*parts, heads, key)

    def sppf(self, record):
        pool = self.child(record, 'm')
        self.only(pool, stride=1, dilation=1, ceil_mode=False)
        size, pools = pool.get('kernel_size'), record.get('n', 3)
        if pool.kind != 'MaxPool2d' or not isinstance(size, int) or size % 2 == 0:
            self.fail(f'pools by {pool.kind} of {size}', 'training knows MaxPool2d of odd size')
        if not isinstance(pools, int) or not 1 <= pools <= 16:
            self.fail(f'has {pools} poolings', 'get the file again')
        self.only(pool, padding=size // 2)
        return network.SPPF(self.part(record, 'cv1'), self.part(record, 'cv2'), size, pools,
                            bool(record.get('add')))

    def head(self, record):
        bins, strides = record.get('reg_max'), self.file.tensor(record.get('stride'))
        if not isinstance(bins, int) or bins < 1:
            self.fail(f'has {bins} bins for a side', 'training knows 1 or more')
        if strides is None or strides.dim() != 1 or not all(
                s in range(1, MOST_STRIDE + 1) for s in strides.tolist()):
            self.fail('has no strides that make sense', 'get the file again')
        self.check_bins(self.child(record, 'dfl'), bins)
        strides = [int(s) for s in strides]

        def levels(name, channels):
            return self.levels(record, name, channels, len(strides))
        parts = levels('cv2', 4 * bins), levels('cv3', record.get('nc')), bins, strides
        if record.kind == 'Segment':
            proto = self.proto(self.child(record, 'proto'))
            return network.Segment(*parts, levels('cv4', proto.cv3.conv.out_channels), proto)
        if record.kind == 'Pose':
            shape = self.points(record)
            return network.Pose(*parts, levels('cv4', shape[0] * shape[1]), shape)
        if 'one2one_cv2' not in record.children:
            return network.Detect(*parts)
        one = levels('one2one_cv2', 4 * bins), levels('one2one_cv3', record.get('nc'))
        return network.Detect(*parts, one, record.get('_end2end') is True)

    def check_bins(self, record, bins):
        """Of one bin, distances are the maps themselves."""
        if bins == 1 and record.kind == 'Identity':
            return
        values = self.numbers(self.child(record, 'conv'), 'weight')
        if (values is None or values.numel() != bins
                or values.flatten().tolist() != list(range(bins))):
            self.fail('has bins (dfl) of other values than 0, 1, ...', KNOWN)

    def levels(self, record, name, channels, count):
        """The branches of all levels, each of which ends in so many channels."""
        branches = [self.branch(level) for level in self.child(record, name).children.values()]
        for branch in branches:
            if not isinstance(branch[-1], nn.Conv2d) or branch[-1].out_channels != channels:
                self.fail(f'has a branch that does not end in {channels} channels',
                          'get the file again')
        if len(branches) != count:
            self.fail('has branches and strides that do not match', 'get the file again')
        return branches

    def points(self, record):
        """(how many points, numbers of each)"""
        shape = record.get('kpt_shape')
        shape = list(shape) if isinstance(shape, (list, tuple)) else []
        if (len(shape) != 2 or not all(type(n) is int for n in shape)
                or not 1 <= shape[0] <= MOST_POINTS or shape[1] not in (2, 3)):
            self.fail(f'has points of the shape {shape}', 'training knows points of 2 or 3 numbers')
        return shape

    def proto(self, record):
        self.expect(record, 'Proto')
        return network.Proto(self.part(record, 'cv1'),
                             self.upsampling(self.child(record, 'upsample')),
                             self.part(record, 'cv2'), self.part(record, 'cv3'))

    def upsampling(self, record):
        """A transposed convolution that makes a map twice as large."""
        self.expect(record, 'ConvTranspose2d')
        self.only(record, kernel_size=2, stride=2, padding=0, output_padding=0, dilation=1,
                  groups=1)
        weight, bias = self.numbers(record, 'weight'), self.numbers(record, 'bias')
        if weight is None or weight.dim() != 4 or weight.shape[2:] != (2, 2):
            self.fail('has a transposed convolution without weights', 'get the file again')
        made = nn.ConvTranspose2d(*weight.shape[:2], 2, 2, bias=bias is not None)
        with torch.no_grad():
            made.weight.copy_(weight)
            if bias is not None:
                made.bias.copy_(bias)
        return made

    def branch(self, record):
        parts = []
        for part in record.children.values():
            if part.kind == 'Sequential':
                parts.append(self.branch(part))
            else:
                parts.append(self.conv2d(part) if part.kind == 'Conv2d' else self.conv(part))
        if record.kind != 'Sequential' or not parts:
            self.fail(f'has a {record.kind} where a branch belongs', 'get the file again')
        return nn.Sequential(*parts)


def model_of(file):
    """The record of the network: the average of training where there is one."""
    top = file.top.items if isinstance(file.top, Record) else file.top
    remedy = 'give the .pt file that Ultralytics\' training wrote'
    if not isinstance(top, dict):
        raise CheckpointError(f'{file.path}: not a network but a {type(top).__name__}; {remedy}')
    model = top.get('ema') or top.get('model')
    if isinstance(model, Record) and model.kind in ('DataParallel', 'DistributedDataParallel'):
        model = model.children.get('module')
    if not isinstance(model, Record) or model.kind == 'OrderedDict':
        raise CheckpointError(f'{file.path}: weights without their network; {remedy}')
    if not model.path.startswith('ultralytics.nn.'):
        raise CheckpointError(f'{file.path}: another project\'s network ({model.path}); {remedy}')
    if model.kind not in TASKS or 'model' not in model.children:
        raise CheckpointError(f'{file.path}: a {model.kind}; {KNOWN}')
    if top.get('modelopt') is not None:
        raise CheckpointError(f'{file.path}: was quantised in training (modelopt); give the .pt '
                              'file of before that')
    if model.table('yaml').get('channels', 3) != 3:
        raise CheckpointError(f'{file.path}: takes pictures of {model.table("yaml")["channels"]} '
                              'channels; training knows R G B')
    return model


def names_of(file, model, classes):
    """{number: name} of as many classes as the head has."""
    names = model.get('names', {})
    names = dict(enumerate(names)) if isinstance(names, (list, tuple)) else names
    if isinstance(names, Record):
        names = names.items
    if not isinstance(names, dict) or set(names) != set(range(classes)):
        raise CheckpointError(f'{file.path}: the names of its classes are not those of '
                              f'{classes} classes; set model.names and save it again')
    return {number: str(names[number]) for number in range(classes)}


def read(path):
    """The Network of a checkpoint, in float32, to be evaluated. Raises CheckpointError."""
    try:
        with File(path) as file:
            made = build(file)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError,
            ValueError) as why:
        # Of a damaged file any value may be anything.
        raise CheckpointError(f'{path}: is damaged ({why}); get the file again') from None
    try_out(path, made)
    return made


def build(file):
    model, builder = model_of(file), Builder(file)
    layers, froms = [], []
    for i, (name, record) in enumerate(model.children['model'].children.items()):
        builder.where = f'layer {name}'
        layers.append(builder.block(record))
        f = record.get('f')
        sources = f if isinstance(f, list) else [f]
        if (not all(type(s) is int and -1 <= s < i for s in sources) or (i == 0 and f != -1)
                or isinstance(f, list) != (record.kind in ('Concat', *TASKS.values()))):
            builder.fail(f'({record.kind}) reads {f}', 'get the file again')
        froms.append(f)
    if not layers or record.kind != TASKS[model.kind]:
        raise CheckpointError(f'{file.path}: the last layer of a {model.kind} is no '
                              f'{TASKS[model.kind]}; {KNOWN}')
    classes = layers[-1].cv3[0][-1].out_channels
    return network.Network(layers, froms, names_of(file, model, classes)).eval()


def try_out(path, made):
    """Fails where layers do not fit each other, or maps not the strides."""
    strides = made.head.strides
    try:
        with torch.no_grad():
            maps = made(torch.zeros(1, 3, max(strides), max(strides)))
    except (RuntimeError, TypeError, ValueError) as why:
        raise CheckpointError(f'{path}: its layers do not fit each other, or pictures of three '
                              f'channels ({why}); get the file again') from None
    for level, stride in zip(maps, strides):
        if {part.shape[2:] for part in level} != {(max(strides) // stride, ) * 2}:
            raise CheckpointError(f'{path}: a map has not the stride {stride} that the head says; '
                                  'get the file again')
