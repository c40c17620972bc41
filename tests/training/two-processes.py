#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""two-processes.py PICTURES FOLDER PROCESSES BATCH: trains a small network by Lightning's ddp in so
many processes, and leaves its weights in FOLDER/weights.pt. Lightning starts this program again
for each further process. Norms are frozen and the optimiser has no memory, so that nothing but
the gradients makes a difference."""

import logging
import os
import sys
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))

import torch                                    # noqa: E402
from training import data, network, teach       # noqa: E402


class Plain(teach.Lesson):
    def configure_optimizers(self):
        return torch.optim.SGD(self.student.parameters(), lr=.01)


def main():
    pictures, folder, processes, batch = sys.argv[1:]
    warnings.simplefilter('ignore')
    logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lesson = Plain(network.yolov8({0: 'white', 1: 'black'}, (1 / 3, .0625, 128), bins=8),
                   frozen_norms=True)
    paths = data.pictures_of(pictures)
    material = teach.Material(paths, paths[:4], (32, 64), 2, int(batch), mosaic=.5)
    trainer = teach.trainer(folder, 2, accelerator='cpu', devices=int(processes), strategy='ddp',
                            enable_progress_bar=False, enable_model_summary=False,
                            log_every_n_steps=1)
    trainer.fit(lesson, material)
    if trainer.global_rank == 0:
        torch.save(lesson.state_dict(), os.path.join(folder, 'weights.pt'))


if __name__ == '__main__':
    main()
