# SPDX-License-Identifier: MIT
"""Training on PyTorch Lightning: a student that learns boxes, and perhaps what a teacher says."""

import copy
import importlib.util
import math

import lightning
import torch
from lightning.pytorch import callbacks, loggers
from torch import nn

from . import data, loss, network

# Of the distillation's losses beside the detection's: small, since in trials on one camera a
# teacher's logits at weight 1 taught its misses and duplicates too.
CLASS_WEIGHT, BINS_WEIGHT = .1, .25


def widths(net):
    """Channels of the maps that a network's head reads."""
    return [branch[0].conv.in_channels for branch in net.head.cv2]


class Lesson(lightning.LightningModule):
    """Adam with decoupled weight decay, a rate that rises and then falls as a cosine over all
    steps, and an average of the weights, `average`, which is what training is for.

    student, teacher: Networks of the same strides, bins and classes; teacher may be None.
    frozen_norms: norms work by their statistics, which do not change: results then do not depend
    on how a batch is shared out among processes. class_weight, bins_weight, temperature: of what
    the teacher's logits and box distributions say (loss.distillation). imitation: the weight of its
    features (loss.imitation), to which a convolution brings the student's; 0: without.
    """

    def __init__(self, student, teacher=None, rate=1e-3, decay=5e-4, warm_up=20, smoothing=.998,
                 frozen_norms=False, class_weight=CLASS_WEIGHT, bins_weight=BINS_WEIGHT,
                 temperature=2., imitation=0.):
        super().__init__()
        self.class_weight, self.bins_weight = class_weight, bins_weight
        self.temperature, self.imitation = temperature, imitation
        self.student, self.rate, self.decay, self.warm_up = student, rate, decay, warm_up
        self.smoothing, self.frozen_norms = smoothing, frozen_norms
        self.average = copy.deepcopy(student).eval().requires_grad_(False)
        # In a list, so that it is neither trained nor written into every checkpoint.
        self.teachers = [teacher.eval().requires_grad_(False)] if teacher else []
        self.adapters = nn.ModuleList(
            nn.Conv2d(own, goal, 1, bias=False) for own, goal in zip(*map(widths, (
                student, teacher)))) if teacher and imitation else nn.ModuleList()
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))
        self.held_out = []                      # the loss on held-out pictures after each epoch

    def train(self, mode=True):
        super().train(mode)
        self.average.eval()
        if self.frozen_norms:
            for module in self.student.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def on_train_epoch_start(self):
        """Lightning leaves modules in the mode that they come in, and a checkpoint's network comes
        to be evaluated."""
        self.train()

    def on_fit_start(self):
        for teacher in self.teachers:
            teacher.to(self.device)

    def share(self, total):
        """What loss.detection() divides by, in all processes the same."""
        if self.trainer.world_size > 1:
            total = self.all_gather(total).sum()
        return loss.at_least_one(total) / self.trainer.world_size

    def training_step(self, batch, _):
        images, objects, masks = data.ready(batch)
        first, last = loss.MANY_WEIGHT
        many = last + (first - last) * max(
            1 - self.current_epoch / max(self.trainer.max_epochs - 1, 1), 0)
        features = self.student.features(images)
        maps = self.student.head(features)
        parts = loss.detection(maps, objects, self.student.head, self.share, masks, many)
        total = parts.pop('total')
        for teacher in self.teachers:
            with torch.no_grad():
                seen = teacher.features(images)
                said = teacher.head(seen)
            kept = loss.distillation(maps, said, self.student.head.bins, self.temperature)
            total = total + kept['class'] * self.class_weight + kept['bins'] * self.bins_weight
            if self.imitation:
                kept['features'] = loss.imitation(
                    [adapt(each) for adapt, each in zip(self.adapters, features)], seen)
                total = total + kept['features'] * self.imitation
            parts |= {f'teacher {name}': value for name, value in kept.items()}
        self.log_dict({f'train {name}': value.detach() for name, value in parts.items()},
                      batch_size=len(images))
        self.log('train loss', total.detach(), prog_bar=True, batch_size=len(images))
        return total

    def on_train_batch_end(self, *_):
        """The average follows quickly at first: the weight of what it was rises to `smoothing`."""
        self.steps += 1
        keep = min(self.smoothing, float(self.steps) / (float(self.steps) + 10))
        with torch.no_grad():
            state = self.student.state_dict()
            for name, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(state[name], 1 - keep)
                else:
                    value.copy_(state[name])

    def validation_step(self, batch, _):
        images, objects, masks = data.ready(batch)
        # The same weights after every epoch, so that these can be compared.
        parts = loss.detection(self.average(images), objects, self.average.head, masks=masks,
                               many=.5)
        self.log('held out', parts['total'], prog_bar=True, batch_size=len(images), sync_dist=True)

    def on_validation_epoch_end(self):
        self.held_out.append(float(self.trainer.callback_metrics['held out']))

    def on_save_checkpoint(self, checkpoint):
        """Lightning's CSVLogger removes what an interrupted run has logged."""
        checkpoint['held out'] = list(self.held_out)

    def on_load_checkpoint(self, checkpoint):
        self.held_out = list(checkpoint.get('held out', []))

    def configure_optimizers(self):
        """Norms and biases do not decay."""
        kernels = [p for p in (*self.student.parameters(), *self.adapters.parameters())
                   if p.dim() > 1]
        others = [p for p in self.student.parameters() if p.dim() <= 1]
        optimizer = torch.optim.AdamW([{'params': kernels, 'weight_decay': self.decay},
                                       {'params': others, 'weight_decay': 0.}], lr=self.rate)
        whole = max(int(self.trainer.estimated_stepping_batches), 1)
        warm_up = min(self.warm_up, whole // 4)

        def factor(step):
            if step < warm_up:
                return (step + 1) / (warm_up + 1)
            return .01 + .99 * (1 + math.cos(math.pi * (step - warm_up) / (whole - warm_up))) / 2
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {'optimizer': optimizer, 'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}


class Material(lightning.LightningDataModule):
    """Pictures to learn from, and those that are held out. size: rows and columns, multiples of the
    largest stride; batch: pictures of each process in a step; form: of their labels."""

    def __init__(self, train, held_out, size, classes, batch=8, workers=0, mosaic=0., augment=True,
                 seed=0, form=data.BOXES):
        super().__init__()
        self.pictures = data.Pictures(train, size, classes, augment, mosaic, seed, form)
        self.held_out = data.Pictures(held_out, size, classes, form=form)
        self.batch, self.workers, self.seed = batch, workers, seed

    def train_dataloader(self):
        """Made anew for every epoch (reload_dataloaders_every_n_epochs=1), whose number says what
        is drawn: a run that is resumed goes on as if it had not been interrupted."""
        trainer = self.trainer
        batches = data.Batches(len(self.pictures), self.batch, trainer.world_size,
                               trainer.global_rank, self.seed)
        self.pictures.epoch = batches.epoch = trainer.current_epoch
        return torch.utils.data.DataLoader(self.pictures, batch_sampler=batches,
                                           num_workers=self.workers, collate_fn=data.collate)

    def val_dataloader(self):
        return torch.utils.data.DataLoader(self.held_out, self.batch, num_workers=self.workers,
                                           collate_fn=data.collate)


def trainer(folder, epochs, patience=0, **options):
    """A Trainer that writes FOLDER/last.ckpt after every epoch, FOLDER/best.ckpt after each that is
    the best on held-out pictures, FOLDER/log/metrics.csv, and what TensorBoard reads beside that.
    patience: epochs without a better one after which it ends; 0: never. Its own sampler is left
    out: it would shuffle what Batches has put in order."""
    keep = callbacks.ModelCheckpoint(folder, filename='best', monitor='held out', save_last=True,
                                     save_top_k=1, enable_version_counter=False)
    stop = [callbacks.EarlyStopping('held out', patience=patience)] if patience else []
    logs = [loggers.CSVLogger(folder, name='', version='log')]
    if importlib.util.find_spec('tensorboard'):
        logs.append(loggers.TensorBoardLogger(folder, name='', version='log'))
    return lightning.Trainer(max_epochs=epochs, callbacks=[keep, *stop], logger=logs,
                             use_distributed_sampler=False, reload_dataloaders_every_n_epochs=1,
                             num_sanity_val_steps=0, **options)


def trained(lesson, best=None):
    """The Network that a lesson has brought about: the average of its weights in the checkpoint
    whose path is given, of the epoch that was the best on held-out pictures, or after the last."""
    assert isinstance(lesson.average, network.Network)
    if best:
        state = torch.load(best, map_location='cpu', weights_only=True)['state_dict']
        own = 'average.'
        lesson.average.load_state_dict({name[len(own):]: value for name, value in state.items()
                                        if name.startswith(own)})
    return lesson.average.cpu()
