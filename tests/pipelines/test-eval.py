#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-eval counts what it should, by numbers that are known."""

import copy
import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, TOP, Skip, folder, run_cases, with_pycocotools

PROGRAM = os.path.join(TOP, 'pipelines/yolo-eval')
MODEL = os.path.join(TOP, 'tests/data/v8n.onnx')        # random weights, three classes
SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
SIZES = [(96, 64), (64, 64), (200, 120), (64, 160)]
CONFIDENCE = .2
NMS = '.2'              # boxes that stay apart when they are clipped to the picture

loader = importlib.machinery.SourceFileLoader('yolo_eval', PROGRAM)
yolo_eval = importlib.util.module_from_spec(importlib.util.spec_from_loader('yolo_eval', loader))
sys.dont_write_bytecode = True
loader.exec_module(yolo_eval)


def gst(*line):
    subprocess.run(['gst-launch-1.0', '-q', *line], check=True)


def pictures():
    """A folder of pictures of several sizes, JPEG and PNG, named by numbers as COCO's."""
    to = os.path.join(folder(), 'pictures')
    if not os.path.isdir(to):
        os.mkdir(to)
        for i, (width, height) in enumerate(SIZES):
            encoder, ending = (['jpegenc'], 'jpg') if i % 2 else (['pngenc'], 'png')
            gst('videotestsrc', 'num-buffers=1',
                f'pattern={["smpte", "ball", "circular", "colors"][i]}', '!',
                f'video/x-raw,format={"I420" if i % 2 else "RGB"},width={width},height={height}',
                '!', *encoder, '!', 'filesink', f'location={to}/{i + 7:012}.{ending}')
    return to


def evaluate(*words, check=True, python=sys.executable, **variables):
    result = subprocess.run([python, PROGRAM, '--model', MODEL, *words], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False,
                            env={**os.environ, **variables})
    assert not check or result.returncode == 0, result.stderr
    return result


def numbers(*words, **more):
    path = os.path.join(folder(), 'numbers.json')
    evaluate(*words, '--json', path, **more)
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def found():
    """(name, width, height, detections) of each picture in fp32, by a run of its own."""
    names = yolo_eval.pictures_of(pictures())
    sys.argv = ['yolo-eval', '--model', MODEL, '--source', pictures(), '--iou', NMS]
    frames = yolo_eval.run(yolo_eval.parse(), names, 'fp32', CONFIDENCE)
    assert sum(len(f[2]) for f in frames) >= 8, 'too few detections to test with'
    assert [f[:2] for f in frames] == SIZES
    return [(name, *frame) for name, frame in zip(names, frames)]


def results(frames):
    """As COCO results."""
    return [{'image_id': yolo_eval.image_id(name), 'category_id': d['class'],
             'score': d['confidence'], 'bbox': [d['box'][0], d['box'][1], d['box'][2] - d['box'][0],
                                                d['box'][3] - d['box'][1]]}
            for name, _, _, found in frames for d in found]


def against(items):
    path = os.path.join(folder(), 'results.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(items, file)
    return numbers('--source', pictures(), '--precision', 'fp32', '--against', path, '--conf',
                   str(CONFIDENCE), '--iou', NMS)\
        ['comparison']


def agrees_with_itself():
    items = results(found())
    c = against(items)
    n = len(items)
    assert (c['reference'], c['matched'], c['lost'], c['gained']) == (n, n, 0, 0), c
    assert c['mean_iou'] > .999 and c['max_confidence_change'] < 1e-6, c


def counts_what_differs():
    items = results(found())
    n = len(items)
    doctored = copy.deepcopy(items)
    doctored[0]['bbox'][0] += 500           # elsewhere: one lost, one gained
    doctored[1]['category_id'] = 77         # another class: the same
    doctored[2]['score'] -= .01
    del doctored[3]                         # we have one more
    doctored += [{**doctored[4], 'bbox': [0, 300 + 50 * i, 20, 20]} for i in range(3)]
    c = against(doctored)
    assert (c['reference'], c['matched'], c['lost'], c['gained']) == (n + 2, n - 3, 5, 3), c
    assert abs(c['max_confidence_change'] - .01) < 1e-5, c
    assert abs(c['matched_share'] - (n - 3) / (n + 2)) < 1e-9, c
    assert abs(c['gained_share'] - 3 / (n + 2)) < 1e-9, c


def compares_two_precisions():
    report = numbers('--source', pictures(), '--precision', 'fp32', '--precision', 'auto', '--conf',
                     str(CONFIDENCE), '--match-iou', '.5')
    c = report['comparison']
    assert (c['of'], c['with']) == ('auto', 'fp32'), c
    assert c['matched'] + c['lost'] == c['reference'] > 0, c
    assert c['matched_share'] > .5, c       # random weights do not bear rounding well


def runs_a_video():
    video = os.path.join(folder(), 'video.mkv')
    gst('videotestsrc', 'num-buffers=9', 'pattern=circular', '!',
        'video/x-raw,format=I420,width=96,height=64', '!', 'x264enc', '!',
        'matroskamux', '!', 'filesink', f'location={video}')
    counts = [numbers('--source', video, '--precision', 'fp32', '--precision', 'auto', '--conf',
                      '.05', *frames)
              ['comparison']['reference'] for frames in ([], ['--frames', '3'])]
    assert counts[0] == 3 * counts[1] > 0, counts       # all frames show nearly the same


def labels_folder(frames, drop=0):
    """YOLO files; without so many of the first picture's."""
    to = os.path.join(folder(), f'labels{drop}')
    os.makedirs(to, exist_ok=True)
    for i, (name, width, height, detections) in enumerate(frames):
        with open(os.path.join(to, os.path.splitext(os.path.basename(name))[0] + '.txt'), 'w',
                  encoding='utf-8') as file:
            for d in detections[0 if i else drop:]:
                x1, y1, x2, y2 = d['box']
                print(d['class'], (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width,
                      (y2 - y1) / height, file=file)
    return to


def labels_of_its_own_are_found():
    python, frames = with_pycocotools(), found()
    scores = numbers('--source', pictures(), '--precision', 'fp32', '--labels',
                     labels_folder(frames), '--iou', NMS, python=python)
    fp32 = scores['precision']['fp32']
    assert fp32['map50_95'] > .999 and fp32['map50'] > .999, scores
    coco = os.path.join(folder(), 'labels.json')
    with open(coco, 'w', encoding='utf-8') as file:
        json.dump({'images': [{'id': 1000 + i, 'file_name': os.path.basename(f[0])}
                              for i, f in enumerate(frames)],
                   'categories': [{'id': 10 * c + 1, 'name': str(c)} for c in range(3)],
                   'annotations': [{'id': 1 + 100 * i + k, 'image_id': 1000 + i,
                                    'category_id': 10 * d['class'] + 1,
                                    'bbox': [d['box'][0], d['box'][1], d['box'][2] - d['box'][0],
                                             d['box'][3] - d['box'][1]]}
                                   for i, f in enumerate(frames) for k, d in enumerate(f[3])]},
                  file)
    scores = numbers('--source', pictures(), '--precision', 'fp32', '--labels', coco, '--iou', NMS,
                     python=python)
    assert scores['precision']['fp32']['map50_95'] > .999, scores


def missing_labels_cost():
    python, frames = with_pycocotools(), found()
    # the most confident detection of the first picture is wrong now: of its class, precision falls
    most = [(n, w, h, sorted(d, key=lambda d: -d['confidence'])) for n, w, h, d in frames]
    scores = numbers('--source', pictures(), '--precision', 'fp32', '--labels',
                     labels_folder(most, drop=1), '--iou', NMS, python=python)
    assert .8 < scores['precision']['fp32']['map50'] < .97, scores


def task_frames(model, confidence):
    """The arguments that run a model of the shared ones on a picture; what it finds."""
    path = os.path.join(SHARED, 'models/family', model)
    source = os.path.join(SHARED, 'images', 'bus.jpg')
    if not os.path.exists(path):
        raise Skip('no shared material')
    words = ['--model', path, '--source', source, '--conf', str(confidence)]
    sys.argv = ['yolo-eval', *words]
    frames = yolo_eval.run(yolo_eval.parse(), [source], 'fp32', confidence)
    assert len(frames[0][2]) > 3, 'too few detections to test with'
    return [*words, '--precision', 'fp32'], [(source, *frames[0])]


def write_coco(frames, member, change=lambda value: value):
    """What was found as labels, every other one changed."""
    path = os.path.join(folder(), f'{member}.json')
    annotations = []
    for i, (_, _, _, found) in enumerate(frames):
        for k, d in enumerate(found):
            x1, y1, x2, y2 = d['box']
            value = change(d[member]) if k % 2 else d[member]
            if member == 'keypoints':
                value = [2 if n % 3 == 2 else v for n, v in enumerate(value)]
            annotations.append({'id': len(annotations) + 1, 'image_id': 1000 + i, member: value,
                                'category_id': d['class'], 'num_keypoints': 17,
                                'bbox': [x1, y1, x2 - x1, y2 - y1]})
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'images': [{'id': 1000 + i, 'file_name': os.path.basename(f[0])}
                              for i, f in enumerate(frames)],
                   'categories': [{'id': c, 'name': str(c)} for c in range(10)],
                   'annotations': annotations}, file)
    return path


def task_scores(words, labels, name):
    scores = numbers(*words, '--labels', labels, python=with_pycocotools())['precision']['fp32']
    return scores[f'{name}_map50_95'], scores['map50_95']


def masks_are_measured():
    words, frames = task_frames('tiny-yolo11-seg.pt', .3)
    same = write_coco(frames, 'segmentation')
    mask, box = task_scores(words, same, 'mask')
    assert mask > .999 and box > .999, (mask, box)
    other = write_coco(frames, 'segmentation', lambda mask: [[0, 0, 9, 0, 9, 9]])
    mask, box = task_scores(words, other, 'mask')
    assert mask < .8 and box > .999, (mask, box)


def keypoints_are_measured():
    words, frames = task_frames('tiny-yolov8-pose.pt', .5)
    frames = [(*f[:3], f[3][:20]) for f in frames]
    same = write_coco(frames, 'keypoints')
    points, box = task_scores(words, same, 'keypoint')
    assert points > .99, (points, box)
    other = write_coco(frames, 'keypoints', lambda points: [v + 300 for v in points])
    assert task_scores(words, other, 'keypoint')[0] < points - .1


def turned_boxes_are_measured():
    words, frames = task_frames('tiny-yolo11-obb.pt', .3)
    to = os.path.join(folder(), 'turned')
    os.makedirs(to, exist_ok=True)
    for name, width, height, found in frames:
        with open(os.path.join(to, os.path.splitext(os.path.basename(name))[0] + '.txt'), 'w',
                  encoding='utf-8') as file:
            for d in found:
                print(d['class'], *(v / (height if i % 2 else width)
                                    for i, v in enumerate(d['segmentation'][0])), file=file)
    assert task_scores(words, to, 'mask')[0] > .98


def lines_of_labels_are_read():
    """The forms of a label file by what the model finds."""
    read = yolo_eval.read_places
    assert read([.5, .5, .2, .4], 100, 50, {}) == {'bbox': [40, 15, 20, 20], 'area': 400}
    outline = read([.1, .2, .3, .2, .3, .6], 100, 50, {'segmentation': 2})
    assert outline['segmentation'] == [[10, 10, 30, 10, 30, 30]], outline
    assert outline['bbox'] == [10, 10, 20, 20], outline
    box = read([.5, .5, .2, .4], 100, 50, {'segmentation': 2})
    assert box['segmentation'] == [[40, 15, 60, 15, 60, 35, 40, 35]], box
    pose = read([.5, .5, .2, .4, .1, .2, 2, 0, 0, 0], 100, 50, {'keypoints': 6})
    assert pose['keypoints'] == [10, 10, 2, 0, 0, 0] and pose['num_keypoints'] == 1, pose
    bare = read([.5, .5, .2, .4, .1, .2, 0, 0], 100, 50, {'keypoints': 6})
    assert bare['keypoints'] == [10, 10, 2, 0, 0, 0] and bare['num_keypoints'] == 1, bare
    try:
        read([.5, .5, .2, .4, .1], 100, 50, {'keypoints': 6})
    except yolo_eval.Failure:
        return
    raise AssertionError('a line that is cut was taken')


def classes_of_folders():
    """Top-1 and top-5, by the names of folders, their numbers, or their order."""
    path = os.path.join(SHARED, 'models/family/tiny-yolo11-cls.pt')
    if not os.path.exists(path):
        raise Skip('no shared material')
    source = os.path.join(folder(), 'classes')
    words = ['--model', path, '--source', source, '--precision', 'fp32']
    sys.argv = ['yolo-eval', '--model', path, '--source', pictures()]
    names = yolo_eval.pictures_of(pictures())
    found = [f[2] for f in yolo_eval.run(yolo_eval.parse(), names, 'fp32', 0)]
    assert all(len(f) == 5 for f in found), found

    def measure(*folders):
        shutil.rmtree(source, ignore_errors=True)
        for name, to in zip(names, folders):
            os.makedirs(os.path.join(source, str(to)), exist_ok=True)
            shutil.copy(name, os.path.join(source, str(to)))
        scores = numbers(*words)['precision']['fp32']
        return scores['top1'], scores['top5']

    absent = [next(c for c in range(10) if c not in [d['class'] for d in f]) for f in found]
    assert measure(*(f[0]['label'] for f in found[:2]), found[2][1]['label'],
                   'nothing') == (.5, .75)
    assert measure(found[0][0]['class'], found[1][4]['class'], absent[2],
                   found[3][0]['class']) == (.5, .75)
    # in their order: folder number c of ten is class c
    frames = [(1, 1, f) for f in found]
    paths = [f'/x/n{f[0]["class"]}/{i}.png' for i, f in enumerate(found)]
    extra = [f'/x/n{c}/y.png' for c in range(10)]
    top = yolo_eval.top_scores(paths + extra, frames + [(1, 1, [])] * 10)
    assert top == {'top1': 4 / 14, 'top5': 4 / 14}, top


def coco_pictures():
    source, labels = (os.path.join(SHARED, 'coco', name) for name in ('images', 'labels'))
    model = os.path.join(SHARED, 'models/yolov8n.onnx')
    if not os.path.isdir(source):
        raise Skip('no shared material')
    scores = numbers('--model', model, '--source', source, '--labels', labels, '--precision',
                     'fp32', python=with_pycocotools())
    # With the best class alone, Ultralytics' boxes give .426; JPEG decoders differ by .007.
    assert abs(scores['precision']['fp32']['map50_95'] - .4225) < .008, scores
    assert abs(scores['precision']['fp32']['map50'] - .58) < .01, scores
    # Ultralytics' validator, for which a place may be of several classes
    several = numbers('--model', model, '--source', source, '--labels', labels, '--precision',
                      'fp32', '--multi-label', python=with_pycocotools())['precision']['fp32']
    assert abs(several['map50_95'] - .4366) < .008, several
    assert abs(several['map50'] - .6004) < .01, several
    assert several['map50_95'] > scores['precision']['fp32']['map50_95'] + .005, several


def says_what_is_wrong():
    empty = os.path.join(folder(), 'empty')
    damaged = os.path.join(folder(), 'damaged')
    foreign = os.path.join(folder(), 'foreign.json')
    for name in empty, damaged:
        os.makedirs(name, exist_ok=True)
    with open(os.path.join(damaged, '1.jpg'), 'wb') as file:
        file.write(b'\xff\xd8\xff no picture')
    with open(foreign, 'w', encoding='utf-8') as file:
        json.dump([{'image_id': 999, 'category_id': 0, 'score': .5, 'bbox': [0, 0, 1, 1]}], file)
    for words, variables, part in (
            (['--source', '/nowhere/at/all'], {}, 'no such file'),
            (['--source', empty], {}, 'nothing in it'),
            (['--source', damaged], {}, ''),
            (['--source', pictures(), '--model', '/nowhere.onnx'], {}, 'nowhere.onnx'),
            (['--source', pictures(), '--precision', 'fp32', '--against', foreign], {},
             'no result has the id'),
            (['--source', pictures(), '--labels', empty], {}, 'no file there'),
            (['--source', pictures(), '--precision', 'int8'], {}, 'calibrat'),
            (['--source', pictures()],
             {'GST_PLUGIN_PATH': empty, 'GST_REGISTRY': os.path.join(empty, 'registry')},
             'GST_PLUGIN_PATH')):
        result = evaluate(*words, check=False, **variables)
        assert result.returncode == 1 and part in result.stderr, (words, result.stderr)
        assert 'Traceback' not in result.stderr, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr


os.environ.setdefault('GST_PLUGIN_PATH', os.path.join(BUILD, 'gst-plugin'))
run_cases([agrees_with_itself, counts_what_differs, compares_two_precisions, runs_a_video,
           labels_of_its_own_are_found, missing_labels_cost, lines_of_labels_are_read,
           masks_are_measured, keypoints_are_measured, turned_boxes_are_measured,
           classes_of_folders, coco_pictures, says_what_is_wrong])
