# SPDX-License-Identifier: MIT
"""Repairs a pruned network without labels: each convolution is fitted, by least squares, to give of
what it now reads what the whole network's gave (as He et al. 2017, "Channel Pruning for
Accelerating Very Deep Neural Networks", eq. 4, layer by layer)."""

import torch
from torch import nn
from torch.nn import functional

# Pixels of a picture's map that a layer is fitted to: neighbours look alike. And how many pictures
# are enough: the network runs once for each layer.
PIXELS, PICTURES = 128, 16
# A layer of more inputs times taps is left as it is: the matrix of its sums would not fit.
MOST = 6000
# Added to the diagonal, as a part of its mean: what the pictures do not tell stays small.
RIDGE = 1e-2


class Reached(Exception):
    """Ends a network's run at the layer that was asked for."""


def read_by(net, conv, images):
    """What a convolution reads of the images."""
    found = []

    def keep(_, inputs):
        found.append(inputs[0])
        raise Reached
    hook = conv.register_forward_pre_hook(keep)
    try:
        net(images)
    except Reached:
        pass
    finally:
        hook.remove()
    return found[0]


def wanted_of(whole, images):
    """{name: (places [pixels] that were drawn, outputs there [N][channels][pixels])} of the whole
    network's convolutions."""
    generator, wanted = torch.Generator().manual_seed(0), {}

    def keep(name):
        def hook(_, inputs, output):
            flat = output.flatten(2)
            places = torch.randperm(flat.shape[2], generator=generator)[:PIXELS]
            wanted[name] = places, flat[:, :, places].clone()
        return hook
    hooks = [conv.register_forward_hook(keep(name)) for name, conv in whole.named_modules()
             if isinstance(conv, nn.Conv2d)]
    whole(images)
    for hook in hooks:
        hook.remove()
    return wanted


def in_order(net, images):
    """[(name, Conv2d)] in the order in which they run."""
    names, order = {conv: name for name, conv in net.named_modules()}, []
    hooks = [conv.register_forward_hook(lambda module, *_: order.append(module))
             for conv in names if isinstance(conv, nn.Conv2d)]
    net(images[:1])
    for hook in hooks:
        hook.remove()
    return [(names[conv], conv) for conv in order]


def fit(conv, x, y, places):
    """Fits one convolution to give y [N][outputs][places] of x [N][inputs][rows][columns]."""
    columns = functional.unfold(x, conv.kernel_size, padding=conv.padding, stride=conv.stride)
    columns = columns[:, :, places].transpose(1, 2).flatten(0, 1)
    taps, ones = columns.shape[1], conv.bias is not None
    if ones:
        columns = functional.pad(columns, (0, 1), value=1)
    square = (columns.T @ columns).double()
    product = (columns.T @ y.transpose(1, 2).flatten(0, 1)).double()
    # The fit begins at the weights that are there: where pictures tell nothing they stay.
    weights = conv.weight.detach().flatten(1).double().T
    if ones:
        weights = torch.cat((weights, conv.bias.detach().double()[None]))
    ridge = RIDGE * square.diagonal().mean().clamp(min=1e-12)
    square.diagonal().add_(ridge)
    found = torch.linalg.solve(square, product + ridge * weights)
    conv.weight.copy_(found[:taps].T.reshape(conv.weight.shape))
    if ones:
        conv.bias.copy_(found[taps])


@torch.no_grad()
def repair(net, whole, kept, batches, tell=lambda done, of: None):
    """Fits the network's convolutions, in place, to what those of `whole` give, which it was before
    channels were taken out.

    kept: of prune.prune(); batches: pictures [N][3][rows][columns], some of which are used. Norms
    stay as they are: measure them again afterwards. tell: called with how many layers are done,
    and how many there are.
    """
    if not batches:
        raise ValueError('no pictures to repair by; give one or more')
    images = torch.cat(batches)
    images = images[torch.linspace(0, len(images) - 1, min(PICTURES, len(images))).long()]
    was_training = net.training, whole.training
    net.eval()
    whole.eval()
    wanted, others = wanted_of(whole, images), dict(whole.named_modules())
    layers = in_order(net, images)
    for number, (name, conv) in enumerate(layers):
        taps = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1]
        # The first layer reads what it always did.
        if taps <= MOST and conv.groups == 1 and conv.in_channels != others[name].in_channels:
            places, y = wanted.pop(name)
            y = y[:, kept[name]] if name in kept else y
            fit(conv, read_by(net, conv, images), y, places)
        tell(number + 1, len(layers))
    net.train(was_training[0])
    whole.train(was_training[1])
