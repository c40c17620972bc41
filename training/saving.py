# SPDX-License-Identifier: MIT
"""Writes a Network as a checkpoint in the form of Ultralytics'.

A pickle names classes by text. Modules of PyTorch go in as they are; ours as objects of made-up
classes with the names that Ultralytics' have, whose attributes are those that its forward
functions read. Nothing of its package is needed, and none of its code is in the file.
"""

import contextlib
import copy
import os
import sys
import types

import torch
from torch import nn

from . import network

PACKAGE = 'ultralytics'
PLACES = {'Conv': 'ultralytics.nn.modules.conv', 'Concat': 'ultralytics.nn.modules.conv',
          'C2f': 'ultralytics.nn.modules.block', 'Bottleneck': 'ultralytics.nn.modules.block',
          'C3k2': 'ultralytics.nn.modules.block', 'C3k': 'ultralytics.nn.modules.block',
          'C2PSA': 'ultralytics.nn.modules.block', 'PSABlock': 'ultralytics.nn.modules.block',
          'Attention': 'ultralytics.nn.modules.block',
          'SPPF': 'ultralytics.nn.modules.block', 'DFL': 'ultralytics.nn.modules.block',
          'Proto': 'ultralytics.nn.modules.block', 'Detect': 'ultralytics.nn.modules.head',
          'Segment': 'ultralytics.nn.modules.head', 'Pose': 'ultralytics.nn.modules.head',
          'DetectionModel': 'ultralytics.nn.tasks', 'SegmentationModel': 'ultralytics.nn.tasks',
          'PoseModel': 'ultralytics.nn.tasks'}
MODELS = {'detect': 'DetectionModel', 'segment': 'SegmentationModel', 'pose': 'PoseModel'}
CLASSES = {name: type(name, (nn.Module, ), {'__module__': module})
           for name, module in PLACES.items()}


def named(name, parts, **attributes):
    """A module of a made-up class."""
    made = CLASSES[name]()
    for key, part in parts.items():
        made.add_module(key, part)
    made.__dict__.update(attributes)
    return made


def part(module):
    """The module as Ultralytics' tree has it. Weights are those of the module itself."""
    def sequence(kind, modules):
        return kind(*map(part, modules)) if kind is nn.Sequential else kind(map(part, modules))
    if isinstance(module, network.Conv):
        return named('Conv', {'conv': module.conv, 'bn': module.bn, 'act': module.act})
    if isinstance(module, network.Bottleneck):
        return named('Bottleneck', {'cv1': part(module.cv1), 'cv2': part(module.cv2)},
                     add=module.add)
    if isinstance(module, network.C3k):
        return named('C3k', {'cv1': part(module.cv1), 'cv2': part(module.cv2),
                             'cv3': part(module.cv3), 'm': sequence(nn.Sequential, module.m)})
    if isinstance(module, network.Attention):
        values = module.qkv.conv.out_channels - 2 * module.heads * module.key
        return named('Attention', {'qkv': part(module.qkv), 'proj': part(module.proj),
                                   'pe': part(module.pe)}, num_heads=module.heads,
                     key_dim=module.key, head_dim=values // module.heads, scale=module.key ** -.5)
    if isinstance(module, network.PSABlock):
        return named('PSABlock', {'attn': part(module.attn),
                                  'ffn': sequence(nn.Sequential, module.ffn)}, add=module.add)
    if isinstance(module, network.C2PSA):
        return named('C2PSA', {'cv1': part(module.cv1), 'cv2': part(module.cv2),
                               'm': sequence(nn.Sequential, module.m)},
                     c=module.cv1.conv.out_channels // 2)
    if isinstance(module, network.C2f):
        kind = 'C2f' if all(isinstance(inner, network.Bottleneck) for inner in module.m) else 'C3k2'
        return named(kind, {'cv1': part(module.cv1), 'cv2': part(module.cv2),
                             'm': sequence(nn.ModuleList, module.m)},
                     c=module.cv1.conv.out_channels // 2)
    if isinstance(module, network.SPPF):
        return named('SPPF', {'cv1': part(module.cv1), 'cv2': part(module.cv2), 'm': module.m},
                     n=module.pools, add=module.add)
    if isinstance(module, network.Concat):
        return named('Concat', {}, d=1)
    if isinstance(module, nn.Sequential):
        return sequence(nn.Sequential, module)
    if isinstance(module, network.Proto):
        return named('Proto', {'cv1': part(module.cv1), 'upsample': module.upsample,
                               'cv2': part(module.cv2), 'cv3': part(module.cv3)})
    if isinstance(module, network.Detect):
        return head(module, sequence)
    return module


def head(module, sequence):
    bins, classes = module.bins, module.cv3[0][-1].out_channels
    expectation = nn.Conv2d(bins, 1, 1, bias=False).requires_grad_(False)
    expectation.weight.copy_(torch.arange(bins).view(1, bins, 1, 1))
    mean = named('DFL', {'conv': expectation}, c1=bins) if bins > 1 else nn.Identity()
    parts = {'cv2': sequence(nn.ModuleList, module.cv2), 'cv3': sequence(nn.ModuleList, module.cv3),
             'dfl': mean}
    said = {'nc': classes, 'nl': len(module.strides), 'reg_max': bins, 'no': classes + 4 * bins,
            'stride': torch.tensor(module.strides, dtype=torch.float32)}
    if module.one:
        parts |= {f'one2one_{name}': sequence(nn.ModuleList, branches)
                  for name, branches in zip(('cv2', 'cv3'), module.one)}
        said['_end2end'] = module.end_to_end
    if isinstance(module, network.Segment):
        parts |= {'proto': part(module.proto), 'cv4': sequence(nn.ModuleList, module.cv4)}
        said |= {'nm': module.proto.cv3.conv.out_channels,
                 'npr': module.proto.cv1.conv.out_channels}
    if isinstance(module, network.Pose):
        parts['cv4'] = sequence(nn.ModuleList, module.cv4)
        said |= {'kpt_shape': module.shape, 'nk': module.shape[0] * module.shape[1]}
    return named(type(module).__name__, parts, **said)


@contextlib.contextmanager
def importable():
    """Within, pickle finds the made-up classes where their names say; a package of that name is
    put back afterwards."""
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules)
              if name.split('.')[0] == PACKAGE}
    try:
        for name, module in PLACES.items():
            path = module.split('.')
            for length in range(1, len(path) + 1):
                inner = '.'.join(path[:length])
                sys.modules.setdefault(inner, types.ModuleType(inner))
            setattr(sys.modules[module], name, CLASSES[name])
        yield
    finally:
        for name in [n for n in sys.modules if n.split('.')[0] == PACKAGE]:
            del sys.modules[name]
        sys.modules.update(hidden)


def fits_in_half(model):
    most = torch.finfo(torch.float16).max
    return all(tensor.abs().max() <= most for tensor in model.state_dict().values()
               if tensor.is_floating_point())


def save(net, path, size=(640, 640), half=True):
    """size: rows and columns of the pictures that the network was trained for; half: whether in
    half precision, as files that Ultralytics publishes, if the numbers fit. The network stays as
    it is. A file that is there is replaced once the new one is whole."""
    net = copy.deepcopy(net).cpu().eval()
    layers = []
    for layer in net.model:
        with torch.no_grad():
            made = part(layer)
        # Attributes of a layer alone: a module of PyTorch's has them already.
        made.i, made.f = layer.i, layer.f
        made.type = f'{type(made).__module__}.{type(made).__name__}'
        made.np = sum(p.numel() for p in layer.parameters())
        layers.append(made)
    strides = net.head.strides
    side = list(size) if size[0] != size[1] else size[0]
    task, said = net.head.task, {'nc': len(net.names), 'channels': 3}
    if isinstance(net.head, network.Pose):
        said['kpt_shape'] = list(net.head.shape)
    model = named(MODELS[task], {'model': nn.Sequential(*layers)},
                  names=dict(net.names), stride=torch.tensor(strides, dtype=torch.float32),
                  save=sorted(net.kept), inplace=True, nc=len(net.names), task=task, yaml=said,
                  args={'imgsz': side, 'task': task})
    if isinstance(net.head, network.Pose):
        model.kpt_shape = list(net.head.shape)
    model.eval()
    if half and fits_in_half(model):
        model.half()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    folder, name = os.path.split(path)
    whole = os.path.join(folder, f'.{os.getpid()}-{name}')
    try:
        with importable():
            torch.save({'epoch': -1, 'model': model, 'ema': None, 'optimizer': None,
                        'updates': None, 'best_fitness': None, 'version': '8.4.0',
                        'train_args': {'imgsz': side, 'task': task}}, whole)
        os.replace(whole, path)
    finally:
        if os.path.exists(whole):
            os.remove(whole)
