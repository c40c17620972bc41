#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The losses against their formulas written out plainly, and against Ultralytics' numbers where
its package is installed. Prints TAP."""

import math
import os
import subprocess

from environment import HERE, SHARED
from pictures import maps_and_labels
from tap import Skip, folder, run_cases

import torch
from torch.nn import functional
from training import checkpoint, loss, network, norms, prune, saving

SIZE, STRIDES, BINS, CLASSES = (96, 128), (8, 16, 32), 16, 5
SIZES = [(SIZE[0] // s, SIZE[1] // s) for s in STRIDES]


class Head:
    task, bins, strides = 'detect', BINS, STRIDES


def random_maps(seed, pictures, small=False):
    """small: boxes of one or two pixels of the maps."""
    generator = torch.Generator().manual_seed(seed)
    bins = torch.zeros(4, BINS)
    bins[:, :2] = 8. if small else 0.
    return network.Maps((torch.randn(pictures, 4 * BINS, *size, generator=generator) * 2
                         + bins.view(1, -1, 1, 1),
                         torch.randn(pictures, CLASSES, *size, generator=generator) - 1)
                        for size in SIZES)


def random_objects(seed, pictures, count, small=False):
    """Boxes in random pictures, of 16 pixels or more; or small ones, of 4 to 16."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)
    whole = torch.tensor([SIZE[1], SIZE[0]])
    sizes = 4 + uniform(count, 2) * 12 if small else 16 + uniform(count, 2) * (whole - 16) * .7
    corner = uniform(count, 2) * (whole - sizes)
    return torch.cat(((uniform(count, 1) * pictures).floor(), (uniform(count, 1) * CLASSES).floor(),
                      corner, corner + sizes), 1)


def taught(maps, objects):
    """The three losses, and the gradients of joined maps."""
    boxes, classes = (part.detach() for part in network.joined(maps))
    boxes.requires_grad_()
    classes.requires_grad_()
    counts = [rows * columns for rows, columns in SIZES]
    levels = network.Maps((b.unflatten(2, size), c.unflatten(2, size)) for b, c, size in
                          zip(boxes.split(counts, 2), classes.split(counts, 2), SIZES))
    values = loss.detection(levels, objects, Head)
    values['total'].backward()
    three = torch.stack([values[part] for part in ('box', 'class', 'bins')]).detach()
    assert torch.isclose(three.sum(), values['total'].detach())
    return three, boxes.grad, classes.grad


def ciou_of_known_boxes():
    """Worked by hand, after the paper's equations."""
    a, b = torch.tensor([0., 0, 4, 2]), torch.tensor([2., 0, 4, 4])
    iou, apart, around = 4 / 12, (2 - 3) ** 2 + (1 - 2) ** 2, 4 ** 2 + 4 ** 2
    v = 4 / math.pi ** 2 * (math.atan(2) - math.atan(.5)) ** 2
    expected = iou - apart / around - v * v / (1 - iou + v)
    assert math.isclose(loss.ciou(a, b), expected, abs_tol=1e-6), (loss.ciou(a, b), expected)
    assert math.isclose(loss.ciou(a, a), 1, abs_tol=1e-6)
    assert loss.ciou(a, a + 100) < -.5
    empty = torch.zeros(4, requires_grad=True)
    loss.ciou(empty, empty).backward()
    assert empty.grad.isfinite().all()


def assigned_plainly(scores, boxes, points, classes, wanted, smallest):
    """assign() of one picture, anchor by anchor and object by object."""
    anchors, count = len(points), len(wanted)
    overlap, metric = torch.zeros(count, anchors), torch.full((count, anchors), -1.)
    for m in range(count):
        for a in range(anchors):
            near = all(abs(2 * points[a, i] - wanted[m, i] - wanted[m, i + 2])
                       < max(wanted[m, i + 2] - wanted[m, i], smallest) for i in (0, 1))
            if near:
                overlap[m, a] = max(loss.ciou(wanted[m], boxes[a]), 0)
                metric[m, a] = scores[a, classes[m]] ** .5 * overlap[m, a] ** 6
    chosen = [[m for m in range(count) if metric[m, a] > 0
               and (metric[m] > metric[m, a]).sum() < 10] for a in range(anchors)]
    owner = [max(range(count), key=lambda m, a=a: overlap[m, a]) if len(chosen[a]) > 1
             else chosen[a][0] if chosen[a] else None for a in range(anchors)]
    goals = torch.zeros_like(scores)
    for m in range(count):
        own = [a for a in range(anchors) if owner[a] == m]
        if own:
            best, largest = (max(float(values[m, a]) for a in own) for values in (metric, overlap))
            for a in own:
                goals[a, classes[m]] = metric[m, a] / (best + 1e-9) * largest
    return goals, owner


def anchors_learn_the_objects_that_fit():
    assert loss.smallest_side(STRIDES) == 16
    assert_assigned(random_maps(1, 2), random_objects(2, 2, 9), 0., 40)
    assert_assigned(random_maps(1, 2), random_objects(2, 2, 9), 16., 40)
    small, objects = random_maps(1, 2, True), random_objects(2, 2, 9, True)
    few, many = (assert_assigned(small, objects, smallest, 5) for smallest in (0., 16.))
    assert many > few, (few, many)


def assert_assigned(maps, objects, smallest, least):
    """How many anchors learn something, `least` or more."""
    points, strides = network.anchors_of(SIZES, STRIDES)
    logits, classes = (part.transpose(1, 2) for part in network.joined(maps))
    sides = network.distances(logits.transpose(1, 2), BINS).transpose(1, 2) * strides
    boxes = torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
    goals, scores, owners = loss.assign(classes.sigmoid(), boxes, points, objects, smallest)
    for picture in range(2):
        own = objects[objects[:, 0] == picture]
        expected, owner = assigned_plainly(classes[picture].sigmoid(), boxes[picture], points,
                                           own[:, 1].long(), own[:, 2:], smallest)
        assert torch.allclose(scores[picture], expected, atol=1e-5)
        for anchor in (scores[picture].sum(-1) > 0).nonzero().flatten():
            assert torch.equal(goals[picture, anchor], own[owner[anchor], 2:])
            assert torch.equal(objects[owners[picture, anchor]], own[owner[anchor]])
    learn = int((scores > 0).sum())
    assert learn >= least, learn
    return learn


def objects_come_in_any_order():
    maps, objects = random_maps(3, 3), random_objects(4, 3, 12)
    first, *_ = taught(maps, objects)
    second, *_ = taught(maps, objects[torch.randperm(12)])
    assert torch.allclose(first, second, rtol=1e-5), (first, second)


def pictures_without_objects():
    maps = random_maps(5, 2)
    three, boxes, classes = taught(maps, torch.zeros(0, 6))
    assert three[0] == 0 and three[2] == 0 and not boxes.any()
    expected = functional.softplus(network.joined(maps)[1]).sum() * loss.CLASS_GAIN
    assert torch.isclose(three[1], expected), (three, expected)
    assert classes.isfinite().all()


def two_processes_learn_as_one():
    """Halves of a batch that share the normaliser have, on average, the whole's gradients."""
    for count in (1, 10):                       # of one object the scores' sum is below 1
        assert_halves_learn_as_one(random_maps(6, 4), random_objects(7, 4, count))


def assert_halves_learn_as_one(maps, objects):
    _, boxes, classes = taught(maps, objects)
    halves, totals = [], []
    for share in (lambda total: totals.append(total) or total,
                  lambda _: loss.at_least_one(sum(totals[:2])) / 2):
        halves = []
        for first in (0, 2):
            part = network.Maps((b[first:first + 2].clone().requires_grad_(),
                                 c[first:first + 2].clone().requires_grad_()) for b, c in maps)
            own = objects[(objects[:, 0] >= first) & (objects[:, 0] < first + 2)]
            own = torch.cat((own[:, :1] - first, own[:, 1:]), 1)
            loss.detection(part, own, Head, share)['total'].backward()
            halves.append([torch.cat([level[i].grad.flatten(2) for level in part], 2) / 2
                           for i in range(2)])
    for i, whole in enumerate((boxes, classes)):
        assert torch.allclose(torch.cat([half[i] for half in halves]), whole, atol=1e-7)


def a_teacher_is_followed():
    """Divergences written out, at the anchors where the teacher sees something."""
    student, teacher = random_maps(8, 2), random_maps(9, 2)
    teacher = [(box, cls - 2) for box, cls in teacher]
    found = loss.distillation(student, teacher, BINS, temperature=3., least=.2)
    (box, cls), (goal_box, goal_cls) = (network.joined(m) for m in (student, teacher))
    p, q = goal_cls.sigmoid().double(), cls.sigmoid().double()
    kl = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(1)
    weight = p.amax(1) * (p.amax(1) >= .2)
    assert 10 < (weight > 0).sum() < weight.numel() / 2
    expected = (kl * weight).sum() / weight.sum()
    assert torch.isclose(found['class'].double(), expected, rtol=1e-4), (found, expected)
    p, q = ((logits.double().unflatten(1, (4, BINS)) / 3).softmax(2) for logits in (goal_box, box))
    kl = (p * (p / q).log()).sum(2).mean(1)
    expected = (kl * weight).sum() / weight.sum() * 9
    assert torch.isclose(found['bins'].double(), expected, rtol=1e-4), (found, expected)
    same = loss.distillation(teacher, teacher, BINS)
    assert abs(same['class']) < 1e-5 and abs(same['bins']) < 1e-5, same
    blind = [(box, cls - 50) for box, cls in teacher]
    nothing = loss.distillation(student, blind, BINS)
    assert nothing['class'] == 0 and nothing['bins'] == 0, nothing


def features_are_followed():
    """The divergence of softmaxes over places, written out, in double; 0 of the same maps."""
    g = torch.Generator().manual_seed(3)
    own, goal = ([torch.randn(2, 3, side, side + 1, generator=g) * 4 for side in (4, 2)]
                 for _ in range(2))
    expected = 0
    for a, b in zip(own, goal):
        q, p = ((each.double().flatten(2) / 2).softmax(-1) for each in (a, b))
        expected += (p * (p / q).log()).sum() / 6 * 4
    assert torch.isclose(loss.imitation(own, goal, 2.).double(), expected, rtol=1e-4)
    assert abs(loss.imitation(own, own)) < 1e-5


def peer(**given):
    """What Ultralytics' package computes, in its own environment."""
    script = os.path.join(HERE, 'ultralytics.sh')
    python = subprocess.run([script, '--existing'], stdout=subprocess.PIPE, text=True,
                            check=False).stdout.strip()
    if not python:
        raise Skip('Ultralytics\' package is not installed; tests/training/ultralytics.sh makes '
                   'an environment that has it')
    torch.save(given, os.path.join(folder(), 'in.pt'))
    subprocess.run([python, os.path.join(HERE, 'ultralytics-peer.py'), folder()], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, 'YOLO_CONFIG_DIR': folder()})
    return torch.load(os.path.join(folder(), 'out.pt'))


def losses_are_those_of_ultralytics():
    cases = [(random_maps(seed, pictures, small), random_objects(seed + 50, pictures, count, small))
             for seed, pictures, count, small in ((10, 1, 1, False), (11, 2, 5, False),
                                                  (12, 4, 40, False), (13, 3, 0, False),
                                                  (14, 2, 30, True))]
    theirs = peer(losses=[dict(model='yolov8n', size=SIZE, sizes=SIZES, objects=objects,
                               maps=dict(zip(('boxes', 'scores'), network.joined(maps))))
                          for maps, objects in cases])['losses']
    for (maps, objects), (values, gradients) in zip(cases, theirs):
        three, *own = taught(maps, objects)
        assert torch.allclose(three, values, rtol=1e-5, atol=1e-6), (three, values)
        for mine, other in zip(own, (gradients['boxes'], gradients['scores'])):
            assert torch.allclose(mine, other, rtol=1e-4, atol=1e-7)


def losses_of_other_tasks_are_those_of_ultralytics():
    """Masks that overlap each other, points of a body and others, and YOLO26's two heads."""
    for task, name, more in (('segment', 'yolov8n-seg', ('mask_coefficient', )),
                             ('pose', 'yolov8n-pose', ('kpts', )),
                             ('body', 'yolov8n-pose', ('kpts', )), ('twice', 'yolo26n', ())):
        net, maps, objects, masks = maps_and_labels(task, 7, 3, 12)
        names, batch = ('boxes', 'scores', *more), {'masks': masks}
        given = dict(zip(names, (part.detach() for part in network.joined(maps))))
        if task == 'segment':
            given['proto'] = maps.prototypes.detach()
        if more == ('kpts', ):
            points = objects[:, 6:].view(len(objects), -1, 3) / torch.tensor([96, 64, 1])
            batch['keypoints'], batch['shape'] = points, net.head.shape
        case = dict(model=name, size=(64, 96), maps=given, objects=objects, batch=batch,
                    sizes=[level[0].shape[2:] for level in maps], bins=net.head.bins)
        if maps.one:
            case['one'] = dict(zip(names, (part.detach() for part in network.joined(maps.one))))
        values, gradients = peer(losses=[case])['losses'][0]
        mine = [each.requires_grad_() for each in given.values()]
        made = maps_of(given, case['sizes'], names)
        if maps.one:
            mine += [each.requires_grad_() for each in case['one'].values()]
            made.one = maps_of(case['one'], case['sizes'], names)
        parts = loss.detection(made, objects, net.head, masks=masks)
        parts['total'].backward()
        total = values.sum()
        assert torch.isclose(parts['total'].detach(), total, rtol=1e-5), (task, parts, values)
        theirs = [*gradients.values()]
        for own, other in zip(mine, theirs, strict=True):
            assert torch.allclose(own.grad, other, rtol=1e-4, atol=1e-6), (task, own.shape)


def maps_of(given, sizes, names):
    counts = [rows * columns for rows, columns in sizes]
    parts = [[part.unflatten(2, tuple(size)) for part, size in zip(given[name].split(counts, 2),
                                                                   sizes)] for name in names]
    made = network.Maps(zip(*parts))
    made.prototypes = given.get('proto')
    return made


def what_networks_compute_is_that_of_ultralytics():
    """Of a published network, of a pruned one that was saved, and of tiny ones of other kinds."""
    path = os.path.join(SHARED, 'models', 'yolov8n.pt')
    if not os.path.exists(path):
        raise Skip('needs ../shared/models/yolov8n.pt')
    images = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    made, smaller = checkpoint.read(path), os.path.join(folder(), 'smaller.pt')
    norms.restore(made, [images])
    scores = prune.importances(made, [(images, random_objects(20, 2, 5))],
                               lambda maps, objects: loss.detection(maps, objects, Head)['total'])
    prune.prune(made, scores, .6, SIZE)
    saving.save(made, smaller)
    eleven = os.path.join(SHARED, 'models', 'family', 'tiny-yolo11.pt')
    attentive, made = os.path.join(folder(), 'attentive.pt'), checkpoint.read(eleven)
    norms.restore(made, [images])
    objects = random_objects(20, 2, 5)
    objects[:, 1] %= len(made.names)
    scores = prune.importances(made, [(images, objects)], lambda maps, objects: loss.detection(
        maps, objects, made.head)['total'])
    prune.prune(made, scores, .6, SIZE)
    saving.save(made, attentive)
    twenty_six, others = os.path.join(SHARED, 'models', 'family', 'tiny-yolo26.pt'), []
    made = checkpoint.read(twenty_six)
    norms.restore(made, [images])
    scores = prune.importances(made, [(images, objects)], lambda maps, objects: loss.detection(
        maps, objects, made.head)['total'])
    left, _ = prune.prune(made, scores, .6, SIZE)
    assert left <= .6, left
    for made.head.end_to_end in (False, True):
        others.append(os.path.join(folder(), f'pruned-{made.head.end_to_end}.pt'))
        saving.save(made, others[-1])
    for name in ('tiny-yolov8-seg', 'tiny-yolo11-seg', 'tiny-yolov8-pose', 'tiny-yolo26'):
        others.append(os.path.join(SHARED, 'models', 'family', name + '.pt'))
        others.append(os.path.join(folder(), name + '.pt'))
        saving.save(checkpoint.read(others[-2]), others[-1])
    for file in (path, smaller, eleven, attentive, *others):
        theirs = peer(forward=(file, images))['forward']
        made = checkpoint.read(file)
        with torch.no_grad():
            maps = made(images)
        if made.head.end_to_end:                # objects as sure as each other may change places
            mine, other = network.best(maps.one, made.head), theirs[0]
            assert torch.allclose(mine[..., 4], other[..., 4], atol=1e-5), file
            apart = (mine[:, :, None] - other[:, None]).abs().amax(3).amin(2).max()
        else:
            apart = (network.decode(maps, made.head) - theirs[0]).abs().max()
        assert apart < 1e-4, (file, apart)
        if maps.prototypes is not None:
            assert (maps.prototypes - theirs[1]).abs().max() < 1e-4, file


run_cases([ciou_of_known_boxes, anchors_learn_the_objects_that_fit, objects_come_in_any_order,
           pictures_without_objects, two_processes_learn_as_one, a_teacher_is_followed,
           features_are_followed, losses_are_those_of_ultralytics,
           losses_of_other_tasks_are_those_of_ultralytics,
           what_networks_compute_is_that_of_ultralytics])
