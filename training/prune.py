# SPDX-License-Identifier: MIT
"""Takes channels out of a network: those that the loss would miss least for what they cost.

Which layers lose a channel together is Torch-Pruning's dependency graph (Fang et al. 2023,
"DepGraph"). The halves of a C2f lose as many channels each, so that the network stays one that
network.py, and Ultralytics' classes, describe.
"""

import contextlib

import torch
import torch_pruning
from torch import nn

from . import network
from .cost import CONVOLUTIONS, cost_of, depthwise, multiply_adds, sizes_of

# Of its channels a layer keeps this part at least, so that none becomes a bottleneck that the
# importances, which are measured once, do not foresee.
LEAST = 1 / 8


def importances(net, batches, loss):
    """{Conv, or transposed convolution: importance of its output channels}, by a first-order Taylor
    expansion: how much the loss would change if the norm gave 0 there (Molchanov et al. 2019,
    "Importance Estimation", eq. 8, at the norm), squared, averaged over batches.

    batches: of (images, objects, ...); loss: of (maps, objects, ...) a number. Norms must have real
    statistics (norms.restore); they work as in evaluation. Gradients are left cleared.
    """
    scores = {conv: torch.zeros_like(conv.bn.weight) for conv in net.modules()
              if isinstance(conv, network.Conv)}
    scores |= {conv: conv.weight.new_zeros(conv.out_channels) for conv in net.modules()
               if isinstance(conv, nn.ConvTranspose2d)}
    was_training, count = net.training, 0
    net.eval()
    for images, *labels in batches:
        net.zero_grad(set_to_none=True)
        loss(net(images), *labels).backward()
        count += 1
        with torch.no_grad():
            for conv, score in scores.items():
                score += gate_of(conv).square()
    net.zero_grad(set_to_none=True)
    net.train(was_training)
    if count == 0:
        raise ValueError('no pictures to prune by; give one or more')
    return {conv: score / count for conv, score in scores.items()}


def gate_of(conv):
    """The derivative by a factor on each of the layer's output channels."""
    if isinstance(conv, nn.ConvTranspose2d):
        taps = (conv.weight * conv.weight.grad).sum((0, 2, 3))
        return taps if conv.bias is None else taps + conv.bias * conv.bias.grad
    norm = conv.bn
    return norm.weight * norm.weight.grad + norm.bias * norm.bias.grad


class Halves(nn.Module):
    """A C2f whose first convolution is one for each half, so that the dependency graph can follow
    channels through it."""

    def __init__(self, block):
        super().__init__()
        self.i, self.f = block.i, block.f
        self.cv2, self.m = block.cv2, block.m
        self.cv0, self.cv1 = parted(block.cv1)

    def forward(self, x):
        parts = [self.cv0(x), self.cv1(x)]
        for bottleneck in self.m:
            parts.append(bottleneck(parts[-1]))
        return self.cv2(torch.cat(parts, 1))

    def whole(self):
        block = network.C2f(network.join(self.cv0, self.cv1), self.cv2, self.m)
        block.i, block.f = self.i, self.f
        return block


def parted(conv):
    """Two Convs, each with half of the channels of one."""
    half = conv.conv.out_channels // 2
    parts = []
    for rows in (slice(0, half), slice(half, None)):
        part = network.Conv(conv.conv.in_channels, half, conv.conv.kernel_size[0],
                            conv.conv.stride[0], act=type(conv.act)).to(conv.conv.weight)
        part.bn.eps = conv.bn.eps
        with torch.no_grad():
            part.conv.weight.copy_(conv.conv.weight[rows])
            for name in ('weight', 'bias', 'running_mean', 'running_var'):
                getattr(part.bn, name).copy_(getattr(conv.bn, name)[rows])
        parts.append(part.train(conv.training))
    return parts


@contextlib.contextmanager
def in_halves(net, scores):
    """Within, the network's C2f are Halves, but for those that have attention, which stay as they
    are. `scores`, as importances() gives them, are those of the
    halves too."""
    for i, block in enumerate(net.model):
        if isinstance(block, network.C2f) and not has_attention(block):
            net.model[i] = Halves(block)
            for part, score in zip((net.model[i].cv0, net.model[i].cv1),
                                   scores[block.cv1].chunk(2)):
                scores[part] = score
    try:
        yield
    finally:
        for i, block in enumerate(net.model):
            if isinstance(block, Halves):
                net.model[i] = block.whole()


def has_attention(block):
    return any(isinstance(part, network.Attention) for part in block.modules())


class Unit:
    """Channels that are taken out together: of one group of layers, or of the groups of both
    halves of a C2f, which stay as wide as each other."""

    def __init__(self, groups, scores, step):
        self.groups = groups
        self.roots = [group[0].dep.target.module for group in groups]
        self.left = self.width = self.roots[0].out_channels
        self.step = step_of(self.width, step)
        self.least = max(self.step, round(self.width * LEAST / self.step) * self.step)
        self.orders, self.losses, self.layers = [], 0, []
        for group in groups:
            score = score_of(group, self.width, scores)
            order = score.argsort()
            self.orders.append(order.tolist())
            self.losses = self.losses + score[order]
            self.layers += layers_of(group, self.width)

    def next(self):
        """How many channels may go next: one step, two steps ..."""
        return range(self.left % self.step or self.step, self.left - self.least + 1, self.step)

    def loss(self, count):
        """What would be missed of the next so many channels."""
        first = self.width - self.left
        return float(self.losses[first:first + count].sum())

    def without(self, widths, count):
        """{Conv2d: (inputs, outputs)} of the layers that change if so many channels go, of
        {Conv2d: (inputs, outputs)} of all."""
        changed = {}
        for conv, inputs, outputs in self.layers:
            old = changed.get(conv, widths[conv])
            changed[conv] = (old[0] - inputs * count, old[1] - outputs * count)
        return changed

    def gone(self):
        """[(root, its channels that are taken out)]"""
        return [(root, sorted(order[:self.width - self.left]))
                for root, order in zip(self.roots, self.orders)]

    def gone_of(self):
        """[(Conv2d, its outputs that are taken out)] of all layers that lose outputs."""
        return [(conv, [own for own, root in zip(item.idxs, item.root_idxs) if root in channels])
                for group, (_, channels) in zip(self.groups, self.gone())
                for conv, output, item in convolutions(group) if output]


def step_of(width, step):
    """A layer loses at most a quarter of its channels at a time: in narrow ones, steps as wide as
    a register cost more accuracy than they save time."""
    while step > 1 and step * 4 > width:
        step //= 2
    return step


def convolutions(group):
    """[(Conv2d, whether the group's channels are its outputs, the group's item)]; a depthwise one
    comes once, though they are its inputs too."""
    outputs = (torch_pruning.prune_conv_out_channels,
               torch_pruning.prune_depthwise_conv_out_channels)
    found = [(item.dep.target.module, item.dep.handler in outputs, item) for item in group
             if isinstance(item.dep.target.module, CONVOLUTIONS)]
    seen = set()
    return [each for each in found if not depthwise(each[0])
            or not (each[0] in seen or seen.add(each[0]))]


def layers_of(group, width):
    """[(Conv2d, inputs, outputs)]: how many of its channels go with one of the group's."""
    layers = []
    for conv, output, item in convolutions(group):
        each = len(item.idxs) // width
        both = depthwise(conv)
        layers.append((conv, 0 if output and not both else each, each if output or both else 0))
    return layers


def score_of(group, width, scores):
    """The importance of each of a group's channels [width], summed over the layers that give
    them; scores are those of Conv2d."""
    score = 0
    for conv, output, item in convolutions(group):
        if output:
            if sorted(item.root_idxs) != list(range(width)):
                raise ValueError('a layer that only gives a part of what another one does')
            score = score + scores[conv][item.idxs][torch.tensor(item.root_idxs).argsort()]
    return score


def units_of(net, graph, scores, step):
    # The head's last layers give logits, whose number is fixed.
    fixed = {branch[-1] for branches in (*net.head.branches, *net.head.one) for branch in branches}
    if isinstance(net.head, network.Segment):
        fixed.add(net.head.proto.cv3.conv)
    # Attention shares its channels out to heads, which all have as many.
    for block in net.model:
        if has_attention(block):
            fixed |= {conv for part in (block.cv1, block.m) for conv in part.modules()
                      if isinstance(conv, nn.Conv2d)}
    groups = [group for group in graph.get_all_groups(list(fixed), list(CONVOLUTIONS))
              if not any(conv in fixed for conv, output, _ in convolutions(group) if output)]
    owner = {conv: group for group in groups for conv, output, _ in convolutions(group) if output}
    units, paired = [], []
    for block in net.model:
        if isinstance(block, Halves):
            paired += [owner[block.cv0.conv], owner[block.cv1.conv]]
            units.append(Unit(paired[-2:], scores, step))
    return units + [Unit([group], scores, step) for group in groups
                    if not any(group is other for other in paired)]


def choose(units, sizes, keep, cost):
    """Takes channels out of the units until `keep` of the cost is left, or nothing can go: always
    those that are missed least for what they cost. Several steps of a unit at once are thought of
    too, since the first may save no time: a register more or less decides."""
    widths = {conv: (conv.in_channels, conv.out_channels) for conv in sizes}

    def price(conv, inputs, outputs):
        return cost(conv, inputs, outputs, sizes[conv])

    def saved(unit, count):
        return sum(price(conv, *widths[conv]) - price(conv, *new)
                   for conv, new in unit.without(widths, count).items())

    total = sum(price(conv, *widths[conv]) for conv in widths)
    goal = total * keep
    while total > goal:
        best = None
        for unit in units:
            for count in unit.next():
                saving = saved(unit, count)
                if saving > 0 and (best is None or unit.loss(count) / saving < best[0]):
                    best = unit.loss(count) / saving, unit, count, saving
        if best is None:
            break
        _, unit, count, saving = best
        widths.update(unit.without(widths, count))
        unit.left -= count
        total -= saving


def kept_by(units, net):
    """{Conv2d: numbers of the outputs that stay}, of those layers that lose some."""
    kept = {}
    for unit in units:
        for conv, gone in unit.gone_of():
            if gone:
                kept[conv] = torch.tensor([i for i in range(conv.out_channels)
                                           if i not in set(gone)])
    for block in net.model:                     # of a C2f, which is about to become whole again
        if isinstance(block, Halves):
            first, second = (kept.get(half.conv, torch.arange(half.conv.out_channels))
                             for half in (block.cv0, block.cv1))
            kept[block] = torch.cat((first, second + block.cv0.conv.out_channels))
    return kept


def prune(net, scores, keep, size, step=8, cost=multiply_adds):
    """Takes channels out of the network, in place, until its convolutions cost `keep` of what they
    do, or no layer may lose more.

    scores: of importances(); size: rows and columns of the pictures that cost is counted for;
    step: channels that layers lose at a time, where they are wide enough, the width of the
    target's registers; cost: as cost.py has them. Norms are to be measured again (norms.measure)
    before the network is used.

    Gives the part of the cost that is left, and of each Conv2d, by its name, which of its outputs
    stayed: {name: numbers}, without those that lost none.
    """
    if not 0 < keep <= 1:
        raise ValueError(f'a part of {keep} cannot be kept; give more than 0, and 1 at most')
    if any(isinstance(m, nn.Conv2d) and m.groups != 1 and not depthwise(m)
           for m in net.modules()):
        raise ValueError('convolutions in groups of several channels cannot be pruned; give a '
                         'network without them')
    before, scores = cost_of(net, size, cost), dict(scores)
    with in_halves(net, scores):
        scores = {getattr(conv, 'conv', conv): score for conv, score in scores.items()}
        graph = torch_pruning.DependencyGraph()
        graph.build_dependency(net, torch.zeros(1, 3, *size, device=next(net.parameters()).device),
                               output_transform=network.tensors_of)
        units = units_of(net, graph, scores, step)
        choose(units, sizes_of(net, size), keep, cost)
        kept = kept_by(units, net)
        blocks = {i: kept[block] for i, block in enumerate(net.model) if block in kept}
        for unit in units:
            for root, channels in unit.gone():
                if channels:
                    graph.get_pruning_group(root, torch_pruning.prune_conv_out_channels,
                                            channels).prune()
    kept |= {net.model[i].cv1.conv: channels for i, channels in blocks.items()}
    return (cost_of(net, size, cost) / before,
            {name: kept[conv] for name, conv in net.named_modules() if conv in kept})
