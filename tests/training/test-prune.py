#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A pruned network computes what the whole one does without the channels that were taken out, is
as cheap as was asked, and an ordinary one. Prints TAP."""

import copy
import math
import os

from environment import CHECKPOINTS
from tap import Skip, folder, run_cases

import numpy as np
from onnx.reference import ReferenceEvaluator
import torch
from torch import nn
from training import checkpoint, cost, export, loss, network, norms, prune, repair, saving

SIZE = (64, 96)
# A network of all of YOLOv8's layers, small, whose widths are no powers of two.
SCALE = (1 / 3, .1875, 512)


def random_network(seed=0):
    """With norms that look trained."""
    torch.manual_seed(seed)
    made = network.yolov8({0: 'a', 1: 'b'}, SCALE)
    for norm in norms.norms_of(made):
        nn.init.uniform_(norm.weight, .5, 1.5)
        nn.init.normal_(norm.bias, std=.2)
    norms.measure(made, [torch.rand(4, 3, *SIZE)])
    return made.eval()


def random_batches(count=2):
    objects = torch.tensor([[0, 0, 8, 8, 40, 50.], [1, 1, 20, 4, 90, 60]])
    return [(torch.rand(2, 3, *SIZE), objects) for _ in range(count)]


def loss_of(made):
    return lambda maps, objects: loss.detection(maps, objects, made.head)['total']


def flat(maps):
    return torch.cat([part.flatten() for level in maps for part in level])


def convs_of(made):
    return [module for module in made.modules() if isinstance(module, network.Conv)]


def pruned(made, keep, **options):
    smaller, left, _ = pruned_and_kept(made, keep, **options)
    return smaller, left


def pruned_and_kept(made, keep, **options):
    smaller = copy.deepcopy(made)
    scores = prune.importances(smaller, random_batches(), loss_of(smaller))
    return smaller, *prune.prune(smaller, scores, keep, SIZE, **options)


def what_is_left_computes_the_same():
    """Norms that give 0 at the channels that were taken out, found by their means, do to the whole
    network what pruning did."""
    assert_computes_the_same(random_network(), 100)


def depthwise_layers_and_attention_are_pruned_too():
    """Attention itself stays as it is, for its channels are its heads'."""
    for name, least in (('v8n-depthwise', 20), ('micro-attention', 10)):
        made = checkpoint.read(os.path.join(CHECKPOINTS, name + '.pt'))
        norms.restore(made, [torch.rand(4, 3, *SIZE)])
        smaller = assert_computes_the_same(made, least)
        for module, other in zip(made.modules(), smaller.modules()):
            if isinstance(module, network.Attention):
                assert module.qkv.conv.out_channels == other.qkv.conv.out_channels
        for conv in smaller.modules():
            if isinstance(conv, torch.nn.Conv2d) and conv.groups > 1:
                assert conv.groups == conv.in_channels == conv.out_channels
    path = os.path.join(folder(), 'pruned.pt')
    saving.save(smaller, path, SIZE, half=False)
    images = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(flat(checkpoint.read(path)(images)), flat(smaller(images)))


def assert_computes_the_same(whole, least):
    smaller, _ = pruned(whole, .4)
    taken = 0
    for old, new in zip(convs_of(whole), convs_of(smaller), strict=True):
        gone = ~torch.isin(old.bn.running_mean, new.bn.running_mean)
        taken += int(gone.sum())
        assert len(gone) - gone.sum() == new.conv.out_channels == new.conv.weight.shape[0]
        with torch.no_grad():
            old.bn.weight[gone] = 0
            old.bn.bias[gone] = 0
    assert taken >= least, taken
    images = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        a, b = flat(whole(images)), flat(smaller(images))
    assert torch.allclose(a, b, atol=1e-4), (a - b).abs().max()
    return smaller


def it_costs_what_was_asked():
    whole = random_network()
    before = cost.cost_of(whole, SIZE)
    for keep in (1, .7, .3):
        smaller, left = pruned(whole, keep)
        assert keep - .06 < left <= keep, (keep, left)
        assert abs(cost.cost_of(smaller, SIZE) / before - left) < 1e-9
    smaller, left = pruned(whole, .01)          # more than can go
    assert left > .01
    for old, new in zip(convs_of(whole), convs_of(smaller), strict=True):
        assert new.conv.out_channels >= old.conv.out_channels * prune.LEAST - 1


def cost_is_counted():
    """Multiply-adds of the network as published, at 640x640: 8.7 GFLOPs, two a multiply-add."""
    with torch.device('meta'):
        made = network.yolov8({i: str(i) for i in range(80)})
    assert round(cost.cost_of(made, (640, 640)) * 2 / 1e9, 1) == 8.7


def layers_that_cost_most_lose_most():
    """By a cost in which only the first level's maps count."""
    whole = random_network()
    fine = SIZE[0] // 8 * (SIZE[1] // 8)

    def price(conv, inputs, outputs, size):
        return cost.multiply_adds(conv, inputs, outputs, size) * (math.prod(size) == fine)
    smaller, left = pruned(whole, .5, cost=price)
    assert left <= .5
    pixels = {conv: math.prod(size) for conv, size in cost.sizes_of(whole, SIZE).items()}
    free = [new.conv.out_channels == old.conv.out_channels
            for old, new in zip(convs_of(whole), convs_of(smaller), strict=True)
            if pixels[old.conv] < fine and old in whole.head.modules()]
    assert len(free) == 8 and all(free), free


def steps_that_save_nothing_are_passed():
    """By a cost that counts registers of eight: where one channel less saves nothing, eight do."""
    def price(conv, inputs, outputs, size):
        return cost.multiply_adds(conv, -(-inputs // 8), -(-outputs // 8), size)
    smaller, left = pruned(random_network(), .6, step=1, cost=price)
    assert .5 < left <= .6, left
    assert abs(cost.cost_of(smaller, SIZE, price) / cost.cost_of(random_network(), SIZE, price)
               - left) < 1e-9


def what_stayed_is_told():
    """Weights of the first channel that each layer still reads, and the means of norms."""
    whole = random_network()
    smaller, _, kept = pruned_and_kept(whole, .4)
    new = dict(smaller.named_modules())
    for name, old in whole.named_modules():
        if isinstance(old, network.Conv):
            stayed = kept.get(name + '.conv', torch.arange(old.conv.out_channels))
            assert torch.equal(old.bn.running_mean[stayed], new[name].bn.running_mean), name
    assert len(kept) > 40, len(kept)


def repaired_layers_give_what_they_gave():
    """The last layers' maps are nearer to the whole network's than without. Where nothing was taken
    out nothing changes."""
    whole = random_network()
    smaller, _, kept = pruned_and_kept(whole, .7)
    images = [torch.rand(4, 3, *SIZE) for _ in range(4)]

    def distance(made):
        with torch.no_grad():
            return float((flat(made(images[0])) - flat(whole(images[0]))).square().mean())
    before, told = distance(smaller), []
    repair.repair(smaller, whole, kept, images[1:], lambda done, of: told.append((done, of)))
    assert distance(smaller) < .85 * before, (before, distance(smaller))
    assert told[-1][0] == told[-1][1] == len(told) and not smaller.training
    same = copy.deepcopy(whole)
    repair.repair(same, whole, {}, images[1:])
    assert distance(same) < 1e-6, distance(same)


def times_lie_between_those_measured():
    conv = torch.nn.Conv2d(16, 32, 3, 2)
    table = cost.Times([[[3, 2, 1, 8, 12], [[8, [[8, 1.], [16, 2.], [32, 6.]]],
                                            [16, [[8, 2.], [16, 4.], [32, 8.]]]]]])
    for inputs, outputs, expected in ((8, 8, 1), (16, 32, 8), (12, 16, 3), (16, 24, 6),
                                      (12, 24, 5), (4, 8, .5), (16, 2, .5)):
        assert table(conv, inputs, outputs, (8, 12)) == expected, (inputs, outputs)
    assert cost.thinned({1, 10, 10.5, 12, 100, 105}) == [1, 10, 12, 100, 105]


def layers_are_measured():
    """Where yolo-time is built: each layer has a time, and the file is read again."""
    if not cost.program():
        raise Skip('yolo-time is not built')
    made, path = random_network(), os.path.join(folder(), 'times.json')
    times = cost.read_or_measure(path, made, SIZE, 'fp32', 1)
    assert 0 < cost.cost_of(made, SIZE, times) < 1000
    with open(path, encoding='utf-8') as file:
        before = file.read()
    again = cost.read_or_measure(path, made, SIZE, 'fp32', 1)
    with open(path, encoding='utf-8') as file:
        assert file.read() == before
    smaller, left = pruned(made, .7, cost=again)
    assert left <= .7 and cost.cost_of(smaller, SIZE, again) > 0


def widths_are_steps():
    assert [prune.step_of(width, 16) for width in (256, 64, 48, 32, 12, 3)] == [16, 16, 8, 8, 2, 1]
    smaller, _ = pruned(random_network(), .5, step=4)
    assert all(conv.conv.out_channels % 2 == 0 for conv in convs_of(smaller))
    wide = [conv.conv.out_channels for conv in convs_of(smaller) if conv.conv.out_channels > 24]
    assert len(wide) > 20 and all(width % 4 == 0 for width in wide), wide


def it_stays_an_ordinary_network():
    """Modules, weights and export are those of a network that was never pruned."""
    whole = random_network()
    smaller, _ = pruned(whole, .5)
    assert [(type(a), a.i, a.f) for a in smaller.model] == [(type(b), b.i, b.f)
                                                            for b in whole.model]
    assert smaller.state_dict().keys() == whole.state_dict().keys()
    path, images = os.path.join(folder(), 'pruned.onnx'), torch.rand(1, 3, *SIZE)
    export.write(smaller, path, SIZE)
    found = ReferenceEvaluator(path).run(None, {'images': images.numpy()})[0]
    with torch.no_grad():
        expected = network.decode(smaller(images), smaller.head).numpy()
    assert np.abs(found - expected).max() < 1e-3, np.abs(found - expected).max()


def importance_is_the_loss_by_a_gate():
    """Squared derivatives by a factor on a norm's channel, by differences."""
    made, batches = random_network().double(), []
    for images, objects in random_batches():
        batches.append((images.double(), objects.double()))
    scores = prune.importances(made, batches, lambda maps, _: flat(maps).square().mean())
    assert not any(p.grad is not None for p in made.parameters())
    for number, channel in ((0, 3), (7, 1), (30, 5)):
        conv, expected = convs_of(made)[number], 0
        for images, _ in batches:
            values = []
            for factor in (1 + 1e-4, 1 - 1e-4):
                gated = copy.deepcopy(made)
                norm = convs_of(gated)[number].bn
                with torch.no_grad():
                    norm.weight[channel] *= factor
                    norm.bias[channel] *= factor
                    values.append(flat(gated(images)).square().mean())
            expected += ((values[0] - values[1]) / 2e-4) ** 2 / len(batches)
        assert torch.isclose(scores[conv][channel], expected, rtol=1e-3), (number, expected)


def norms_are_restored():
    """Of a file whose norms were folded: what it computes stays, in evaluation and in training."""
    made = checkpoint.read(os.path.join(CHECKPOINTS, 'v8n.pt'))
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        before = flat(made(images))
        assert not torch.allclose(before, flat(copy.deepcopy(made).train()(images)), atol=.1)
        norms.restore(made, [images[:2], images[2:]])
        after, trained = flat(made(images)), flat(copy.deepcopy(made).train()(images))
    largest = before.abs().max()
    assert (before - after).abs().max() < 1e-4 * largest
    assert (before - trained).abs().max() < 1e-3 * largest, (before - trained).abs().max()


def norms_are_measured():
    """Evaluation computes what training does, up to the unbiased variance that PyTorch keeps."""
    made, images = random_network(), torch.rand(4, 3, *SIZE)

    def difference():
        with torch.no_grad():
            evaluated, trained = flat(made(images)), flat(copy.deepcopy(made).train()(images))
        return float((evaluated - trained).norm() / trained.norm())
    first = made.model[0]
    with torch.no_grad():
        first.conv.weight *= 3
    before = difference()
    norms.measure(made, [images])
    assert difference() < .2 and difference() < before / 2, (before, difference())
    norms.measure(made, [images[:1], images[1:]])
    with torch.no_grad():
        mean = (first.conv(images[:1]).mean((0, 2, 3)) + first.conv(images[1:]).mean((0, 2, 3))) / 2
    assert torch.allclose(first.bn.running_mean, mean, atol=1e-5)
    assert not made.training and first.bn.momentum == network.NORM_MOMENTUM


def bad_values_are_named():
    made = random_network()
    scores = prune.importances(made, random_batches(1), loss_of(made))
    grouped = random_network()
    conv = grouped.model[1].conv
    grouped.model[1].conv = torch.nn.Conv2d(conv.in_channels, conv.out_channels, 3, 2, 1, groups=2,
                                            bias=False)
    for call, text in (
            (lambda: prune.prune(made, scores, 0, SIZE), 'a part of 0 cannot be kept'),
            (lambda: prune.importances(made, [], loss_of(made)), 'no pictures to prune by'),
            (lambda: norms.restore(made, []), 'no pictures to measure norms'),
            (lambda: norms.measure(copy.deepcopy(made), []), 'no pictures to measure norms'),
            (lambda: prune.prune(grouped, {}, .5, SIZE), 'convolutions in groups of several')):
        try:
            call()
        except ValueError as why:
            assert text in str(why), why
            continue
        raise AssertionError(f'no error: {text}')


run_cases([what_is_left_computes_the_same, depthwise_layers_and_attention_are_pruned_too,
           it_costs_what_was_asked, cost_is_counted,
           steps_that_save_nothing_are_passed, what_stayed_is_told,
           repaired_layers_give_what_they_gave, times_lie_between_those_measured,
           layers_are_measured,
           layers_that_cost_most_lose_most, widths_are_steps, it_stays_an_ordinary_network,
           importance_is_the_loss_by_a_gate, norms_are_restored, norms_are_measured,
           bad_values_are_named])
