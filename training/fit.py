# SPDX-License-Identifier: MIT
"""Training with every choice in the user's hand: Lightning's command line, whose options can all
stand in a YAML file too, on one machine or several (torchrun, SLURM).

    training/fit fit --config training/camera.yaml --model.file yolov8n.pt \\
        --data.folder camera.onnx.work/frames --output taught.onnx
"""

import logging
import os
import sys
import warnings

import torch
from lightning.pytorch.cli import LightningCLI

from . import checkpoint, data, export, norms, saving, teach
from .records import CheckpointError


class FileLesson(teach.Lesson):
    """Teaches the network of a .pt file.

    Args:
        file: the .pt file
        teacher: the .pt file of a teacher with the same classes, strides and bins; nothing: boxes
            alone teach
        rate: of learning, at its highest
        decay: of the weights
        warm_up: steps in which the rate rises
        smoothing: of the weights' average
        frozen_norms: norms keep their statistics
        class_weight: of what the teacher's logits say
        bins_weight: of what its box distributions say
        temperature: that softens these
        imitation: weight of its features; 0: without
    """

    def __init__(self, file: str, teacher: str | None = None, rate: float = 1e-3,
                 decay: float = 5e-4, warm_up: int = 20, smoothing: float = .998,
                 frozen_norms: bool = False, class_weight: float = teach.CLASS_WEIGHT,
                 bins_weight: float = teach.BINS_WEIGHT, temperature: float = 2.,
                 imitation: float = 0.):
        student, master = checkpoint.read(file), checkpoint.read(teacher) if teacher else None
        if master:
            for name, of in (('classes', lambda net: net.names), ('strides', lambda net: list(
                    net.head.strides)), ('bins', lambda net: net.head.bins)):
                if of(student) != of(master):
                    raise data.DataError(f'{teacher}: has other {name} than {file}; give a teacher '
                                         'of the same')
        super().__init__(student, master, rate, decay, warm_up, smoothing, frozen_norms,
                         class_weight, bins_weight, temperature, imitation)


class FileMaterial(teach.Material):
    """Pictures and labels of FOLDER/train and FOLDER/choose, each with images and labels.

    Args:
        folder: as training/optimize leaves it in its folder of work
        file: the .pt file, whose classes the labels count
        size: rows and columns of the network's input
        batch: pictures of each process in a step
        workers: processes that read pictures
        mosaic: the part of the pictures that are made of four
        augment: whether pictures are flipped, moved and coloured
        seed: of all that is drawn
        flip_idx: of a pose whose points are not COCO's 17: which point each is in a mirror; without
            it pictures are not mirrored
    """

    def __init__(self, folder: str, file: str, size: tuple[int, int] = (640, 640), batch: int = 8,
                 workers: int = 0, mosaic: float = 0., augment: bool = True, seed: int = 0,
                 flip_idx: tuple[int, ...] = ()):
        paths = [data.pictures_of(os.path.join(folder, part)) for part in ('train', 'choose')]
        net = checkpoint.read(file)
        stride = max(net.head.strides)
        if any(side < stride or side % stride for side in size):
            raise data.DataError(f'size {list(size)}: {file} has a stride of {stride}; give '
                                 'multiples of that')
        super().__init__(*paths, size, len(net.names), batch, workers, mosaic, augment, seed,
                         data.form_of(net, flip_idx))
        self.size = tuple(size)


class Cli(LightningCLI):
    """Also measures norms first, and writes the network at the end."""

    def add_arguments_to_parser(self, parser):
        parser.add_argument('--output', type=str | None, default=None,
                            help='the .onnx file; a .pt is written beside')
        parser.link_arguments('model.file', 'data.file')

    def before_fit(self):
        if self.config.fit.output and not self.config.fit.output.endswith('.onnx'):
            raise data.DataError(f'--output {self.config.fit.output}: does not end in .onnx; give '
                                 'a name that does')
        # A file whose norms were folded would compute something else in training.
        pictures = self.datamodule.held_out
        items = [pictures[i] for i in range(min(16, len(pictures)))]
        images = data.collate(items)[0].float() / 255
        for net in (self.model.student, self.model.average):
            norms.restore(net, images.split(8))

    def after_fit(self):
        output = self.config.fit.output
        if output and self.trainer.is_global_zero:
            keep = self.trainer.checkpoint_callback
            net = teach.trained(self.model, keep and keep.best_model_path)
            saving.save(net, os.path.splitext(output)[0] + '.pt', self.datamodule.size)
            export.write(net, output, self.datamodule.size)


def main(words=None):
    warnings.simplefilter('ignore')             # Lightning's advice
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    torch.set_float32_matmul_precision('high')
    try:
        # The sampler is our own: Lightning's would shuffle what it has put in order.
        Cli(FileLesson, FileMaterial, args=words, save_config_kwargs={'overwrite': True},
            trainer_defaults={'use_distributed_sampler': False,
                              'reload_dataloaders_every_n_epochs': 1, 'num_sanity_val_steps': 0})
    except (CheckpointError, data.DataError) as why:
        sys.exit(f'fit: {why}')


if __name__ == '__main__':
    main()
