#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures and labels as the network gets them, and training: a small network learns, goes on
where it was interrupted, and learns in two processes what it does in one. Prints TAP."""

import csv
import logging
import os
import warnings

import environment
from tap import folder, run_cases

environment.require('lightning', 'PIL')

import numpy as np
import torch
from PIL import Image
from pictures import write_pictures
from training import data, loss, network, norms, teach
from training.data import DataError

SIZE = (32, 64)
SCALE = (1 / 3, .0625, 128)


def inside(pixels, box):
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    return pixels[:, y1 + 2:y2 - 2, x1 + 2:x2 - 2].float()


def boxes_lie_on_their_objects():
    """However pictures are moved, scaled, flipped and joined: inside a black object's box it is
    dark, and around it there is something brighter."""
    paths = data.pictures_of(write_pictures('moved', 6))
    for mosaic in (0., 1.):
        pictures, count = data.Pictures(paths, (64, 96), 2, augment=True, mosaic=mosaic), 0
        for pictures.epoch in range(4):
            for pixels, objects, _ in pictures:
                assert pixels.shape == (3, 64, 96) and pixels.dtype == torch.uint8
                for kind, *box in objects:
                    assert kind == 1 and 0 <= box[0] < box[2] <= 96 and 0 <= box[1] < box[3] <= 64
                    dark = inside(pixels, box)
                    if dark.numel() > 60 and not mosaic:
                        assert dark.median() < 20, (dark.median(), box)
                        count += 1
                    count += bool(mosaic)
        assert count > 15, count


def what_is_drawn_depends_on_the_epoch_alone():
    paths = data.pictures_of(write_pictures('moved', 6))
    first, second = (data.Pictures(paths, SIZE, 2, augment=True, mosaic=.5) for _ in range(2))
    a, b = first[3], (second[1], second[3])[1]
    assert torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
    second.epoch = 1
    assert not torch.equal(a[0], second[3][0])


def letterboxes_are_the_plugins():
    """A picture in its middle, grey around, boxes scaled with it."""
    picture = torch.zeros(3, 60, 80)
    objects = torch.tensor([[1, 0., 0., 1., 1.], [0, .25, .5, .75, 1.]])
    canvas = data.letterbox(picture, (objects, []), (64, 64))
    assert (canvas.pixels[:, :8] == 114).all() and (canvas.pixels[:, 56:] == 114).all()
    assert (canvas.pixels[:, 8:56] == 0).all()
    assert canvas.objects[0].tolist() == [[1, 0, 8, 64, 56], [0, 16, 32, 48, 56]]


def bad_labels_are_named():
    to = write_pictures('bad', 1)
    path = os.path.join(to, 'labels', '000.txt')
    for line, text in (('0 .5 .5', 'not a class and four numbers'),
                       ('2 .5 .5 .1 .1', 'from 0 to 1'), ('0 .5 .5 .1 7', 'from 0 to 1'),
                       ('a b c d e', 'not a class')):
        with open(path, 'w', encoding='utf-8') as file:
            file.write('0 .5 .5 .1 .1\n' + line + '\n')
        try:
            data.Pictures(data.pictures_of(to), SIZE, 2)
        except DataError as why:
            assert f'{path}:2: ' in str(why) and text in str(why), why
            continue
        raise AssertionError(line)
    with open(path, 'wb') as file:
        file.write(b'0 .5 .5 .1 \xff\n')
    picture, most = data.pictures_of(to)[0], Image.MAX_IMAGE_PIXELS

    def read_large():
        Image.MAX_IMAGE_PIXELS = 60 * 80 // 2 - 1           # Pillow refuses twice as many
        try:
            data.read(picture)
        finally:
            Image.MAX_IMAGE_PIXELS = most
    for call, text in ((lambda: data.pictures_of('absent'), 'No such file'),
                       (lambda: data.labels_of(picture, 2), f'{path}: is not text in UTF-8'),
                       (read_large, f'{picture}: cannot be read (Image size'),
                       (lambda: data.Batches(1, 4, world=2), 'too few'),
                       (lambda: data.read(path), 'cannot be read')):
        try:
            call()
        except DataError as why:
            assert text in str(why), why
            continue
        raise AssertionError(text)


def processes_share_batches():
    one = list(data.Batches(23, 8, seed=3))
    two = [list(data.Batches(23, 4, 2, rank, seed=3)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*two, strict=True)] == one
    assert len(one) == 2 and len({n for batch in one for n in batch}) == 16
    other = data.Batches(23, 8, seed=3)
    other.epoch = 1
    assert list(other) != one
    assert sorted(*data.Batches(5, 8)) == list(range(5))


def lesson_and_material(seed=0, frozen=False, teacher=None, batch=8):
    torch.manual_seed(seed)
    student = network.yolov8({0: 'white', 1: 'black'}, SCALE, bins=8)
    for norm in norms.norms_of(student):
        norm.momentum = .3                      # few steps have to do
    lesson = teach.Lesson(student, teacher, rate=5e-3, frozen_norms=frozen, warm_up=4)
    paths = data.pictures_of(write_pictures('learn', 24))
    return lesson, teach.Material(paths, paths[:8], SIZE, 2, batch, augment=False)


def quiet(name, epochs, **options):
    return teach.trainer(os.path.join(folder(), name), epochs, accelerator='cpu',
                         enable_progress_bar=False, enable_model_summary=False,
                         log_every_n_steps=1, **options)


def values(name, column):
    with open(os.path.join(folder(), name, 'log', 'metrics.csv'), encoding='utf-8') as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)]


def a_network_learns_and_goes_on():
    """The loss falls; a run that ends after two epochs and is resumed gives the weights of one
    that did not."""
    lesson, material = lesson_and_material()
    lesson.student.eval()                       # as a checkpoint's network comes
    quiet('whole', 6).fit(lesson, material)
    assert lesson.student.model[0].bn.num_batches_tracked == 18
    losses = values('whole', 'train loss')
    assert len(losses) == 18 and sum(losses[-3:]) < .8 * sum(losses[:3]), losses
    held_out = values('whole', 'held out')
    assert len(held_out) == 6 and held_out[-1] < held_out[0], held_out
    half, material = lesson_and_material()
    first = quiet('parts', 6)
    first.callbacks.append(StopAfter(2))
    first.fit(half, material)
    again, material = lesson_and_material(seed=1)
    quiet('parts', 6).fit(again, material, weights_only=True,
                          ckpt_path=os.path.join(folder(), 'parts', 'last.ckpt'))
    a, b = lesson.state_dict(), again.state_dict()
    assert a.keys() == b.keys() and a['steps'] == b['steps'] == 18
    for key in a:
        assert torch.allclose(a[key], b[key], atol=1e-6), key
    assert not torch.equal(a['average.model.0.conv.weight'], a['student.model.0.conv.weight'])
    for name in ('whole', 'parts'):             # the curve of a page has no gap
        last = torch.load(os.path.join(folder(), name, 'last.ckpt'), weights_only=True)
        assert np.allclose(last['held out'], held_out, atol=1e-5), (last['held out'], held_out)


class StopAfter(teach.lightning.Callback):
    """Ends a run early, as an interruption after an epoch would."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, lesson):
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


class Spoil(teach.lightning.Callback):
    """Makes the average of the weights worse from the third epoch on, before it is judged."""

    def on_validation_start(self, trainer, lesson):
        if trainer.current_epoch >= 2:
            for branch in lesson.average.head.cv3:
                branch[-1].bias += 20


def the_best_epoch_is_taken():
    """Learning ends after two epochs without gain, and gives the average of the best one."""
    lesson, material = lesson_and_material()
    learnt = quiet('spoilt', 9, patience=2)     # of nine epochs at most
    learnt.callbacks.insert(0, Spoil())
    learnt.fit(lesson, material)
    held_out = values('spoilt', 'held out')
    best = held_out.index(min(held_out))
    assert best < 2 and len(held_out) == best + 3, held_out
    net, total = teach.trained(lesson, os.path.join(folder(), 'spoilt', 'best.ckpt')), 0
    with torch.no_grad():
        for images, objects, _ in material.val_dataloader():
            maps = net(images.float() / 255)
            total += float(loss.detection(maps, objects, net.head)['total'])
    assert abs(total - min(held_out)) < 1e-3 * total, (total, held_out)


def logs_are_for_tensorboard_too():
    environment.require('tensorboard')
    lesson, material = lesson_and_material()
    quiet('logged', 1).fit(lesson, material)
    logs = os.listdir(os.path.join(folder(), 'logged', 'log'))
    assert 'metrics.csv' in logs and any('tfevents' in name for name in logs), logs


def a_teacher_is_heard():
    torch.manual_seed(5)
    teacher = network.yolov8({0: 'white', 1: 'black'}, SCALE, bins=8)
    for branch in teacher.head.cv3:
        torch.nn.init.constant_(branch[-1].bias, 1.)
    lesson, material = lesson_and_material(teacher=teacher, frozen=True)
    quiet('taught', 3).fit(lesson, material)
    assert lesson.student.model[0].bn.num_batches_tracked == 0
    kept, bins, whole = (values('taught', 'train ' + name)
                         for name in ('teacher class', 'teacher bins', 'loss'))
    parts = zip(*(values('taught', 'train ' + name) for name in ('box', 'class', 'bins')))
    assert len(whole) == 9 and kept[-1] < kept[0] and max(bins) > 1e-3, (kept, bins)
    for total, said, sides, own in zip(whole, kept, bins, parts, strict=True):
        expected = sum(own) + teach.CLASS_WEIGHT * said + teach.BINS_WEIGHT * sides
        assert abs(total - expected) < 1e-3 * total, (total, expected)
    assert not any(key.startswith('teacher') for key in lesson.state_dict())


def features_are_imitated():
    """By a student that is narrower; what brings its features to the teacher's learns with it."""
    torch.manual_seed(5)
    teacher = network.yolov8({0: 'white', 1: 'black'}, (1 / 3, .1875, 512), bins=8)
    torch.manual_seed(0)
    student = network.yolov8({0: 'white', 1: 'black'}, SCALE, bins=8)
    lesson = teach.Lesson(student, teacher, rate=5e-3, warm_up=2, imitation=.5, temperature=3.)
    assert [a.weight.shape[:2] for a in lesson.adapters] == list(zip(
        teach.widths(teacher), teach.widths(student))) != []
    before = [a.weight.clone() for a in lesson.adapters]
    _, material = lesson_and_material()
    quiet('imitated', 3).fit(lesson, material)
    assert not any(torch.equal(a, b.weight) for a, b in zip(before, lesson.adapters))
    kept = values('imitated', 'train teacher features')
    assert kept[-1] < kept[0], kept
    columns = ('box', 'class', 'bins', 'teacher class', 'teacher bins', 'teacher features')
    first = [values('imitated', 'train ' + name)[0] for name in columns]
    expected = sum(part * weight for part, weight in zip(
        first, (1, 1, 1, teach.CLASS_WEIGHT, teach.BINS_WEIGHT, .5)))
    assert abs(values('imitated', 'train loss')[0] - expected) < 1e-3 * expected


class Half:
    """What a trainer of two processes looks like to one of them."""

    world_size = 2


def two_batches_learn_as_one():
    """Gradients of two processes' batches, averaged as DDP does, are those of one twice as large:
    norms frozen, the loss's divisor shared."""
    lesson, material = lesson_and_material(frozen=True)
    lesson.train()
    assert not any(m.training for m in lesson.student.modules()
                   if isinstance(m, torch.nn.BatchNorm2d))
    images, objects, _ = data.collate([material.pictures[i] for i in range(8)])

    def gradients(first, last, share):
        lesson.zero_grad()
        own = objects[(objects[:, 0] >= first) & (objects[:, 0] < last)]
        own = torch.cat((own[:, :1] - first, own[:, 1:]), 1)
        maps = lesson.student(images[first:last].float() / 255)
        loss.detection(maps, own, lesson.student.head, share)['total'].backward()
        return [p.grad.clone() for p in lesson.student.parameters()]
    sums = []
    whole = gradients(0, 8, loss.at_least_one)
    for first in (0, 4):
        gradients(first, first + 4, lambda total: sums.append(total) or total)
    lesson._trainer = Half()
    lesson.all_gather = lambda _: torch.stack(sums)
    halves = [gradients(first, first + 4, lesson.share) for first in (0, 4)]
    for one, a, b in zip(whole, *halves):
        assert torch.allclose(one, (a + b) / 2, atol=1e-6 + 1e-4 * float(one.abs().max()))


warnings.simplefilter('ignore')
logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
run_cases([boxes_lie_on_their_objects, what_is_drawn_depends_on_the_epoch_alone,
           letterboxes_are_the_plugins, bad_labels_are_named, processes_share_batches,
           a_network_learns_and_goes_on, the_best_epoch_is_taken,
           a_teacher_is_heard, features_are_imitated, two_batches_learn_as_one,
           logs_are_for_tensorboard_too])
