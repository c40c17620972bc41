#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every command of pipelines/README.md, and every gst-launch-1.0 line of the
README and docs/, runs as it stands there, but for what this machine lacks: a
window, a webcam, a camera on the network, a GPU."""

import functools
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import (BUILD, CUT, PATIENCE, TOP, Camera, Skip, clip, count_frames, fetch, folder,
                 read_lines, run_cases, shell, wait_until, with_onnxruntime,
                 with_packages)

FRAMES = 12
SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))


def commands():
    """The shell blocks of the README after the first, which sets the variables."""
    with open(os.path.join(TOP, 'pipelines/README.md'), encoding='utf-8') as readme:
        blocks = re.findall(r'^```sh\n(.*?)^```', readme.read(), re.M | re.S)
    assert 'GST_PLUGIN_PATH' in blocks[0] and len(blocks) > 8, 'the README has changed its shape'
    return [block.strip() for block in blocks[1:]]


def lines():
    """Those of the other documents, each once, in their order: some need what one before leaves."""
    found = []
    documents = sorted(glob.glob(os.path.join(TOP, 'docs/*.md')))
    for path in [os.path.join(TOP, 'README.md')] + documents:
        with open(path, encoding='utf-8') as document:
            found += re.findall(r'^    (gst-launch-1\.0 .*)$', document.read(), re.M)
    assert len(found) > 4, 'the documents have changed their shape'
    # those that need a broker are test-messages.py's
    return list(dict.fromkeys(line for line in found if 'nvh264dec' not in line
                              and not re.search(r'location=(mqtts?|kafka|redis)://', line)))


def stand_in(name, kind):
    """What runs in place of a file that a line names: of models small ones, of random
    weights, since some of these lines calibrate; checkpoints are not the project's."""
    if kind == 'mp4':
        return clip(FRAMES)
    if kind == 'onnx':
        return os.path.join(TOP, 'tests/data/v8n.onnx')
    small = os.path.join(SHARED, 'models/family', re.sub(r'(yolo\d+)n-', r'tiny-\1-', name))
    if not os.path.exists(small):
        raise Skip('no checkpoint of this task is here')
    return small


def run_line(line):
    """In a folder that has the files that it names."""
    for name, kind in re.findall(r'(?:location|model-file)=([\w-]+\.(mp4|onnx|pt))', line):
        path = os.path.join(folder(), name)
        if not os.path.exists(path):
            os.symlink(stand_in(name, kind), path)
    for name in re.findall(r'config=([\w-]+\.json)', line):
        with open(os.path.join(TOP, 'docs/zones.md'), encoding='utf-8') as document:
            example = re.search(r'^```json\n(.*?)^```', document.read(), re.M | re.S)[1]
        with open(os.path.join(folder(), name), 'w', encoding='utf-8') as file:
            file.write(example)
    result = shell(substitute(line))
    assert result.returncode == 0 and 'ERROR' not in result.stdout, result.stdout
    for table in re.findall(r'calibrate=(\S+)', line):
        assert os.path.getsize(os.path.join(folder(), table)) > 1000, table


def substitute(command):
    """For what is not here: fakes that take and give the same."""
    # A sink that keeps time waits twenty seconds for the end of the clip.
    command = command.replace('autovideosink', 'fakevideosink sync=false')
    command = command.replace(
        'v4l2src', f'videotestsrc num-buffers={FRAMES} is-live=true ! video/x-raw,format=YUY2')
    command = command.replace('build/', BUILD + '/')
    for program in ('pipelines/read_detections.py', 'pipelines/yolo-archive',
                    'pipelines/yolo-eval', 'pipelines/yolo-quantize', 'pipelines/examples'):
        command = command.replace(program, os.path.join(TOP, program))
    return command


def is_written(path):
    """Who joins a camera between two key frames gets grey pictures first, with nothing in them."""
    if not os.path.exists(path) or os.path.getsize(path) < 1000:
        return False
    with open(path, 'rb') as file:
        return not path.endswith('.jsonl') or b'"confidence"' in file.read()


def run_until_written(command, files, variables):
    """Runs a command without an end until its files have grown, then Ctrl-C.
    Without a file there is only the time to go by."""
    process = subprocess.Popen(['bash', '-c', 'exec ' + command], cwd=folder(), text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**os.environ, **variables})
    try:
        begin = time.monotonic()
        wait_until(lambda: process.poll() is not None
                   or (all(map(is_written, files)) if files else time.monotonic() > begin + 15))
        assert files or process.poll() is None, process.stdout.read()
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=PATIENCE)[0]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode in (0, 130) and 'ERROR' not in output, output


def check_files(files):
    for path in files:
        if path.endswith('.jsonl'):
            lines = read_lines(path)
            assert lines and any(line['objects'] for line in lines), f'{path}: no objects'
        else:
            assert count_frames(path) >= 1, path
        os.remove(path)


def run_command(command):
    files = [os.path.join(folder(), name)
             for name in re.findall(r'location=([a-z]+\.[a-z0-9]+)', command)]
    makers = {'model': lambda: fetch('model'), 'video': lambda: clip(FRAMES),
              'picture': lambda: fetch('bus')}
    variables = {name: make() for name, make in makers.items() if f'${name}' in command}
    if '$camera' in command:
        with Camera() as camera:
            run_until_written(substitute(command), files, {**variables, 'camera': camera.url})
        check_files(files)
        return

    drawn = re.search(r'drawn/\w+\.y4m', command)
    frames = (FRAMES if 'v4l2src' in command
              else count_frames(os.path.join(folder(), drawn[0])) if drawn
              else count_frames(variables['video']) if 'video' in variables else 0)
    if 'yolo-quantize' in command:
        own = os.path.dirname(with_onnxruntime())
        variables = {**variables, 'PATH': own + os.pathsep + os.environ['PATH']}
    if 'yolo-archive' in command:
        variables['ARCHIVE_PYTHON'] = with_packages('archive-venv', 'import pyarrow', 'pyarrow')
    result = shell(substitute(command), **variables)
    assert result.returncode == 0 and 'ERROR' not in result.stdout, result.stdout
    for path in files:
        if path.endswith('.jsonl'):
            assert len(read_lines(path)) == frames, path
        elif path.endswith('.mp4'):
            assert frames - CUT <= count_frames(path) <= frames, path
    check_files(files)
    if 'yolo-eval' in command:
        assert re.search(r'matched [1-9]', result.stdout), result.stdout
    if 'read' in command:
        found = re.search(r'^\S+ Normal 0\.\d\d at \d+,\d+ \d+x\d+$', result.stdout, re.M)
        assert found, result.stdout
    if 'format=events' in command:      # in so few frames nobody need cross a line
        told = [json.loads(line) for line in result.stdout.splitlines()]
        assert {'appear', 'vanish'} <= {event['event'] for event in told}, result.stdout
    elif command.startswith('gst-launch-1.0 -q'):
        assert result.stdout.count('"objects"') == frames, result.stdout


def applications_agree():
    """The C and the Python application print the same objects."""
    variables = {'model': fetch('model'), 'video': clip(FRAMES)}
    printed = []
    for command in (f'{BUILD}/pipelines/read-detections', f'{TOP}/pipelines/read_detections.py'):
        result = shell(f'{command} "$model" "$video"', **variables)
        assert result.returncode == 0, result.stdout
        printed.append([line.split(maxsplit=1)[1]
                        for line in result.stdout.splitlines() if ' at ' in line])
    assert printed[0] and printed[0] == printed[1], printed


def applications_name_what_is_wrong():
    video = clip(FRAMES)
    for command in (f'{BUILD}/pipelines/read-detections', f'{TOP}/pipelines/read_detections.py'):
        result = shell(f'{command} missing.onnx "{video}"')
        assert result.returncode == 1 and 'missing.onnx' in result.stdout, result.stdout


def main():
    os.environ['GST_PLUGIN_PATH'] = os.path.join(BUILD, 'gst-plugin')
    cases = []
    for command in commands():
        case = functools.partial(run_command, command)
        case.title = ' '.join(command.replace('\\\n', ' ').replace('#', '').split())[:110]
        cases.append(case)
    for line in lines():
        case = functools.partial(run_line, line)
        case.title = line[:110]
        cases.append(case)
    run_cases(cases + [applications_agree, applications_name_what_is_wrong])


if __name__ == '__main__':
    main()
