#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two processes with batches of 4 end with the weights of one with batches of 8. Prints TAP."""

import os
import subprocess
import sys

import environment
from environment import HERE
from tap import PATIENCE, folder, run_cases

environment.require('lightning', 'PIL')

import torch
from pictures import write_pictures


def weights(processes, batch):
    to = os.path.join(folder(), f'{processes}-processes')
    os.makedirs(to)
    result = subprocess.run(
        [sys.executable, os.path.join(HERE, 'two-processes.py'), write_pictures('learn', 24), to,
         str(processes), str(batch)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=PATIENCE, check=False)
    assert result.returncode == 0, result.stdout
    return torch.load(os.path.join(to, 'weights.pt'))


def two_processes_learn_what_one_does():
    one, two = weights(1, 8), weights(2, 4)
    assert one['steps'] == two['steps'] == 6
    # The average lags behind: as far as they are apart, weights have moved.
    moved = max(float((one[key] - one[key.replace('average', 'student')]).abs().max())
                for key in one if key.startswith('average') and one[key].is_floating_point())
    apart = max(float((one[key].float() - two[key].float()).abs().max()) for key in one)
    assert moved > 1e-4 and apart < 1e-6, (moved, apart)


run_cases([two_processes_learn_what_one_does])
