# SPDX-License-Identifier: MIT
"""A network made for one camera: labelled by itself at a higher resolution, pruned, taught.

    training/optimize --model yolov8n.pt --video yesterday.mp4 --keep 0.5 --output camera.onnx

Each step leaves a file in the folder of work, and one that is there is not done again: a run that
was interrupted, or killed, goes on where it was.
"""

import argparse
import copy
import errno
import fcntl
import json
import logging
import os
import shutil
import sys
import time
import warnings

import torch

from . import (agree, calibrate, checkpoint, cost, data, export, label, loss, norms, prune, repair,
               report, saving, sources, teach)
from .records import CheckpointError

# Pictures that importances and norms are measured with, and how many at a time.
MEASURED, TOGETHER = 64, 8
# How far the times of whole networks may correct those of layers.
MOST_CORRECTED = .5
# Bytes that must be free to begin: frames, checkpoints of two networks, reports.
ROOM = 1 << 30


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


def numbers(text):
    return tuple(int(each) for each in text.split(','))


def arguments_of(words):
    parser = argparse.ArgumentParser(
        prog='optimize', description='Makes a YOLOv8, YOLO11 or YOLO26 network smaller, for one '
        'camera, and teaches it. The front script takes --python too: the Python to run in, which '
        'has what training/requirements.txt lists.')
    parser.add_argument('--model', required=True,
                        help='the .pt file, of YOLOv8 or YOLO11 to detect, to segment or to find '
                        'points, or of YOLO26 to detect')
    parser.add_argument('--video', nargs='+', action='extend', default=[], metavar='SOURCE',
                        help='what the camera sees, some minutes of it: videos, folders of videos '
                        'and pictures, and addresses, rtsp://...')
    parser.add_argument('--duration', type=count, metavar='SECONDS',
                        help='how long cameras of --video are recorded')
    parser.add_argument('--labels', nargs='+', action='extend', default=[], metavar='LABELS',
                        help='pictures with labels by hand, which are learnt too: folders as YOLO '
                        'has them, data.yaml, COCO\'s .json')
    parser.add_argument('--output', required=True,
                        help='the .onnx file; a .pt, and a table for int8, are written beside')
    parser.add_argument('--keep', type=part, default=.5,
                        help='part of the time that the network takes which is kept (.5)')
    parser.add_argument('--size', type=size, default=(320, 320), metavar='WIDTHxHEIGHT',
                        help='of the network\'s input (320x320)')
    parser.add_argument('--teacher', help='the .pt or .onnx file that labels (the model itself)')
    parser.add_argument('--teacher-size', type=size, metavar='WIDTHxHEIGHT',
                        help='of the teacher\'s input (twice that of --size)')
    parser.add_argument('--rate', type=count, default=5, help='frames looked at a second (5)')
    parser.add_argument('--frames', type=count, default=400, help='frames used at most (400)')
    parser.add_argument('--epochs', type=count, default=20, help='how often all are learnt (20)')
    parser.add_argument('--rounds', type=count, default=2,
                        help='of pruning and learning, each of which takes a part out (2)')
    parser.add_argument('--seeds', type=count, default=1,
                        help='how often all is done, to tell luck from merit; the best is kept (1)')
    parser.add_argument('--batch', type=count, default=8, help='pictures in a step (8)')
    parser.add_argument('--accumulate', type=count, default=1,
                        help='steps whose gradients are added up before weights change (1)')
    parser.add_argument('--patience', type=int, default=0,
                        help='epochs without gain on held-out frames after which learning ends '
                        '(0: never)')
    parser.add_argument('--amp', action='store_true', help='learn in bfloat16 where that will do')
    parser.add_argument('--precision', choices=('auto', 'fp32', 'bf16', 'int8'), default='auto',
                        help='that the network will run in, for which layers\' times are measured '
                        '(auto: what the plugin takes)')
    parser.add_argument('--threads', type=int, default=0,
                        help='of the CPU that the network will run with (0: all)')
    parser.add_argument('--step', type=count,
                        help='channels that wide layers lose at a time (a register of this CPU)')
    parser.add_argument('--whole', action=argparse.BooleanOptionalAction, default=True,
                        help='teach the whole network too, by as many steps, to tell what pruning '
                        'costs')
    parser.add_argument('--compare', nargs='*', default=[], metavar='MODEL',
                        help='other networks that the report sets beside')
    parser.add_argument('--general', metavar='LABELS',
                        help='pictures of all the world with labels by hand, as those of --labels: '
                        'the report says how much of it was forgotten')
    parser.add_argument('--flip-idx', type=numbers, default=(), metavar='NUMBERS',
                        help='of a pose whose points are not COCO\'s 17: which point each is in a '
                        'mirror, as 0,2,1; without it pictures are not mirrored')
    parser.add_argument('--work', help='folder of what is made on the way (OUTPUT.work)')
    options = parser.parse_args(words)
    if not options.video and not options.labels:
        parser.error('give --video, what the camera sees, or --labels')
    return options


def say(text):
    print(text, flush=True)


class Progress(teach.lightning.Callback):
    """A line for each epoch, with the time that is left."""

    def on_train_start(self, trainer, lesson):
        self.start, self.first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer, lesson):
        done = trainer.current_epoch + 1
        each = (time.monotonic() - self.start) / (done - self.first)
        held_out = float(trainer.callback_metrics.get('held out', float('nan')))
        say(f'  epoch {done} of {trainer.max_epochs}: loss on held-out frames {held_out:.3f}, '
            f'{each * (trainer.max_epochs - done):.0f} s left')


def batches_of(paths, options, net):
    """[(images as the network gets them, objects, masks)] of pictures evenly over time."""
    paths = [paths[i * len(paths) // MEASURED] for i in range(MEASURED)] \
        if len(paths) > MEASURED else paths
    pictures = data.Pictures(paths, options.size, len(net.names),
                             form=options.form)
    items = [pictures[i] for i in range(len(pictures))]
    batches = [data.collate(items[i:i + TOGETHER]) for i in range(0, len(items), TOGETHER)]
    return [data.ready(batch) for batch in batches]


def price_of(net, options):
    """What a layer costs: its time, or multiply-adds where nothing tells times."""
    if not cost.program():
        say(f'  {cost.PROGRAM} is not there: --keep is of multiply-adds, not of time; build the '
            'project to have it')
        return cost.multiply_adds
    path = os.path.join(options.work, 'times.json')
    if not os.path.exists(path):
        say('times of layers are measured')
    return cost.read_or_measure(path, net, options.size, options.precision, options.threads)


def corrected(options, path, left):
    """What is left of the time when a network whose layers have `left` of theirs is run, as a part
    of that: a small one finds its weights in the caches. Within limits, since times are noisy."""
    first, now = (cost.network_time(file, options.size, options.precision.replace('int8', 'auto'),
                                    options.threads) for file in (options.model, path))
    return min(max(now / first / left, MOST_CORRECTED), 1 / MOST_CORRECTED)


def smaller(net, options, paths, number, price, before, last):
    """Prunes the network in place, in one round of several, and repairs it; gives what is left of
    `before`, the cost of the whole. last: the file of the round before, or None."""
    batches = batches_of(paths, options, net)
    images = [each for each, *_ in batches]
    norms.restore(net, images)
    whole = copy.deepcopy(net)
    scores = prune.importances(
        net, batches, lambda maps, objects, masks: loss.detection(
            maps, objects, net.head, masks=masks)['total'])
    goal = options.keep ** (number / options.rounds) * before
    now = cost.cost_of(net, options.size, price)
    if last and price is not cost.multiply_adds:
        goal /= corrected(options, last, now / before)
    left, kept = prune.prune(net, scores, min(goal / now, 1), options.size, options.step, price)
    repair.repair(net, whole, kept, images)
    norms.measure(net, images)
    return left * now / before


def settings(options):
    """What the files in the folder of work depend on."""
    said = {name: value for name, value in vars(options).items()
            if name not in ('work', 'output', 'compare')}
    for name in ('model', 'teacher', 'general'):
        said[name] = os.path.abspath(said[name]) if said[name] else None
    for name in ('video', 'labels'):
        said[name] = [each if sources.is_camera(each) else os.path.abspath(each)
                      for each in said[name]]
    return json.dumps(said, sort_keys=True)


def write(path, text):
    """A file that is there whole or not at all."""
    with open(path + '.part', 'w', encoding='utf-8') as file:
        file.write(text)
    os.replace(path + '.part', path)


def copy_to(path, to):
    """A file that is replaced once the new one is whole."""
    shutil.copyfile(path, to + '.part')
    os.replace(to + '.part', to)


def begin(options):
    """Makes the folder of work, or finds it as another run with the same settings left it. Gives
    what must stay open: a lock, which the system takes off when this process ends, however."""
    os.makedirs(options.work, exist_ok=True)
    lock = open(os.path.join(options.work, 'lock'), 'w', encoding='utf-8')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise data.DataError(f'{options.work}: another run is at work in it; wait for it, or give '
                             'another --work') from None
    path, said = os.path.join(options.work, 'settings.json'), settings(options)
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            if file.read() != said:
                raise data.DataError(f'{options.work}: was made with other settings; give another '
                                     '--work, or remove it')
    else:
        free = shutil.disk_usage(options.work).free
        if free < ROOM:
            raise data.DataError(f'{options.work}: {free >> 20} MiB are free, {ROOM >> 20} are '
                                 'needed; make room, or give another --work')
        write(path, said)
    return lock


def learn(net, options, folder, epochs, seed):
    """Teaches the network in place of the one that is given; gives it."""
    frames, last = os.path.join(options.work, 'frames'), os.path.join(folder, 'last.ckpt')
    torch.manual_seed(seed)
    lesson = teach.Lesson(net)
    material = teach.Material(*(data.pictures_of(os.path.join(frames, name))
                                for name in ('train', 'choose')), options.size, len(net.names),
                              min(options.batch, len(os.listdir(f'{frames}/train/images'))),
                              seed=seed, form=options.form)
    trainer = teach.trainer(folder, epochs, options.patience, enable_progress_bar=False,
                            enable_model_summary=False, log_every_n_steps=1,
                            accumulate_grad_batches=options.accumulate,
                            precision='bf16-mixed' if options.amp else '32-true')
    trainer.callbacks.insert(0, Progress())
    # weights_only: nothing that the folder's checkpoint names is imported or called.
    try:
        trainer.fit(lesson, material, weights_only=True,
                    ckpt_path=last if os.path.exists(last) else None)
    except SystemExit:                          # Lightning's way to end at Ctrl+C
        raise KeyboardInterrupt from None
    return teach.trained(lesson, os.path.join(folder, 'best.ckpt'))


def once(path, say_what, make, size):
    """The network of a file, which is made if it is not there."""
    if not os.path.exists(path):
        say(say_what)
        net = make()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        saving.save(net, path, size, half=False)
    return checkpoint.read(path)


def shares(epochs, rounds):
    """Epochs of each round: all rounds but the last have half of them together, or one each where
    that is less. The last always learns; some before it do not where epochs are fewer than rounds.
    """
    each = max(epochs // (2 * rounds), 1)
    early = [min(each, max(epochs - 1 - each * done, 0)) for done in range(rounds - 1)]
    return [*early, epochs - sum(early)]


def student(options, seed, price, before, train):
    """A network that is pruned and taught, in rounds."""
    net, path = checkpoint.read(options.model), None
    folder = os.path.join(options.work, f'seed-{seed}')
    for number, epochs in enumerate(shares(options.epochs, options.rounds), 1):
        def cut(net=net, number=number, path=path):
            left = smaller(net, options, train, number, price, before, path)
            say(f'  {left:.0%} of the cost of layers is left')
            return net
        # The first pruning draws nothing, and is the same for all seeds.
        path = os.path.join(options.work if number == 1 else folder, f'pruned-{number}.pt')
        net = once(path, f'seed {seed}, round {number} of {options.rounds}: channels are taken '
                   'out that these frames need least', cut, options.size)
        if not epochs:
            continue

        def taught(net=net, number=number, epochs=epochs):
            return learn(net, options, os.path.join(folder, f'round-{number}'), epochs, seed)
        net = once(os.path.join(folder, f'taught-{number}.pt'), f'seed {seed}, round {number}: '
                   'what is left learns the boxes', taught, options.size)
    return net


def judged(name, options, path, classes, size=None, precision=None, general=False):
    """How well a file does, as agree.measure() has it, with its time in milliseconds; kept in the
    folder of work, as is what it finds. general: also on the pictures of --general."""
    folder = os.path.join(options.work, 'judged')
    os.makedirs(folder, exist_ok=True)
    said, size = os.path.join(folder, name + '.json'), size or options.size
    # In 8 bits a network needs a table, which only those have that are asked for in int8.
    precision = precision or options.precision.replace('int8', 'auto')
    if not os.path.exists(said):
        parts = (os.path.join(options.work, 'frames', part) for part in ('choose', 'judge'))
        result, found = agree.measure(path, *parts, classes, size, precision,
                                      options.form)
        if general and options.general:
            result |= agree.general(path, os.path.join(options.work, 'general'), classes, size,
                                    result['threshold'], precision, options.form)
        if cost.program():
            result['ms'] = cost.network_time(path, size, precision, options.threads)
        result |= {'name': name, 'bytes': os.path.getsize(path), 'size': list(size),
                   'precision': precision, 'found': [each.tolist() for each in found]}
        write(said, json.dumps(result))
    with open(said, encoding='utf-8') as file:
        return json.load(file)


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
    if any(isinstance(m, torch.nn.Conv2d) and m.groups != 1 and not cost.depthwise(m)
           for m in net.modules()):
        raise data.DataError(f'{options.model}: its convolutions in groups of several channels '
                             'cannot be pruned; give a network without them')
    rows, columns = options.size
    stride = max(net.head.strides)
    if rows % stride or columns % stride:
        raise data.DataError(f'--size {columns}x{rows}: {options.model} has a stride of {stride}; '
                             'give multiples of that')


def reduced(size, keep, stride):
    """A size of the input at which the whole network does about `keep` of its work."""
    return tuple(max(round(side * keep ** .5 / stride), 1) * stride for side in size)


def rows_to_judge(options, net, best):
    """[judged()] of all that the report sets side by side."""
    classes, stride = len(net.names), max(net.head.strides)
    rows = [judged('before', options, options.model, classes, general=True)]
    small = reduced(options.size, options.keep, stride)
    if small != tuple(options.size):
        rows.append(judged('before, smaller input', options, options.model, classes, small))
    for path in options.compare:
        rows.append(judged('compared ' + os.path.basename(path), options, path, classes))
    for seed in range(options.seeds):
        for name in ('whole', 'student'):
            path = os.path.join(options.work, f'seed-{seed}', name + '.onnx')
            if os.path.exists(path):
                rows.append(judged(f'{name}, seed {seed}', options, path, classes, general=True))
    train = data.pictures_of(os.path.join(options.work, 'frames', 'train'))
    for precision in report.precisions(best, options):
        for name, path in (('before', options.model), ('student', best)):
            if precision == 'int8':
                path = calibrate.calibrated(path, os.path.join(options.work, 'int8'), train,
                                            options.size)
            rows.append(judged(f'{name}, {precision}', options, path, classes,
                               precision=precision))
    return rows


def make(options):
    """Everything up to the students of all seeds, and the whole network taught as long."""
    frames = os.path.join(options.work, 'frames')
    net = checkpoint.read(options.model)
    if not os.path.exists(frames):
        say('the teacher labels frames of the video' if options.video else
            'pictures with labels by hand are read')
        parts = label.label(options.video, options.teacher or options.model, frames,
                            options.teacher_size, options.rate, options.frames, names=net.names,
                            labels=options.labels, duration=options.duration,
                            say=lambda text: say(f'  {text}'), form=options.form)
        say('  ' + ', '.join(f'{name}: {number} pictures' for name, number in parts.items()))
    general = os.path.join(options.work, 'general')
    if options.general and not os.path.exists(general):
        say('pictures of all the world are read')
        label.gather(options.general, general, net.names, lambda text: say(f'  {text}'),
                     options.form)
    train = data.pictures_of(os.path.join(frames, 'train'))
    price = price_of(net, options)
    before = cost.cost_of(net, options.size, price)
    for seed in range(options.seeds):
        folder = os.path.join(options.work, f'seed-{seed}')
        os.makedirs(folder, exist_ok=True)
        done = student(options, seed, price, before, train)
        export.write(done, os.path.join(folder, 'student.onnx'), options.size)
        if options.whole:
            def taught(seed=seed, folder=folder):
                whole = checkpoint.read(options.model)
                norms.restore(whole, [images for images, *_ in
                                      batches_of(train, options, whole)])
                return learn(whole, options, os.path.join(folder, 'whole'), options.epochs, seed)
            whole = once(os.path.join(folder, 'whole.pt'),
                         f'seed {seed}: the whole network learns the same, to compare with',
                         taught, options.size)
            export.write(whole, os.path.join(folder, 'whole.onnx'), options.size)


def optimize(options):
    check_output(options)
    options.work = options.work or options.output + '.work'
    options.teacher_size = options.teacher_size or tuple(2 * side for side in options.size)
    options.step = options.step or cost.step(options.precision)
    net = checkpoint.read(options.model)
    check_network(net, options)
    options.form = data.form_of(net, options.flip_idx)
    with begin(options):
        make(options)
        say('networks are judged by frames that nothing has seen')
        students = [judged(f'student, seed {seed}', options, os.path.join(
            options.work, f'seed-{seed}', 'student.onnx'), len(net.names), general=True)
                    for seed in range(options.seeds)]
        seed = max(range(options.seeds), key=lambda each: students[each]['chosen'])
        folder = os.path.join(options.work, f'seed-{seed}')
        made = checkpoint.read(os.path.join(folder, f'taught-{options.rounds}.pt'))
        saving.save(made, beside(options.output), options.size)
        best = os.path.join(folder, 'student.onnx')
        copy_to(best, options.output)
        rows = rows_to_judge(options, net, best)
        copy_to(calibrate.table_of(os.path.join(options.work, 'int8', 'student.onnx')),
                calibrate.table_of(options.output))
        for line in report.write(rows, students[seed], options, len(net.names)):
            say(line)


def main():
    options = arguments_of(sys.argv[1:])
    warnings.simplefilter('ignore')             # Lightning's advice, which nobody here can follow
    logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
    try:
        optimize(options)
    except (CheckpointError, data.DataError) as why:
        sys.exit(f'optimize: {why}')
    except OSError as why:
        if why.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        sys.exit(f'optimize: {why.filename or options.output}: cannot be written ({why.strerror}); '
                 'make room, or give another place; the same line goes on where it was')
    except KeyboardInterrupt:
        sys.exit('optimize: interrupted; the same line goes on where it was')


if __name__ == '__main__':
    main()
