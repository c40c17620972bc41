#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demo: its three files agree, it can be ended, its errors are a line."""

import os
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import (BUILD, CUT, PATIENCE, TOP, clip, count_frames, fetch, folder, read_lines,
                 run_cases, shell, wait_until)

DEMO = os.path.join(BUILD, 'pipelines/demo')


def start(model, video, output):
    return subprocess.Popen([DEMO, model, video, os.path.join(folder(), output)], text=True,
                            cwd=folder(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def wait_for_frames(output):
    """Until some frames have been written down."""
    wait_for_size(os.path.join(folder(), output, 'detections.jsonl'), 4000)


def wait_for_size(path, size):
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > size,
               otherwise=lambda: f'{path} does not grow')


def check_output(output, ended_early):
    """All three files are complete and agree; returns the number of frames."""
    base = os.path.join(folder(), output)
    lines = read_lines(os.path.join(base, 'detections.jsonl'))
    with open(os.path.join(base, 'summary.txt'), encoding='utf-8') as file:
        summary = file.read()
    frames = len(lines)
    shown = count_frames(os.path.join(base, 'annotated.mp4'))
    assert frames - CUT <= shown <= frames, (shown, frames)
    said = f'frames      {frames}' + (', ended early' if ended_early else '')
    assert said + '\n' in summary, (said, summary)
    count = sum(o['detection']['label'] == 'Normal' for line in lines for o in line['objects'])
    assert count > 0 and f'  Normal        {count} in ' in summary, (count, summary)
    for word in ('input size', 'device      cpu', 'precision   ', 'fps', 'network', 'p95'):
        assert word in summary, (word, summary)
    return frames


def a_clip_to_its_end():
    process = start(fetch('model'), clip(), 'whole')
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert check_output('whole', False) == count_frames(clip())
    assert 'summary.txt' in output, output


def a_turned_video_comes_out_upright():
    """As a phone writes it: the track's matrix says how the frames lie."""
    with open(clip(), 'rb') as file:
        data = bytearray(file.read())
    matrix = data.index(b'tkhd') + 44
    data[matrix:matrix + 36] = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    turned = os.path.join(folder(), 'turned.mp4')
    with open(turned, 'wb') as file:
        file.write(data)
    process = start(fetch('model'), turned, 'turned')
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 0, errors
    line = read_lines(os.path.join(folder(), 'turned', 'detections.jsonl'))[0]
    assert line['resolution'] == {'width': 576, 'height': 768}, line
    movie = os.path.join(folder(), 'turned', 'annotated.mp4')
    result = shell(
        f'gst-launch-1.0 -v filesrc location="{movie}" ! qtdemux ! fakesink silent=false')
    assert 'width=(int)576, height=(int)768' in result.stdout, result.stdout
    assert 'rotate-90' not in result.stdout, result.stdout


def end_with(number, output):
    process = start(fetch('model'), fetch('vtest'), output)
    try:
        wait_for_frames(output)
        process.send_signal(number)
        errors = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert check_output(output, True) < 795


def ctrl_c_ends_it_with_complete_files():
    end_with(signal.SIGINT, 'interrupted')


def a_killed_demo_leaves_a_playable_video():
    process = start(fetch('model'), fetch('vtest'), 'killed')
    try:
        movie = os.path.join(folder(), 'killed', 'annotated.mp4')
        wait_for_size(movie, 200000)    # some fragments of a second each
    finally:
        process.kill()
        process.communicate()
    assert count_frames(movie) > 0


def expect_error(words, model, video, output='failed'):
    process = start(model, video, output)
    try:
        errors = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    assert process.returncode == 1, (process.returncode, errors)
    lines = [line for line in errors.splitlines() if line.startswith('demo: ')]
    assert len(lines) == 1 and all(word in lines[0] for word in words), errors


def garbage(name, size=100000):
    path = os.path.join(folder(), name)
    with open(path, 'wb') as file:
        file.write(bytes((i * 7919 >> 5) & 255 for i in range(size)))
    return path


def a_missing_video():
    expect_error(['missing.mp4'], fetch('model'), 'missing.mp4')


def a_missing_model():
    expect_error(['missing.onnx'], 'missing.onnx', clip())


def a_model_that_is_none():
    expect_error(['garbage.onnx'], garbage('garbage.onnx'), clip())


def a_video_that_is_none():
    expect_error([''], fetch('model'), garbage('garbage.mp4'))


def a_truncated_video():
    with open(clip(), 'rb') as whole, open(os.path.join(folder(), 'half.mp4'), 'wb') as half:
        half.write(whole.read()[:20000])
    expect_error([''], fetch('model'), 'half.mp4')


def a_full_disk():
    os.makedirs(os.path.join(folder(), 'full'), exist_ok=True)
    os.symlink('/dev/full', os.path.join(folder(), 'full', 'detections.jsonl'))
    expect_error(['detections.jsonl'], fetch('model'), clip(), 'full')


def a_folder_that_cannot_be():
    path = garbage('file', 10)
    expect_error(['file'], fetch('model'), clip(), path + '/inside')


def the_script_names_a_file_that_is_not_there():
    for name in ('MODEL', 'VIDEO'):
        result = shell(f'{TOP}/pipelines/demo.sh', **{name: 'nowhere.bin'})
        assert result.returncode == 1, result.stdout
        assert result.stdout == f'demo: no such file: {folder()}/nowhere.bin\n', result.stdout


def the_scripts_install_what_they_build_with():
    """And nothing of brokers, which they have no use for. The system of this case has no package,
    and an apt that installs none."""
    bare = os.path.join(folder(), 'bare')
    os.makedirs(bare, exist_ok=True)
    for name, line in (('dpkg-query', 'exit 1'), ('apt-get', 'exit 1'), ('sudo', 'exec "$@"')):
        with open(os.path.join(bare, name), 'w', encoding='utf-8') as program:
            program.write(f'#!/bin/sh\n{line}\n')
        os.chmod(program.name, 0o755)
    for name, server in (('demo', False), ('server', True)):
        result = shell(f'{TOP}/pipelines/{name}.sh', PATH=f'{bare}:{os.environ["PATH"]}')
        assert result.returncode == 1, result.stdout
        installed = result.stdout.split('Installing:')[1].splitlines()[0].split()
        for package in ('gcc', 'libgstreamer1.0-dev', 'libcairo2-dev', 'gstreamer1.0-libav'):
            assert package in installed, (package, installed)
        for package in ('libsoup-3.0-dev', 'libyaml-dev', 'libsqlite3-dev'):
            assert (package in installed) == server, (package, installed)
        for word in ('mosquitto', 'rdkafka', 'hiredis', 'redis'):
            assert word not in result.stdout, (word, installed)


def main():
    os.environ['GST_PLUGIN_PATH'] = os.path.join(BUILD, 'gst-plugin')
    run_cases([a_clip_to_its_end, a_turned_video_comes_out_upright,
               ctrl_c_ends_it_with_complete_files, a_killed_demo_leaves_a_playable_video,
               a_missing_video, a_missing_model, a_model_that_is_none, a_video_that_is_none,
               a_truncated_video, a_full_disk, a_folder_that_cannot_be,
               the_script_names_a_file_that_is_not_there,
               the_scripts_install_what_they_build_with])


if __name__ == '__main__':
    main()
