#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""yolo-archive gives the rows of one process, whatever the container, and whoever is killed.

    test-archive.py [--ray]
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import PATIENCE, TOP, folder, run_cases, wait_until, with_packages

import gi
gi.require_version('Gst', '1.0')
from gi.repository import GLib, Gst     # noqa: E402 (the version comes first)

PROGRAM = os.path.join(TOP, 'pipelines/yolo-archive')
MODEL = os.path.join(TOP, 'tests/data/v8n.onnx')        # random weights, three classes
PROPERTIES = ['input-size=64', 'confidence-threshold=.05', 'max-detections=5']
FRAMES = 50
SOURCE = (f'videotestsrc num-buffers={FRAMES} pattern=ball motion=sweep ! '
          'video/x-raw,format=I420,width=96,height=64,framerate=25/1')
# {file: (elements behind the source, whether it can be divided)}
VIDEOS = {
    'h264.mp4': ('x264enc key-int-max=10 bframes=2 ! mp4mux', True),
    'h264.mkv': ('x264enc key-int-max=10 bframes=2 ! matroskamux', True),
    'h264.ts': ('x264enc key-int-max=10 bframes=2 ! mpegtsmux', True),
    'open.mkv': ('x264enc key-int-max=10 bframes=2 option-string=open-gop=1 ! matroskamux', False),
    'one-key.mp4': ('x264enc key-int-max=1000 ! mp4mux', False),
    'h265.mkv': ('x265enc key-int-max=10 ! h265parse ! matroskamux', True),
    'mpeg4.mp4': ('avenc_mpeg4 gop-size=10 ! mp4mux', None),
    'mpeg4-b.mkv': ('avenc_mpeg4 gop-size=10 max-bframes=2 ! matroskamux', None),
    'mpeg4.avi': ('avenc_mpeg4 gop-size=10 ! avimux', None),
    'mpeg2.ts': ('mpeg2enc ! mpegvideoparse ! mpegtsmux', None),
    'vp8.mkv': ('vp8enc keyframe-max-dist=10 deadline=1 ! matroskamux', True),
    'vp8.webm': ('vp8enc keyframe-max-dist=10 deadline=1 auto-alt-ref=true lag-in-frames=5 ! '
                 'webmmux', None),
    'vp9.webm': ('vp9enc keyframe-max-dist=10 deadline=1 cpu-used=8 ! webmmux', None),
    'theora.ogg': ('theoraenc keyframe-freq=8 keyframe-force=8 ! oggmux', None),
    'theora.mkv': ('theoraenc keyframe-freq=8 keyframe-force=8 ! matroskamux', None),
    'mjpeg.avi': ('jpegenc ! avimux', True),
    # about every third picture is left out
    'variable.mkv': ('identity drop-probability=.3 ! x264enc key-int-max=10 ! matroskamux', True),
    'late.mkv': ('x264enc key-int-max=10 bframes=2 ! matroskamux', True),
    'late.mp4': ('x264enc key-int-max=10 bframes=2 ! mp4mux', True),
    'sound.mkv': ('x264enc key-int-max=10 bframes=2 ! queue max-size-time=0 ! m.video_0 '
                  'audiotestsrc num-buffers=86 ! vorbisenc ! m.audio_0 matroskamux name=m', True),
}


def run_line(line):
    """Runs a pipeline in this process; what is wrong, or None."""
    try:
        pipeline = Gst.parse_launch(line)
    except GLib.Error as error:
        return error.message
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    return message.parse_error()[0].message if message.type == Gst.MessageType.ERROR else None


def made():
    """{name: path} of the videos whose encoders are here."""
    to = os.path.join(folder(), 'videos')
    if not os.path.isdir(to):
        os.mkdir(to)
        for name, (line, _) in VIDEOS.items():
            path = os.path.join(to, name)
            end = 'm.' if 'name=m' in line else ''
            source = SOURCE.replace('videotestsrc', 'videotestsrc timestamp-offset=3000000000') \
                if name.startswith('late') else SOURCE
            wrong = run_line(f'{source} ! {line} {end} ! filesink location="{path}"')
            if wrong:
                assert 'no element' in wrong, f'{name}: {wrong}'
                print(f'# {name} is not made: {wrong}')
    return {name: os.path.join(to, name) for name in sorted(os.listdir(to))}


def rows_of_one(path):
    """What a single pipeline finds: frame, time, class, label, confidence, box of each."""
    lines = os.path.join(folder(), 'one.jsonl')
    words = ' '.join(PROPERTIES)
    wrong = run_line(f'filesrc location="{path}" ! decodebin ! '
                     f'yoloinfer model-file={MODEL} {words} threads=2 ! '
                     f'yoloexport location="{lines}" ! fakesink')
    assert not wrong, wrong
    found = []
    with open(lines, encoding='utf-8') as file:
        for number, line in enumerate(file):
            frame = json.loads(line)
            w, h = frame['resolution']['width'], frame['resolution']['height']
            for item in frame['objects']:
                box = item['detection']['bounding_box']
                found.append([number, frame['timestamp'], item['detection']['label_id'],
                              item['detection']['label'], item['detection']['confidence'],
                              box['x_min'] * w, box['y_min'] * h, box['x_max'] * w,
                              box['y_max'] * h])
    return found


def same(rows, reference):
    """The results hold floats of 32 bits."""
    return len(rows) == len(reference) and all(
        a[:4] == b[:4] and all(abs(x - y) <= 1e-6 * max(1, abs(y)) for x, y in zip(a[4:], b[4:]))
        for a, b in zip(rows, reference))


def reference(name):
    if not hasattr(reference, 'known'):
        reference.known = {}
    if name not in reference.known:
        reference.known[name] = rows_of_one(made()[name])
        assert len(reference.known[name]) > FRAMES / 2, f'{name}: hardly a row to compare'
    return reference.known[name]


def python():
    if '--ray' in sys.argv:
        return with_packages('archive-ray-venv', 'import pyarrow, ray', 'pyarrow', 'ray')
    return with_packages('archive-venv', 'import pyarrow', 'pyarrow')


def command(out, sources, *words):
    engine = [] if '--ray' in sys.argv else ['--local']
    properties = [word for p in PROPERTIES for word in ('--property', p)]
    return [PROGRAM, '--python', python(), *engine, '--model', MODEL, '--out', out, '--length',
            '.35', '--workers', '2', *properties, *words, *sources]


def archive(out, sources, *words, status=0):
    result = subprocess.run(command(out, sources, *words), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE)
    assert result.returncode == status, f'{result.returncode}: {result.stdout}'
    return result.stdout


READ = '''
import json, sys, pyarrow.parquet
for path in sys.argv[1:]:
    table = pyarrow.parquet.read_table(path)
    print(json.dumps([json.loads(table.schema.metadata[b"yolo-archive"]),
                      [list(row.values()) for row in table.to_pylist()]]))
'''


def results_of(out, names):
    """{name: (what the file says of itself, its rows)}."""
    text = subprocess.run([python(), '-c', READ, *(os.path.join(out, f'{name}.parquet')
                                                   for name in names)],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(zip(names, map(json.loads, text.splitlines())))


def result_of(out, name):
    return results_of(out, [name])[name]


def place(name):
    path = os.path.join(folder(), name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def few(*names):
    return [made()[n] for n in names if n in made()]


def rows_are_those_of_one_process():
    out = place('all')
    archive(out, [os.path.join(folder(), 'videos')] if made() else [])
    wrong = []
    for name, (told, rows) in results_of(out, list(made())).items():
        print(f'# {name}: {told["parts"]} parts, {told["frames"]} frames, {told["whole"]}')
        if not same(rows, reference(name)):
            wrong.append(f'{name}: {len(rows)} rows, not the {len(reference(name))} of one process')
        divides = VIDEOS[name][1]
        if divides is not None and (told['parts'] > 1) != divides:
            wrong.append(f'{name}: {told["parts"]} parts, {told["whole"]}')
    assert not wrong, '; '.join(wrong)
    left = set(os.listdir(out)) - {f'{name}.parquet' for name in made()}
    assert left == {'.lock', 'settings.json'}, left


def settings_are_in_the_file():
    told, _ = result_of(os.path.join(folder(), 'all'), 'h264.mp4')
    effect = told['settings']['effect']
    assert len(effect['files']['v8n.onnx']) == 64, effect
    assert effect['yoloinfer']['confidence-threshold'] == '0.05', effect
    assert effect['plugin'][0].isdigit(), effect


def goes_on_after_an_interrupt():
    out = place('interrupted')
    sources = few('h264.mp4', 'h264.ts', 'mjpeg.avi')
    process = subprocess.Popen(command(out, sources), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    parts = os.path.join(out, '.parts')
    done = lambda: [os.path.join(at, n) for at, _, names in os.walk(parts) for n in names
                    if n.endswith('.parquet')]
    wait_until(lambda: done() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130 and 'goes on' in text, f'{process.returncode}: {text}'
    kept = {path: os.stat(path).st_mtime_ns for path in done()}
    assert kept, 'nothing was kept'
    archive(out, sources)
    for name, (_, rows) in results_of(out, [os.path.basename(p) for p in sources]).items():
        assert same(rows, reference(name)), name
    text = archive(out, sources)
    assert f'{len(sources)} of {len(sources)} videos are done already' in text, text


def changed_settings_are_refused():
    out = place('settings')
    sources = few('h264.mp4')
    archive(out, sources)
    text = archive(out, sources, '--property', 'iou-threshold=.5', status=1)
    assert 'yoloinfer.iou-threshold is 0.5, was 0.7' in text, text
    text = archive(out, sources, '--property', 'nonsense=1', status=1)
    assert 'nonsense' in text, text
    assert 'done already' in archive(out, sources, '--threads', '2')    # no matter of the rows


def a_changed_video_is_done_once_more():
    out, video = place('changed'), os.path.join(folder(), 'changing.mp4')
    shutil.copy(made()['h264.mp4'], video)
    archive(out, [video])
    assert same(result_of(out, 'changing.mp4')[1], reference('h264.mp4'))
    shutil.copy(made()['one-key.mp4'], video)
    assert 'has changed' in archive(out, [video])
    assert same(result_of(out, 'changing.mp4')[1], reference('one-key.mp4'))


def broken_videos_are_listed():
    out, to = place('broken-results'), place('broken')
    os.mkdir(to)
    with open(os.path.join(to, 'text.mp4'), 'w', encoding='utf-8') as file:
        file.write('this is no video\n' * 100)
    with open(os.path.join(to, 'empty.mkv'), 'w', encoding='utf-8'):
        pass
    with open(made()['h264.mp4'], 'rb') as file, \
            open(os.path.join(to, 'cut.mp4'), 'wb') as cut:
        cut.write(file.read(2000))
    os.mkdir(os.path.join(to, 'below'))
    shutil.copy(made()['h264.mp4'], os.path.join(to, 'below/good.mp4'))
    text = archive(out, [to], status=1)
    with open(os.path.join(out, 'failed.jsonl'), encoding='utf-8') as file:
        failed = {os.path.basename(item['video']): item['reason']
                  for item in map(json.loads, file)}
    assert set(failed) == {'text.mp4', 'empty.mkv', 'cut.mp4'} and all(failed.values()), text
    assert all(reason in text for reason in failed.values()), text
    assert same(result_of(out, 'below/good.mp4')[1], reference('h264.mp4'))


def damage_is_where_it_is_in_one_process():
    """Of packets that no decoder likes; docs/archive.md tells of lost ones."""
    out, to = place('damaged-results'), place('damaged')
    os.mkdir(to)
    for name in ('mjpeg.avi', 'h264.ts'):
        with open(made()[name], 'rb') as file:
            data = bytearray(file.read())
        middle = len(data) // 2
        data[middle:middle + 3000] = bytes(3000)
        with open(os.path.join(to, name), 'wb') as file:
            file.write(data)
    archive(out, [to])
    # Not by rows_of_one(): what libav shows in place of what is damaged depends on its threads.
    undivided = place('damaged-whole')
    archive(undivided, [to], '--length', '1000')
    whole = results_of(undivided, sorted(os.listdir(to)))
    for name, (told, rows) in results_of(out, sorted(os.listdir(to))).items():
        print(f'# {name}: {told["parts"]} parts, {told["frames"]} frames, {told["whole"]}')
        assert rows == whole[name][1], name


def tracks_need_whole_videos():
    out = place('tracked')
    archive(out, few('h264.mp4'), '--track')
    told, rows = result_of(out, 'h264.mp4')
    assert told['parts'] == 1 and told['whole'] == '--track', told
    assert any(row[-1] for row in rows), 'no object has a number'


def descendants(pid, called):
    """Processes below one whose command line has a word."""
    parents, found = {}, []
    for one in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{one}/stat', encoding='utf-8', errors='replace') as file:
                parents[int(one)] = int(file.read().rsplit(')', 1)[1].split()[1])
        except OSError:
            continue
    for one in parents:
        at = one
        while at in parents and at != pid:
            at = parents[at]
        try:
            with open(f'/proc/{one}/cmdline', encoding='utf-8', errors='replace') as file:
                if at == pid and called in file.read():
                    found.append(one)
        except OSError:
            pass
    return found


def the_killed_are_replaced():
    """Processes at work are killed while the archive is worked off."""
    called = 'ray::on_ray' if '--ray' in sys.argv else 'yolo-archive-task'
    out, names = place('killed'), ('h264.mp4', 'h264.ts', 'vp8.mkv', 'mjpeg.avi', 'late.mkv')
    sources = few(*names)
    process = subprocess.Popen(command(out, sources, '--retries', '50'), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    chance, kills = random.Random(1), 0
    while process.poll() is None:
        time.sleep(chance.uniform(.05, .6))
        at_work = descendants(process.pid, called)
        if at_work and kills < 8:
            try:
                os.kill(chance.choice(at_work), signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
    text = process.communicate()[0]
    assert process.returncode == 0, text
    print(f'# {kills} processes were killed')
    assert kills, 'nobody was there to be killed'
    for name, (told, rows) in results_of(out, [os.path.basename(p) for p in sources]).items():
        assert same(rows, reference(name)), f'{name}: {len(rows)} rows, {told["frames"]} frames'


def retries_have_a_limit():
    out = place('limit')
    process = subprocess.Popen(command(out, few('h264.mp4'), '--retries', '1'),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None:
        if os.path.exists(os.path.join(out, '.parts')):     # the settings are known
            for one in descendants(process.pid, 'yolo-archive-task'):
                try:
                    os.kill(one, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        time.sleep(.01)
    text = process.communicate()[0]
    assert process.returncode == 1 and 'ended by SIGKILL, 2 times in a row' in text, text


def main():
    Gst.init(None)
    if '--ray' in sys.argv:
        run_cases([the_killed_are_replaced, goes_on_after_an_interrupt])
    run_cases([rows_are_those_of_one_process, settings_are_in_the_file, goes_on_after_an_interrupt,
               changed_settings_are_refused, a_changed_video_is_done_once_more,
               broken_videos_are_listed, damage_is_where_it_is_in_one_process,
               tracks_need_whole_videos, the_killed_are_replaced, retries_have_a_limit])


if __name__ == '__main__':
    main()
