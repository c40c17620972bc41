#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ultralytics-peer.py FOLDER: what Ultralytics' package computes of the inputs in FOLDER/in.pt, in
FOLDER/out.pt. Runs in an environment of its own (ultralytics.sh).

losses: [{model, maps, sizes of the levels, size of the pictures, objects, batch}], objects as in
training/loss.py; gives the parts of the loss and the maps' gradients. one: maps of a second head.
forward: (path of a checkpoint, pictures); gives what the network computes, and prototypes.
"""

import os
import sys

import torch
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks


def loss(model, maps, sizes, size, objects, batch=None, bins=16, one=None):
    kind = {'seg': tasks.SegmentationModel, 'pose': tasks.PoseModel}.get(
        model.partition('-')[2], tasks.DetectionModel)
    batch = dict(batch or {})
    more = {'data_kpt_shape': tuple(batch.pop('shape'))} if 'shape' in batch else {}
    made = kind(model + '.yaml', nc=maps['scores'].shape[1], verbose=False, **more)
    made.args = get_cfg(overrides={'overlap_mask': False, 'epochs': 10})
    made.model[-1].reg_max = bins
    made.model[-1].no = maps['scores'].shape[1] + 4 * bins
    feats = [torch.zeros(len(maps['boxes']), 1, *level) for level in sizes]
    for part in (*maps.values(), *(one or {}).values()):
        part.requires_grad_()
    given = {**maps, 'feats': feats}
    if one:
        given = {'one2many': given, 'one2one': {**one, 'feats': feats}}
    order = objects[:, 0].argsort(stable=True)          # as the package's loader has them
    objects = objects[order]
    batch = {key: each[order] for key, each in batch.items()}
    least, most = objects[:, 2:4], objects[:, 4:6]
    scale = torch.tensor([size[1], size[0]])
    batch |= {'img': torch.zeros(len(feats[0]), 3, *size), 'batch_idx': objects[:, 0],
              'cls': objects[:, 1:2],
              'bboxes': torch.cat(((least + most) / 2 / scale, (most - least) / scale), 1)}
    values = made.loss(batch, given)[0] / len(feats[0])
    values.sum().backward()
    gradients = {key: each.grad for key, each in maps.items()}
    gradients |= {f'one {key}': each.grad for key, each in (one or {}).items()}
    return values.detach(), gradients


def main():
    torch.set_num_threads(1)
    folder = sys.argv[1]
    given = torch.load(os.path.join(folder, 'in.pt'))
    made = {}
    if 'losses' in given:
        made['losses'] = [loss(**case) for case in given['losses']]
    if 'forward' in given:
        path, images = given['forward']
        model = torch.load(path, weights_only=False)['model'].float().eval()
        with torch.no_grad():
            found = model(images)[0]
        made['forward'] = found if isinstance(found, tuple) else (found, )
    torch.save(made, os.path.join(folder, 'out.pt'))


main()
