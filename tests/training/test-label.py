#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pipelines that training/ runs, and labelling. Needs no PyTorch. Prints TAP."""

import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path[:0] = [TOP, os.path.join(TOP, 'tests', 'pipelines')]

from tap import BUILD, PATIENCE, Skip, folder, run_cases, shell, with_packages
from training import DataError, pipeline

# Labelling takes three packages, which an environment of the test's own has where Python has not.
try:
    import numpy as np
    import yaml
    from PIL import Image
    from training import hand, label, sources
except ImportError:
    np = None
PACKAGES = 'import numpy, PIL, yaml', 'numpy', 'pillow', 'pyyaml'
if np is None and 'LABEL_TEST' not in os.environ:
    with contextlib.suppress(Skip):
        os.environ['LABEL_TEST'] = '1'          # once
        own = with_packages('label-venv', *PACKAGES)
        os.execv(own, [own, *sys.argv])

MODEL = os.path.join(TOP, 'tests', 'data', 'v8n.onnx')
NAMES = {0: 'alpha', 1: 'beta', 2: 'gamma'}


def needs_packages():
    if np is None:
        raise Skip('numpy, pillow and pyyaml are neither installed nor can they be')


def needs_plugin():
    needs_packages()
    if not os.path.exists(os.path.join(BUILD, 'gst-plugin', 'libgstyolo.so')):
        raise Skip('the plugin is not built')


class Instead:
    """A program of a few lines of shell in the place of gst-launch-1.0, and little patience."""

    def __init__(self, script):
        self.path = os.path.join(folder(), 'gst-launch-instead')
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write('#!/bin/sh\n' + script)
        os.chmod(self.path, 0o755)

    def __enter__(self):
        self.before = pipeline.PROGRAM, pipeline.PATIENCE
        pipeline.PROGRAM, pipeline.PATIENCE = self.path, .3

    def __exit__(self, *_):
        pipeline.PROGRAM, pipeline.PATIENCE = self.before


def failure(function, *arguments):
    try:
        function(*arguments)
    except DataError as why:
        return str(why)
    raise AssertionError('nothing failed')


def read_all(line):
    with pipeline.output(line, 'what') as made:
        return made.read(1000)


def pipelines_that_fail_are_told():
    for line, text in (
            ('fakesrc num-buffers=1 ! identity error-after=1 ! fakesink', 'what: ERROR'),
            ('fakesrc ! nothing-of-that-name', 'what: '),
            ('fakesrc ! yolonothing ! fakesink', 'set GST_PLUGIN_PATH')):
        assert text in failure(pipeline.launch, line.split(), 'what'), text
    assert failure(read_all, 'fakesrc num-buffers=1 ! identity error-after=1'.split())
    with Instead('exit 3'):
        assert failure(pipeline.launch, [], 'what').endswith('ended with 3')


def what_a_pipeline_writes_is_read():
    line = 'fakesrc num-buffers=3 sizetype=fixed sizemax=5 filltype=zero'.split()
    assert read_all(line) == bytes(15)
    with pipeline.output(['fakesrc', 'sizetype=fixed', 'sizemax=5'], 'endless') as made:
        assert len(made.read(10)) == 10         # and is ended


def a_pipeline_that_does_not_end_is_ended():
    """It has told an error; the one ends when it is asked to, the other does not."""
    for more in ('', 'trap "" TERM\n'):
        with Instead(more + 'echo "ERROR: no camera" >&2\nwhile :; do sleep .1; done\n'):
            for function in (lambda: pipeline.launch([], 'what'), lambda: read_all([])):
                start = time.monotonic()
                assert failure(function) == 'what: ERROR: no camera'
                assert time.monotonic() - start > .3


def an_output_that_stays_open_is_not_waited_for():
    """A child of the program keeps it, until a file is gone."""
    flag = os.path.join(folder(), 'flag')
    with open(flag, 'w', encoding='utf-8'):
        pass
    with Instead(f'while [ -e "{flag}" ]; do sleep .1; done &\necho "ERROR: no camera"\nexit 1\n'):
        assert failure(pipeline.launch, [], 'what') == 'what: ERROR: no camera'
    os.remove(flag)


def frames_that_differ_are_chosen():
    """Those that are most different come first; what comes again is not taken again."""
    needs_packages()
    small = np.array([[50, 9], [51, 9], [90, 9], [50, 9], [130, 9], [130, 14], [210, 9]], np.uint8)
    assert label.different(small, 9) == [0, 2, 4, 6]
    assert label.different(small, 2) == [0, 6] and label.different(small, 3) == [0, 4, 6]
    assert label.different(small[:1], 9) == [0] and label.different(small[:0], 9) == []


def parts_are_shared_out_in_time():
    needs_packages()
    parts = label.share_out(100)
    assert parts == {'train': range(0, 60), 'choose': range(62, 80), 'judge': range(82, 100)}


def film(name, pattern='snow', frames=30, size=64):
    path = os.path.join(folder(), name)
    if not os.path.exists(path):
        result = shell(f'gst-launch-1.0 -q videotestsrc pattern={pattern} num-buffers={frames} ! '
                       f'video/x-raw,format=I420,width={size},height=48,framerate=5/1 ! jpegenc ! '
                       f'matroskamux ! filesink location="{path}"')
        assert result.returncode == 0, result.stdout
    return path


def picture(path, grey=90, size=(80, 60), mode='RGB', **options):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.new(mode, size, grey if mode == 'L' else (grey,) * len(mode)).save(path, **options)
    return path


def frames_of_a_video_are_those_that_were_looked_at():
    """A picture that is chosen by its small one is the frame that is written; a video that is
    odd in size; fewer frames a second than it has."""
    needs_packages()
    path = film('odd.mkv', 'snow', 20, 66)
    source = sources.Video(path, 5)
    small = source.small()
    assert small.shape == (20, sources.ROWS * sources.COLUMNS)
    to = {n: os.path.join(folder(), f'odd-{n}.jpg') for n in (3, 17)}
    source.write(to)
    again = sources.Folder('', list(to.values())).small()
    for n, frame in zip(to, again):
        apart = [float(np.abs(each.astype(int) - frame).mean()) for each in small]
        assert min(apart) == apart[n], (n, apart)
        with Image.open(to[n]) as image:
            assert image.size == (66, 48)
    assert len(sources.Video(path, 1).small()) in (4, 5)
    noise = sources.Video(film('noise.mkv', frames=2, size=1280), 5).small()
    assert abs(noise.mean() - 125) < 5 and noise.std() < 20     # 75, where pixels were left out


def pixmaps_are_read():
    needs_packages()
    two = io.BytesIO(b'P6\n# made here\n2 1\n255\nabcdefP6 1 1 255 xyzP6 9 9 255 short')
    first, second = sources.read_ppm(two), sources.read_ppm(two)
    assert first.size == (2, 1) and first.tobytes() == b'abcdef' and second.tobytes() == b'xyz'
    assert sources.read_ppm(two) is None and sources.read_ppm(two) is None


def sources_are_found():
    needs_packages()
    top = os.path.join(folder(), 'several')
    for name in ('b/2.PNG', 'b/1.jpg', 'a.jpeg'):
        picture(os.path.join(top, name))
    shutil.copy(film('few.mkv', frames=5), os.path.join(top, 'b', 'film.mkv'))
    with open(os.path.join(top, 'notes.txt'), 'w', encoding='utf-8') as file:
        file.write('no picture')
    found = sources.find([top, film('few.mkv', frames=5), os.path.join(top, 'a.jpeg')], 5, None,
                         '')
    assert [(type(each).__name__, os.path.basename(each.name)) for each in found] == [
        ('Folder', 'several'), ('Folder', 'b'), ('Video', 'film.mkv'), ('Video', 'few.mkv'),
        ('Folder', 'a.jpeg')]
    assert [os.path.basename(path) for path in found[1].paths] == ['1.jpg', '2.PNG']
    assert [len(each.small()) for each in found] == [1, 2, 5, 5, 1]


def sources_that_are_none_are_named():
    needs_packages()
    empty = os.path.join(folder(), 'empty')
    os.makedirs(empty)
    text = os.path.join(folder(), 'text.mkv')
    with open(text, 'w', encoding='utf-8') as file:
        file.write('this is no video\n' * 100)
    broken = os.path.join(folder(), 'broken', '1.jpg')
    with open(picture(broken), 'r+b') as file:
        file.truncate(200)
    sound = os.path.join(folder(), 'sound.mkv')
    shell(f'gst-launch-1.0 -q audiotestsrc num-buffers=9 ! matroskamux ! filesink '
          f'location="{sound}"')
    for names, said in ((['absent.mkv'], 'absent.mkv: there is no such file'),
                        (['rtsp://127.0.0.1/'], '--duration'), (['http://127.0.0.1/'], 'rtsp://'),
                        ([empty], 'no picture and no video'), ([text], text), ([sound], sound),
                        ([os.path.dirname(broken)], broken + ': cannot be read')):
        why = failure(lambda: [each.small() for each in sources.find(names, 5, None, '')])
        assert said in why, (said, why)


def pictures_become_what_the_plugin_reads():
    """JPEG files stay as they are; what has another form, an alpha channel or no colours is
    written anew."""
    needs_packages()
    for name, mode in (('a.png', 'RGBA'), ('b.jpg', 'L'), ('c.jpg', 'RGB'), ('d.bmp', 'L')):
        path = picture(os.path.join(folder(), 'forms', name), mode=mode)
        to = os.path.join(folder(), 'kept.jpg')
        sources.keep(path, to)
        with Image.open(to) as image:
            assert (image.format, image.mode) == ('JPEG', 'RGB'), name
            assert abs(image.getpixel((9, 9))[1] - 90) <= 2, name
        with open(path, 'rb') as before, open(to, 'rb') as after:
            assert (before.read() == after.read()) == (name == 'c.jpg')


@contextlib.contextmanager
def camera():
    server = os.path.join(BUILD, 'tests/pipelines/rtsp-server')
    if not os.path.exists(server):
        raise Skip('GStreamer\'s RTSP server is not installed')
    line = ('( videotestsrc is-live=true pattern=snow ! '
            'video/x-raw,format=I420,width=64,height=48,framerate=10/1 ! '
            'x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! '
            'rtph264pay name=pay0 )')
    with subprocess.Popen([server, line], stdout=subprocess.PIPE, text=True) as process:
        assert select.select([process.stdout], [], [], PATIENCE)[0], 'the server does not start'
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def a_camera_is_recorded():
    """For as long as was asked; what is recorded is taken again; of one that is not there an
    error is told."""
    needs_packages()
    to, said = os.path.join(folder(), 'recordings'), []
    with camera() as url:
        for seconds in (3, 30, 100):            # a machine may be slow
            try:
                source, = sources.find([url], 5, seconds, to, said.append)
                frames = len(source.small())
                break
            except DataError as why:
                print(f'# {why}')
                shutil.rmtree(to, ignore_errors=True)
    assert frames >= 1 and said[-1] == f'{url} is recorded for {seconds} s', said
    before = len(said)
    again, = sources.find([url], 5, seconds, to, said.append)
    assert len(again.small()) == frames and len(said) == before
    assert url in failure(sources.find, [url], 5, seconds, to + '-other')


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def near(found, wanted):
    """Whether objects are the same to six digits."""
    return len(found) == len(wanted) and all(
        a[0] == b[0] and np.allclose(a[1:], b[1:], atol=1e-6) for a, b in zip(found, wanted))


def yolo_folders_are_read():
    """Boxes, confidences, outlines and keypoints; lists of pictures; classes by their names; the
    parts that data.yaml says."""
    needs_packages()
    top = os.path.join(folder(), 'images', 'yolo')      # a folder `images` above is another one
    for name in ('train/images/1.jpg', 'train/images/2.png', 'valid/images/3.jpg',
                 'valid/images/4.jpg', 'listed/5.jpg'):
        picture(os.path.join(top, name))
    write(os.path.join(top, 'train/labels/1.txt'),
          '1 .5 .5 .2 .4\n\n0 .5 .5 .2 .4 .875\n2 .1 .1 .3 .1 .2 .4\n1 .5 .5 .2 .4\n')
    write(os.path.join(top, 'valid/labels/3.txt'), '0 .05 .5 .2 .4\n')
    write(os.path.join(top, 'listed/5.txt'), '1 .5 .5 .5 .5')
    write(os.path.join(top, 'list.txt'), './listed/5.jpg\n')
    path = write(os.path.join(top, 'data.yaml'), 'train: ../train/images\nval: valid/images\n'
                 'test: [list.txt]\nnames: [Gamma, crane, alpha]\n')
    said = []
    for given in (top, path):
        rows = hand.read([given], NAMES, said.append)
        assert [(os.path.basename(row.path), row.part) for row in rows] == [
            ('1.jpg', 'train'), ('2.png', 'train'), ('3.jpg', 'choose'), ('4.jpg', 'choose'),
            ('5.jpg', 'judge')]
        assert near(rows[0].objects, [(2, .5, .5, .2, .4), (0, .2, .25, .2, .3)]), rows[0]
        assert rows[1].objects == [] and near(rows[2].objects, [(2, .075, .5, .15, .4)])
    assert said[0] == '3 objects of "crane" are left out: the model has no such class', said
    write(path, 'path: .\ntrain: train/images\nval: valid/images\nkpt_shape: [1, 3]\n'
          'names: {0: alpha, 1: beta}\n')
    write(os.path.join(top, 'train/labels/1.txt'), '1 .5 .5 .2 .4 .5 .5 2\n')
    rows = hand.read([path], NAMES)
    assert near(rows[0].objects, [(1, .5, .5, .2, .4)])
    assert [row.part for row in rows] == ['train', 'train', 'choose', 'judge']


def yolo_folders_without_names_have_the_models():
    needs_packages()
    top = os.path.join(folder(), 'plain')
    picture(os.path.join(top, 'images/1.jpg'))
    write(os.path.join(top, 'labels/1.txt'), '2 .5 .5 .2 .4\n')
    row, = hand.read([top], NAMES)
    assert near(row.objects, [(2, .5, .5, .2, .4)]) and row.part is None


def coco(top, **changes):
    said = {'images': [{'id': 7, 'file_name': '1.jpg', 'width': 80, 'height': 60},
                       {'id': 8, 'file_name': '2.jpg'}],
            'categories': [{'id': 3, 'name': 'Beta'}, {'id': 4, 'name': 'crane'}],
            'annotations': [{'image_id': 7, 'category_id': 3, 'bbox': [8, 6, 16, 30.]},
                            {'image_id': 7, 'category_id': 4, 'bbox': [8, 6, 16, 30]},
                            {'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 80, 60],
                             'iscrowd': 1}]}
    return write(os.path.join(top, 'annotations', 'instances_val.json'),
                 json.dumps({**said, **changes}))


def coco_files_are_read():
    needs_packages()
    top = os.path.join(folder(), 'coco')
    for name in ('1.jpg', '2.jpg'):
        picture(os.path.join(top, 'images', 'val', name))
    said = []
    first, second = hand.read([coco(top)], NAMES, said.append)
    assert near(first.objects, [(1, .2, .35, .2, .5)]) and first.part is None, first
    assert second.objects == [] and second.path.endswith('val/2.jpg')
    assert said == ['1 objects of "crane" are left out: the model has no such class'], said


def bad_labels_are_named():
    """By file and line, or by the entry."""
    needs_packages()
    top = os.path.join(folder(), 'bad')
    image = picture(os.path.join(top, 'images', '1.jpg'))
    text = os.path.join(top, 'labels', '1.txt')
    for line, said in (('0 .5 .5 .2', 'not a class and a box'), ('0 .5 .5 .2 x', 'not a class'),
                       ('0 .5 .5 .2 nan', 'not a class'), ('0 .1 .1 .2 .2 .3 .3 .4', 'pairs'),
                       ('3 .5 .5 .2 .2', 'no class 3'), ('.5 .5 .5 .2 .2', 'no class .5'),
                       ('-1 .5 .5 .2 .2', 'no class -1'), ('0 50 50 20 20', 'from 0 to 1')):
        write(text, '0 .5 .5 .1 .1\n' + line + '\n')
        why = failure(hand.read, [top], NAMES)
        assert why.startswith(f'{text}:2: ') and said in why, (line, why)
    write(text, '0 .5 .5 .1 .1\n')
    path = os.path.join(top, 'data.yaml')
    for content, said in (('names: [a', f'{path}:'), ('[1, 2]', 'no data.yaml'),
                          ('train: images\n', 'names of classes'),
                          ('names: [alpha]\ntrain: absent\n', 'there is no absent'),
                          ('names: [alpha]\n', 'no picture in it'),
                          ('names: [other]\ntrain: images\n', 'no object of the model')):
        write(path, content)
        assert said in failure(hand.read, [top], NAMES), content
    os.remove(path)
    os.remove(text)
    assert 'no picture has a file of labels' in failure(hand.read, [top], NAMES)
    assert 'no such file or folder' in failure(hand.read, ['absent.json'], NAMES)
    assert 'are no labels' in failure(hand.read, [image], NAMES)


def bad_coco_files_are_named():
    needs_packages()
    top = os.path.join(folder(), 'bad-coco')
    for name in ('1.jpg', '2.jpg'):
        picture(os.path.join(top, 'images', name))
    good = {'image_id': 7, 'category_id': 3, 'bbox': [8, 6, 16, 30]}
    for changes, said in (
            ({'images': 3}, 'no list "images"'), ({'images': []}, 'has no images'),
            ({'images': [{'id': 7}]}, 'images[0] has no file_name'),
            ({'images': [{'id': 7, 'file_name': 'absent.jpg'}]}, 'absent.jpg is in none of'),
            ({'images': [{'id': 7, 'file_name': '1.jpg', 'width': 60, 'height': 80}]}, '60x80'),
            ({'annotations': [good, {**good, 'bbox': [1, 2, 3]}]}, 'annotations[1] has a bbox'),
            ({'annotations': [{**good, 'bbox': [1, 2, 3, -4]}]}, 'annotations[0] has a bbox'),
            ({'annotations': [{**good, 'bbox': [1, 2, 3, 'x']}]}, 'annotations[0] has a bbox'),
            ({'annotations': [{**good, 'image_id': 9}]}, 'of the image 9'),
            ({'annotations': [{**good, 'category_id': 9}]}, 'of the category 9'),
            ({'annotations': [5]}, 'annotations[0] has no image_id')):
        why = failure(hand.read, [coco(top, **changes)], NAMES)
        assert said in why and 'instances_val.json' in why, (said, why)
    path = write(os.path.join(top, 'torn.json'), '{"images": [\n1,\n')
    assert failure(hand.read, [path], NAMES).startswith(f'{path}:3: is no JSON')
    path = write(path, '[' * 100000)
    assert 'JSON' in failure(hand.read, [path], NAMES)


def everything_is_labelled():
    """Two videos, a folder of pictures and labels by hand, and what is made of them: text files of
    five columns, a data.yaml, and a line for each picture that says who labelled it."""
    needs_plugin()
    top = os.path.join(folder(), 'whole')
    for i in range(10):
        picture(os.path.join(top, 'still', f'{i}.png'), 20 * i)
        picture(os.path.join(top, 'hand', 'images', f'{i}.jpg'), 250 - 20 * i)
        write(os.path.join(top, 'hand', 'labels', f'{i}.txt'), '1 .5 .5 .25 .5\n')
    to = os.path.join(top, 'made')
    parts = label.label([film('snow.mkv'), film('smpte.mkv', 'smpte'), os.path.join(top, 'still')],
                        MODEL, to, (64, 64), most=20, names=NAMES,
                        labels=[os.path.join(top, 'hand')])
    assert parts == {'train': 12 + 6, 'choose': 4 + 2, 'judge': 4 + 2}, parts
    assert sorted(os.listdir(to)) == ['choose', 'data.yaml', 'judge', 'labels.jsonl', 'train']
    with open(os.path.join(to, 'labels.jsonl'), encoding='utf-8') as lines:
        rows = [json.loads(line) for line in lines]
    assert sum(row['by'] == 'hand' for row in rows) == 10 and len(rows) == 30
    found = 0
    for row in rows:
        part, _, name = row['image'].split('/')
        with open(os.path.join(to, part, 'labels', name.replace('.jpg', '.txt')),
                  encoding='utf-8') as lines:
            text = [list(map(float, line.split())) for line in lines]
        assert near(text, [(each['label_id'], *each['box']) for each in row['objects']]), row
        assert all(each['label'] == NAMES[each['label_id']] for each in row['objects'])
        assert all(('confidence' in each) == (row['by'] == 'teacher') for each in row['objects'])
        with Image.open(os.path.join(to, row['image'])) as image:
            assert image.format == 'JPEG' and os.path.exists(row['source'])
        found += len(text)
    assert found > 10
    with open(os.path.join(to, 'data.yaml'), encoding='utf-8') as file:
        assert yaml.safe_load(file)['names'] == NAMES
    read = hand.read([to], NAMES)
    assert [row.part for row in read].count('train') == 18 and len(read) == 30


def a_teachers_classes_go_by_name():
    needs_plugin()
    to = os.path.join(folder(), 'renamed')
    label.label([film('snow.mkv')], MODEL, to, (64, 64), names={0: 'Gamma', 1: 'other'})
    with open(os.path.join(to, 'labels.jsonl'), encoding='utf-8') as lines:
        assert {each['label_id'] for line in lines for each in json.loads(line)['objects']} == {0}


def too_little_is_told():
    needs_plugin()
    to = os.path.join(folder(), 'little')
    assert 'frames that differ are too few' in failure(
        label.label, [film('black.mkv', 'black')], MODEL, to, (64, 64))
    picture(os.path.join(to + '-hand', 'images', '1.jpg'))
    write(os.path.join(to + '-hand', 'labels', '1.txt'), '1 .5 .5 .25 .5\n')
    assert 'too few' in failure(lambda: label.label(
        [], MODEL, to, (64, 64), names=NAMES, labels=[to + '-hand']))
    assert 'finds no object' in failure(lambda: label.label(
        [film('snow.mkv')], MODEL, to, (64, 64), names={0: 'unknown'}))
    assert not os.path.exists(to)


run_cases([pipelines_that_fail_are_told, what_a_pipeline_writes_is_read,
           a_pipeline_that_does_not_end_is_ended, an_output_that_stays_open_is_not_waited_for,
           frames_that_differ_are_chosen, parts_are_shared_out_in_time,
           frames_of_a_video_are_those_that_were_looked_at, pixmaps_are_read, sources_are_found,
           sources_that_are_none_are_named, pictures_become_what_the_plugin_reads,
           a_camera_is_recorded, yolo_folders_are_read, yolo_folders_without_names_have_the_models,
           coco_files_are_read, bad_labels_are_named, bad_coco_files_are_named,
           everything_is_labelled, a_teachers_classes_go_by_name, too_little_is_told])
