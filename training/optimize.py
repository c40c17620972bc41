# SPDX-License-Identifier: MIT
"""A network made for one camera: labelled by itself at a higher resolution, pruned, taught.

    training/optimize --model yolov8n.pt --video yesterday.mp4 --keep 0.5 --output camera.onnx

Each step leaves a file in the folder of work, and one that is there is not done again: a run that
was interrupted goes on where it was.
"""

import argparse
import json
import logging
import os
import sys
import time
import warnings

import torch

from . import agree, checkpoint, data, export, label, loss, norms, prune, saving, sources, teach
from .records import CheckpointError

# Pictures that importances and norms are measured with, and how many at a time.
MEASURED, TOGETHER = 64, 8


def size(text):
    """(rows, columns) of WIDTHxHEIGHT, or of one number for both."""
    sides = [int(side) for side in text.split('x')]
    if len(sides) > 2 or min(sides) < 32 or any(side % 32 for side in sides):
        raise argparse.ArgumentTypeError(f'{text}: give WIDTHxHEIGHT in multiples of 32')
    return sides[-1], sides[0]


def part(text):
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'{text}: give more than 0, and 1 at most')
    return value


def count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text}: give 1 or more')
    return value


def arguments_of(words):
    parser = argparse.ArgumentParser(
        prog='optimize', description='Makes a YOLOv8 network smaller and teaches it, for one '
        'camera. The front script takes --python too: the Python to run in, which has what '
        'training/requirements.txt lists.')
    parser.add_argument('--model', required=True, help='the .pt file, of YOLOv8 to detect')
    parser.add_argument('--video', nargs='+', action='extend', default=[], metavar='SOURCE',
                        help='what the camera sees, some minutes of it: videos, folders of videos '
                        'and pictures, and addresses, rtsp://...')
    parser.add_argument('--duration', type=count, metavar='SECONDS',
                        help='how long cameras of --video are recorded')
    parser.add_argument('--labels', nargs='+', action='extend', default=[], metavar='LABELS',
                        help='pictures with labels by hand, which are learnt too: folders as YOLO '
                        'has them, data.yaml, COCO\'s .json')
    parser.add_argument('--output', required=True, help='the .onnx file; a .pt is written beside')
    parser.add_argument('--keep', type=part, default=.5,
                        help='part of the multiply-adds that is kept (.5)')
    parser.add_argument('--size', type=size, default=(320, 320), metavar='WIDTHxHEIGHT',
                        help='of the network\'s input (320x320)')
    parser.add_argument('--teacher', help='the .pt or .onnx file that labels (the model itself)')
    parser.add_argument('--teacher-size', type=size, metavar='WIDTHxHEIGHT',
                        help='of the teacher\'s input (twice that of --size)')
    parser.add_argument('--rate', type=count, default=5, help='frames looked at a second (5)')
    parser.add_argument('--frames', type=count, default=400, help='frames used at most (400)')
    parser.add_argument('--epochs', type=count, default=20, help='how often all are learnt (20)')
    parser.add_argument('--batch', type=count, default=8, help='pictures in a step (8)')
    parser.add_argument('--step', type=count, default=8,
                        help='channels that wide layers lose at a time (8)')
    parser.add_argument('--work', help='folder of what is made on the way (OUTPUT.work)')
    options = parser.parse_args(words)
    if not options.video and not options.labels:
        parser.error('give --video, what the camera sees, or --labels')
    return options


def say(text):
    print(text, flush=True)


class Report(teach.lightning.Callback):
    """A line for each epoch, with the time that is left."""

    def on_train_start(self, trainer, lesson):
        self.start, self.first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer, lesson):
        done = trainer.current_epoch + 1
        each = (time.monotonic() - self.start) / (done - self.first)
        held_out = float(trainer.callback_metrics.get('held out', float('nan')))
        say(f'  epoch {done} of {trainer.max_epochs}: loss on held-out frames {held_out:.3f}, '
            f'{each * (trainer.max_epochs - done):.0f} s left')


def batches_of(paths, options, classes):
    """[(images as the network gets them, objects)] of pictures evenly over time."""
    paths = [paths[i * len(paths) // MEASURED] for i in range(MEASURED)] \
        if len(paths) > MEASURED else paths
    pictures = data.Pictures(paths, options.size, classes)
    items = [pictures[i] for i in range(len(pictures))]
    batches = [data.collate(items[i:i + TOGETHER]) for i in range(0, len(items), TOGETHER)]
    return [(images.float() / 255, objects) for images, objects in batches]


def smaller(net, options, paths):
    """Prunes the network in place."""
    batches = batches_of(paths, options, len(net.names))
    images = [each for each, _ in batches]
    norms.restore(net, images)
    scores = prune.importances(
        net, batches, lambda maps, objects: loss.detection(maps, objects, net.head)['total'])
    left = prune.prune(net, scores, options.keep, options.size, options.step)
    norms.measure(net, images)
    return left


def settings(options):
    """What the files in the folder of work depend on."""
    said = {name: value for name, value in vars(options).items() if name not in ('work', 'output')}
    for name in ('model', 'teacher'):
        said[name] = os.path.abspath(said[name]) if said[name] else None
    for name in ('video', 'labels'):
        said[name] = [each if sources.is_camera(each) else os.path.abspath(each)
                      for each in said[name]]
    return json.dumps(said, sort_keys=True)


def begin(options):
    """Makes the folder of work, or finds it as another run with the same settings left it."""
    os.makedirs(options.work, exist_ok=True)
    path, said = os.path.join(options.work, 'settings.json'), settings(options)
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            if file.read() != said:
                raise data.DataError(f'{options.work}: was made with other settings; give another '
                                     '--work, or remove it')
    else:
        with open(path + '.part', 'w', encoding='utf-8') as file:
            file.write(said)
        os.replace(path + '.part', path)


def learn(net, options, frames):
    """Teaches the network in place of the one that is given; gives it."""
    folder = os.path.join(options.work, 'training')
    last = os.path.join(folder, 'last.ckpt')
    lesson = teach.Lesson(net)
    material = teach.Material(*(data.pictures_of(os.path.join(frames, name))
                                for name in ('train', 'choose')), options.size, len(net.names),
                              min(options.batch, len(os.listdir(f'{frames}/train/images'))))
    trainer = teach.trainer(folder, options.epochs, enable_progress_bar=False,
                            enable_model_summary=False, log_every_n_steps=1)
    trainer.callbacks.insert(0, Report())
    # weights_only: nothing that the folder's checkpoint names is imported or called.
    trainer.fit(lesson, material, weights_only=True,
                ckpt_path=last if os.path.exists(last) else None)
    if trainer.current_epoch < options.epochs:
        raise KeyboardInterrupt
    return teach.trained(lesson)


def beside(output):
    """The .pt file that is written beside the .onnx file."""
    return os.path.splitext(output)[0] + '.pt'


def check_output(options):
    """Fails where a file that is written would replace one that is read."""
    if not options.output.endswith('.onnx'):
        raise data.DataError(f'--output {options.output}: does not end in .onnx; give a name that '
                             'does')
    for written in (options.output, beside(options.output)):
        for name in ('model', 'teacher'):
            path = getattr(options, name)
            if path and os.path.realpath(path) == os.path.realpath(written):
                raise data.DataError(f'--output {options.output}: {written} would replace '
                                     f'--{name} {path}; give another name')


def check_network(net, options):
    """Fails where a network cannot be pruned, or run at the size that is asked for."""
    if any(isinstance(m, torch.nn.Conv2d) and m.groups != 1 for m in net.modules()):
        raise data.DataError(f'{options.model}: its convolutions in groups cannot be pruned; give '
                             'a network without them')
    rows, columns = options.size
    stride = max(net.head.strides)
    if rows % stride or columns % stride:
        raise data.DataError(f'--size {columns}x{rows}: {options.model} has a stride of {stride}; '
                             'give multiples of that')


def optimize(options):
    check_output(options)
    options.work = options.work or options.output + '.work'
    options.teacher_size = options.teacher_size or tuple(2 * side for side in options.size)
    net = checkpoint.read(options.model)
    check_network(net, options)
    begin(options)
    frames, pruned, ready = (os.path.join(options.work, name)
                             for name in ('frames', 'pruned.pt', 'ready.pt'))
    if not os.path.exists(frames):
        say('1 of 4: the teacher labels frames of the video')
        parts = label.label(options.video, options.teacher or options.model, frames,
                            options.teacher_size, options.rate, options.frames, names=net.names,
                            labels=options.labels, duration=options.duration,
                            say=lambda text: say(f'  {text}'))
        say('  ' + ', '.join(f'{name}: {number} pictures' for name, number in parts.items()))
    if not os.path.exists(pruned):
        say('2 of 4: channels are taken out that these frames need least')
        left = smaller(net, options, data.pictures_of(os.path.join(frames, 'train')))
        saving.save(net, pruned, options.size, half=False)
        say(f'  {left:.0%} of the multiply-adds are left')
    if not os.path.exists(ready):
        say('3 of 4: what is left learns the teacher\'s boxes')
        net = learn(checkpoint.read(pruned), options, frames)
        saving.save(net, ready, options.size, half=False)
    say('4 of 4: files are written and judged by frames that nothing has seen')
    net = checkpoint.read(ready)
    saving.save(net, beside(options.output), options.size)
    export.write(net, options.output, options.size)
    for name, path in (('before', options.model), ('after', options.output)):
        threshold, _ = agree.measure(path, os.path.join(frames, 'choose'), len(net.names),
                                     options.size)
        _, f1 = agree.measure(path, os.path.join(frames, 'judge'), len(net.names), options.size,
                              [threshold])
        say(f'  {name}: F1 {f1:.3f} against the teacher, at confidence-threshold={threshold}')
    say(f'gst-launch-1.0 ... ! yoloinfer model-file={options.output} '
        f'confidence-threshold={threshold} ! ...')


def main():
    options = arguments_of(sys.argv[1:])
    warnings.simplefilter('ignore')             # Lightning's advice, which nobody here can follow
    logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
    torch.manual_seed(0)
    try:
        optimize(options)
    except (CheckpointError, data.DataError) as why:
        sys.exit(f'optimize: {why}')
    except KeyboardInterrupt:
        sys.exit('optimize: interrupted; the same line goes on where it was')


if __name__ == '__main__':
    main()
