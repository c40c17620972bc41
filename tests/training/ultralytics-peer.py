#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ultralytics-peer.py FOLDER: what Ultralytics' package computes of the inputs in FOLDER/in.pt, in
FOLDER/out.pt. Runs in an environment of its own (ultralytics.sh).

losses: [(box logits, class logits, sizes of the levels, objects)], objects as in training/loss.py
but with boxes as parts of the picture; gives the three losses and their gradients.
forward: (path of a checkpoint, pictures); gives what the network computes.
"""

import os
import sys

import torch
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel


def loss(boxes, scores, sizes, size, objects):
    model = DetectionModel('yolov8n.yaml', nc=scores.shape[1], verbose=False)
    model.args = get_cfg()
    boxes, scores = boxes.requires_grad_(), scores.requires_grad_()
    maps = {'boxes': boxes, 'scores': scores,
            'feats': [torch.zeros(len(boxes), 1, *level) for level in sizes]}
    objects = objects[objects[:, 0].argsort(stable=True)]       # as the package's loader has them
    least, most = objects[:, 2:4], objects[:, 4:]
    scale = torch.tensor([size[1], size[0]])
    batch = {'img': torch.zeros(len(boxes), 3, *size), 'batch_idx': objects[:, 0],
             'cls': objects[:, 1:2],
             'bboxes': torch.cat(((least + most) / 2 / scale, (most - least) / scale), 1)}
    values = model.loss(batch, maps)[0] / len(boxes)
    values.sum().backward()
    return values.detach(), boxes.grad, scores.grad


def main():
    torch.set_num_threads(1)
    folder = sys.argv[1]
    given = torch.load(os.path.join(folder, 'in.pt'))
    made = {}
    if 'losses' in given:
        made['losses'] = [loss(*case) for case in given['losses']]
    if 'forward' in given:
        path, images = given['forward']
        model = torch.load(path, weights_only=False)['model'].float().eval()
        with torch.no_grad():
            made['forward'] = model(images)[0]
    torch.save(made, os.path.join(folder, 'out.pt'))


main()
