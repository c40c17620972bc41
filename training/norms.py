# SPDX-License-Identifier: MIT
"""The statistics of batch norms: brought to a network that has none, and measured again."""

import contextlib

import torch
from torch import nn


def norms_of(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@torch.no_grad()
def restore(network, batches):
    """Gives each norm the mean and variance that its input really has, and its weight and bias what
    keeps its output as it was.

    A checkpoint whose norms were folded into its convolutions has norms that do nothing: in
    training they would scale by the batch's statistics and the network would compute something
    else, and their gradients would not tell what a channel is worth. Batches are pictures
    [N][3][rows][columns], read once.
    """
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64,
                              device=norm.weight.device) for norm in norms_of(network)}

    def add(norm, inputs):
        x = inputs[0].double()
        sums[norm] += torch.stack((torch.full_like(norm.weight, x.numel() / x.shape[1]).double(),
                                   x.sum((0, 2, 3)), x.square().sum((0, 2, 3))))

    with contextlib.ExitStack() as stack:
        for norm in sums:
            stack.callback(norm.register_forward_pre_hook(add).remove)
        was_training = network.training
        network.eval()
        for images in batches:
            network(images)
        network.train(was_training)
    for norm, (count, total, squares) in sums.items():
        if not count.all():
            raise ValueError('no pictures to measure norms with; give one or more')
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        old = (norm.running_var.double() + norm.eps).sqrt()
        norm.bias += norm.weight * ((mean - norm.running_mean) / old)
        norm.weight *= (variance + norm.eps).sqrt() / old
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


@torch.no_grad()
def measure(network, batches):
    """Measures means and variances again, of a network whose layers have changed: each batch
    weighs the same. Pictures are as those of restore()."""
    norms = norms_of(network)
    momenta = [norm.momentum for norm in norms]
    was_training = network.training
    network.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None                    # the average of all, to PyTorch
    for images in batches:
        network(images)
    network.train(was_training)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
        if not norm.num_batches_tracked:
            raise ValueError('no pictures to measure norms with; give one or more')
