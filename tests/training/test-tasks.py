#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Networks that segment, that find points, and that have a one-to-one head: labels, what
augmentation makes of them, losses by their formulas, files, and pruning. Prints TAP."""

import copy
import math
import os

import environment
from tap import BUILD, Skip, folder, read_lines, run_cases, shell

environment.require('PIL')

import numpy as np
import torch
from onnx.reference import ReferenceEvaluator
from PIL import Image
from torch.nn import functional
from pictures import NAMES, SIZE, TASKS, maps_and_labels, random_network, write_scenes
from training import checkpoint, cost, data, export, hand, loss, network, prune, saving
from training.data import DataError, Form

SEGMENT, POSE = Form('segment'), Form('pose', (3, 3), (1, 0, 2))
def tensors(maps):
    return [part.detach() for part in network.tensors_of(maps)]


def masks_lie_on_their_objects():
    """However pictures are moved, scaled, flipped and joined: it is dark inside, and of the box of
    a triangle that was not cut about half is inside."""
    paths = data.pictures_of(write_scenes('masks', 6, 'segment'))
    for mosaic in (0., 1.):
        count = 0
        pictures = data.Pictures(paths, SIZE, 2, augment=True, mosaic=mosaic, form=SEGMENT)
        for pictures.epoch in range(4):
            for pixels, objects, masks in pictures:
                assert masks.shape == (len(objects), 16, 24) and masks.dtype == torch.bool
                grey = pixels.float().mean(0)[2::4, 2::4]
                for each, mask in zip(objects, masks):
                    if mask.sum() < 16:
                        continue
                    assert grey[mask].mean() < 70, grey[mask].mean()
                    x1, y1, x2, y2 = each[1:] / 4
                    area = float(mask.sum() / ((x2 - x1) * (y2 - y1)))
                    whole = 0 < each[1] and each[3] < 96 and 0 < each[2] and each[4] < 64
                    assert not whole or mosaic or .25 < area < .75, area
                    count += 1
        assert count > 12, count


def points_lie_on_their_objects():
    """The tip is above one of the others: which of them, its class says, unless a mirror has
    changed left and right, which changes the points' numbers too."""
    paths = data.pictures_of(write_scenes('points', 6, 'pose'))
    pictures = data.Pictures(paths, SIZE, 2, augment=True, form=POSE)
    mirrored, count = 0, 0
    for pictures.epoch in range(6):
        for pixels, objects, masks in pictures:
            assert masks is None and objects.shape[1] == 5 + 9
            for each in objects:
                points = each[5:].view(3, 3)
                inside = ((points[:, :2] >= 0) & (points[:, :2] < torch.tensor([96, 64]))).all(1)
                assert torch.equal(points[:, 2] > 0, inside), points
                if not inside.all():
                    continue
                left, right, tip = points[:, :2]
                assert left[0] < right[0] and tip[1] < left[1] and abs(left[1] - right[1]) < .01
                assert abs(tip[0] - each[1]) < .1 or abs(tip[0] - each[3]) < .1
                at_left = abs(tip[0] - left[0]) < .1
                mirrored += bool(at_left) != (each[0] == 0)
                middle = points[:, :2].mean(0).long()
                assert pixels[:, middle[1], middle[0]].float().mean() < 60
                count += 1
    assert count > 12 and count / 4 < mirrored < count * 3 / 4, (mirrored, count)
    still = data.Pictures(paths, SIZE, 2, augment=True, form=POSE._replace(flip_idx=()))
    for still.epoch in range(6):
        for _, objects, _ in still:
            for each in objects:
                left, _, tip = each[5:].view(3, 3)
                at_left = abs(tip[0] - left[0]) < .1
                assert bool(at_left) == (each[0] == 0) or not each[5:].view(3, 3)[:, 2].all()


def bad_labels_are_named():
    to = write_scenes('bad', 1, 'segment')
    path = os.path.join(to, 'labels', '000.txt')
    for form, line, text in (
            (SEGMENT, '0 .5 .5 .1 .1', 'three corners of an outline'),
            (SEGMENT, '0 .5 .5 .1 .1 2 .1', 'from 0 to 1'),
            (SEGMENT, '2 .5 .5 .1 .1 .2 .1', 'a class from 0 to 1'),
            (POSE, '0 .5 .5 .1 .1', '3 points of 3 numbers'),
            (POSE, '0 .5 .5 .1 .1 ' + '.5 ' * 8, '3 points of 3 numbers'),
            (POSE, '0 .5 .5 .1 7 ' + '.5 ' * 9, 'from 0 to 1')):
        with open(path, 'w', encoding='utf-8') as file:
            file.write(line + '\n')
        try:
            data.Pictures(data.pictures_of(to), SIZE, 2, form=form)
        except DataError as why:
            assert f'{path}:1: ' in str(why) and text in str(why), why
            continue
        raise AssertionError(line)
    net = random_network('pose')
    assert data.form_of(net).flip_idx == () and data.form_of(net, (1, 0, 2)) == POSE
    try:
        data.form_of(net, (1, 0))
    except DataError as why:
        assert '2 numbers do not mirror 3 points' in str(why), why
        return
    raise AssertionError('two numbers for three points')


def points_of_a_hidden_object_are_not_known():
    to = write_scenes('hidden', 1, 'pose')
    with open(os.path.join(to, 'labels', '000.txt'), 'w', encoding='utf-8') as file:
        file.write('0 .5 .5 .5 .5 .3 .3 0 .6 .6 1 .7 .7 2\n')
    _, objects, _ = data.Pictures(data.pictures_of(to), SIZE, 2, form=POSE)[0]
    assert objects[0, 5:].view(3, 3)[:, 2].tolist() == [0, 1, 1], objects


def hand_labels_keep_what_is_learnt():
    """Outlines and points of YOLO's text and of COCO's JSON."""
    to = os.path.join(folder(), 'hand')
    for inner in ('images', 'labels'):
        os.makedirs(os.path.join(to, inner))
    Image.new('RGB', (80, 40)).save(os.path.join(to, 'images', '0.png'))
    text = os.path.join(to, 'labels', '0.txt')
    outline, points = '.1 .2 .5 .2 .5 .8', '.3 .5 .4 .6 .1 .2 2 .5 .2 1 .9 9 0'
    said = {'train': 'images', 'names': ['b', 'a'], 'kpt_shape': [3, 3]}
    for form, line, expected in ((SEGMENT, outline, [.1, .2, .5, .2, .5, .8]),
                                 (POSE, points, [.1, .2, 2, .5, .2, 2, 0, 0, 0])):
        with open(text, 'w', encoding='utf-8') as file:
            file.write(f'0 {line}\n')
        with open(os.path.join(to, 'data.yaml'), 'w', encoding='utf-8') as file:
            file.write(str({k: v for k, v in said.items() if form is POSE or k != 'kpt_shape'}))
        each = hand.read([to], NAMES, form=form)[0].objects[0]
        assert each[0] == 1 and each[5:] == (None, expected), each
        assert np.allclose(each[1:5], (.3, .5, .4, .6)), each
    other = Form('pose', (2, 3))
    for form, line, text_of in ((SEGMENT, '.5 .5 .2 .2', 'a box without an outline'),
                                (other, points, 'not a box and 2 points')):
        with open(text, 'w', encoding='utf-8') as file:
            file.write(f'0 {line}\n')
        try:
            hand.read([to], NAMES, form=form)
        except DataError as why:
            assert text_of in str(why) and '0.txt:1' in str(why), why
            continue
        raise AssertionError(line)
    coco = os.path.join(to, 'coco.json')
    row = {'image_id': 1, 'category_id': 7, 'bbox': [8, 8, 32, 24]}
    for form, more, expected in (
            (SEGMENT, {'segmentation': [[8, 8, 40, 8, 40, 32], [0, 0, 8, 0, 8, 4]]},
             [.1, .2, .5, .2, .5, .8, .1, .2, 0, 0, .1, 0, .1, .1, 0, 0, .1, .2]),
            (POSE, {'keypoints': [8, 8, 2, 40, 8, 1, 0, 0, 0]}, [.1, .2, 2, .5, .2, 1, 0, 0, 0])):
        with open(coco, 'w', encoding='utf-8') as file:
            file.write(str({'images': [{'id': 1, 'file_name': '0.png'}],
                            'annotations': [row | more],
                            'categories': [{'id': 7, 'name': 'b'}]}).replace("'", '"'))
        each = hand.read([coco], NAMES, form=form)[0].objects[0]
        assert each[0] == 1 and np.allclose(each[6], expected), each


def assigned(net, maps, objects):
    """[(picture, anchor, row of objects)] of those that learn something."""
    logits, classes = (part.transpose(1, 2) for part in network.joined(maps)[:2])
    points, strides = network.anchors_of([level[0].shape[2:] for level in maps], net.head.strides)
    sides = network.distances(logits.transpose(1, 2), net.head.bins).transpose(1, 2) * strides
    boxes = torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
    _, scores, owners = loss.assign(classes.sigmoid(), boxes, points, objects,
                                    loss.smallest_side(net.head.strides))
    learns = (scores.sum(-1) > 0).nonzero().tolist()
    assert len(learns) > 10, len(learns)
    return [(i, a, int(owners[i, a])) for i, a in learns], points, strides


def masks_are_learnt_by_their_pixels():
    """Written out, mask by mask and pixel by pixel."""
    net, maps, objects, masks = maps_and_labels('segment', 1)
    found = loss.detection(maps, objects, net.head, masks=masks)['mask']
    learns, *_ = assigned(net, maps, objects)
    coefficients, total = network.joined(maps)[2], 0
    for picture, anchor, row in learns:
        made = sum(c * p for c, p in zip(coefficients[picture, :, anchor],
                                         maps.prototypes[picture])).sigmoid()
        x1, y1, x2, y2 = (float(v) / 4 for v in objects[row, 2:6])
        own = 0
        for y in range(math.ceil(y1), math.ceil(y2)):
            for x in range(math.ceil(x1), math.ceil(x2)):
                p = made[y, x] if masks[row, y, x] else 1 - made[y, x]
                own -= torch.log(p)
        total += own / made.numel() / ((x2 - x1) * (y2 - y1) / made.numel())
    expected = total / len(learns) * loss.MASK_GAIN
    assert torch.isclose(found, expected, rtol=1e-4), (found, expected)


def points_are_learnt_by_their_distance():
    for task in ('pose', 'flat pose'):
        net, maps, objects, _ = maps_and_labels(task, 2)
        found = loss.detection(maps, objects, net.head)
        learns, anchors, strides = assigned(net, maps, objects)
        count, numbers = net.head.shape
        logits, unlike, there = network.joined(maps)[2], 0, 0
        for picture, anchor, row in learns:
            stride, width, height = strides[anchor], *(objects[row, 4:6] - objects[row, 2:4])
            goals = objects[row, 6:].view(count, 3)
            each = logits[picture, :, anchor].view(count, numbers)
            for point, goal in zip(each, goals):
                place = (2 * point[:2] - .5) * stride + anchors[anchor]
                if goal[2]:
                    apart = (place - goal[:2]).square().sum()
                    unlike += (1 - torch.exp(-apart / (2 * width * height * (2 / count) ** 2))) \
                        * count / goals[:, 2].sum() / count
                if numbers == 3:
                    there += functional.softplus(-point[2] if goal[2] else point[2]) / count
        assert torch.isclose(found['points'], unlike / len(learns) * loss.POINT_GAIN, rtol=1e-4)
        if numbers == 3:
            assert torch.isclose(found['there'], there / len(learns), rtol=1e-4)
        else:
            assert 'there' not in found


def nothing_is_learnt_of_empty_pictures():
    for task, form in (('segment', SEGMENT), ('pose', POSE)):
        net, *_ = maps_and_labels(task, 3)
        objects = torch.zeros(0, 6 + 3 * form.shape[0])
        masks = torch.zeros(0, 16, 24, dtype=torch.bool)
        parts = loss.detection(net(torch.rand(2, 3, *SIZE)), objects, net.head, masks=masks)
        parts['total'].backward()
        more = [parts[name] for name in ('mask', 'points', 'there') if name in parts]
        assert more and not any(more)
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def files_compute_what_networks_do():
    for task in TASKS:
        net, paths = random_network(task), [os.path.join(folder(), 'task' + ending)
                                            for ending in ('.pt', '.onnx')]
        images = torch.rand(1, 3, *SIZE)
        with torch.no_grad():
            maps = net(images)
            expected = network.decode(maps, net.head)
        saving.save(net, paths[0], SIZE, half=False)
        again = checkpoint.read(paths[0])
        assert type(again.head) is type(net.head) and again.names == net.names
        with torch.no_grad():
            for a, b in zip(tensors(maps), tensors(again(images)), strict=True):
                assert torch.equal(a, b)
        export.write(again, paths[1], SIZE)
        outputs = ReferenceEvaluator(paths[1]).run(None, {'images': images.numpy()})
        largest = np.abs(expected.numpy()).max()
        assert np.abs(outputs[0] - expected.numpy()).max() < 1e-4 * largest, task
        if task == 'segment':
            assert np.abs(outputs[1] - maps.prototypes.numpy()).max() < 1e-3
        assert len(outputs) == 1 + (task == 'segment')


def one_to_one_heads_are_written_where_they_are_wanted():
    """Of a picture that is small enough for onnx's own evaluator, which gathers 64 at most."""
    net, paths = random_network('twice'), [os.path.join(folder(), 'one' + ending)
                                           for ending in ('.pt', '.onnx')]
    net.head.end_to_end = True
    saving.save(net, paths[0], SIZE, half=False)
    again, images = checkpoint.read(paths[0]), torch.rand(1, 3, 32, 32)
    assert again.head.end_to_end and not network.tensors_of(again(images))[0].isnan().any()
    export.write(again, paths[1], (32, 32))
    found = ReferenceEvaluator(paths[1]).run(None, {'images': images.numpy()})[0]
    with torch.no_grad():
        expected = network.best(net(images).one, net.head)
        assert not torch.allclose(expected, network.best(net(images), net.head), atol=.1) \
            or net.head.cv3[0][-1].weight.equal(net.head.one[1][0][-1].weight)
    assert found.shape == (1, 21, 6) and np.abs(found - expected.numpy()).max() < 1e-4


def found_by(model, pictures=2):
    """Objects, with masks or points, that the plugin finds in noise."""
    path = os.path.join(folder(), 'found.jsonl')
    result = shell(f'gst-launch-1.0 -q videotestsrc pattern=snow num-buffers={pictures} ! '
                   f'video/x-raw,format=RGB,width={SIZE[1]},height={SIZE[0]} ! yoloinfer '
                   f'model-file="{model}" device=cpu precision=fp32 confidence-threshold=.3 ! '
                   f'yoloexport format=json-lines location="{path}" ! fakesink')
    assert result.returncode == 0, result.stdout
    return [each for frame in read_lines(path) for each in frame['objects']]


def the_plugin_finds_the_same():
    """By the checkpoint and by the file that is written of it."""
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')
    for task, key in (('segment', 'mask'), ('pose', 'keypoints'), ('twice', 'detection')):
        net, paths = random_network(task, 4), [os.path.join(folder(), 'plugin' + ending)
                                               for ending in ('.pt', '.onnx')]
        net.head.end_to_end = task == 'twice'
        saving.save(net, paths[0], SIZE, half=False)
        export.write(net, paths[1], SIZE)
        first, second = map(found_by, paths)
        assert len(first) == len(second) >= 3 and all(each[key] for each in first), len(first)
        for a, b in zip(first, second):
            assert np.allclose(*([each['detection']['bounding_box'][corner] for corner in (
                'x_min', 'y_min', 'x_max', 'y_max')] for each in (a, b)), atol=1e-4)
            assert abs(a['detection']['confidence'] - b['detection']['confidence']) < 1e-4
            if key == 'mask':
                assert a[key]['size'] == b[key]['size'] == list(SIZE)
            elif key == 'keypoints':
                assert np.allclose([(p['x'], p['y']) for p in a[key]],
                                   [(p['x'], p['y']) for p in b[key]], atol=1e-2)


def what_is_left_computes_the_same():
    """Channels that were taken out, found by their norms' means, give 0 in the whole network; those
    of the transposed convolution by its biases."""
    for task in ('segment', 'pose', 'twice'):
        whole, smaller = (random_network(task, 5) for _ in range(2))
        _, _, objects, masks = maps_and_labels(task, 5)
        scores = prune.importances(
            smaller, [(torch.rand(2, 3, *SIZE), objects, masks)], lambda maps, objects, masks:
            loss.detection(maps, objects, smaller.head, masks=masks)['total'])
        left, _ = prune.prune(smaller, scores, .4, SIZE, step=1)
        assert .3 < left <= .4
        taken = 0
        for (name, old), new in zip(whole.named_modules(), smaller.modules(), strict=True):
            if isinstance(old, network.Conv):
                gone = ~torch.isin(old.bn.running_mean, new.bn.running_mean)
                parts = old.bn.weight, old.bn.bias
                if name.startswith(('model.22.cv4', 'model.22.one2one')) or 'proto' in name:
                    taken += int(gone.sum())
            elif isinstance(old, torch.nn.ConvTranspose2d):
                gone = ~torch.isin(old.bias, new.bias)
                parts = old.bias, old.weight.transpose(0, 1)
                assert gone.any()
            else:
                continue
            with torch.no_grad():
                for part in parts:
                    part[gone] = 0
        assert taken >= 3, taken
        images = torch.rand(2, 3, *SIZE)
        with torch.no_grad():
            for a, b in zip(tensors(whole(images)), tensors(smaller(images)), strict=True):
                assert torch.allclose(a, b, atol=1e-4), (task, (a - b).abs().max())
        kept = copy.deepcopy(smaller)
        saving.save(smaller, os.path.join(folder(), 'pruned.pt'), SIZE, half=False)
        kept = checkpoint.read(os.path.join(folder(), 'pruned.pt'))
        assert abs(cost.cost_of(kept, SIZE) / cost.cost_of(whole, SIZE) - left) < 1e-9


run_cases([masks_lie_on_their_objects, points_lie_on_their_objects, bad_labels_are_named,
           points_of_a_hidden_object_are_not_known, hand_labels_keep_what_is_learnt,
           masks_are_learnt_by_their_pixels, points_are_learnt_by_their_distance,
           nothing_is_learnt_of_empty_pictures, files_compute_what_networks_do,
           one_to_one_heads_are_written_where_they_are_wanted,
           the_plugin_finds_the_same, what_is_left_computes_the_same])
