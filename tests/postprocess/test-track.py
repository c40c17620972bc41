#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Trackers on vtest.avi's detections, by TrackEval: ByteTrack has the reference's numbers, ours
better ones, also at every second and third frame, and the others those of their authors."""

import functools
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'pipelines'))
from tap import TOP, Skip, run_cases, with_packages

FOLDER = os.path.join(os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared')),
                      'tracking', 'PETS09-S2L1')
FRAMES = 795
TRACK_TEXT = os.environ['TRACK_TEXT']
PUBLISHED = ('published=1', 'class=0', 'buffer=30')
PAPER = ('high=.6', 'new=.7', 'match=.9')
# Runs are (detections, every how many frames, settings).
# HOTA, MOTA, IDF1, identity switches: ../shared/tracking/README.md
BYTETRACK = {('sort', 1, PUBLISHED): (35.20, 61.63, 43.89, 91),
             ('sort', 1, PUBLISHED + PAPER): (37.70, 62.04, 47.55, 81),
             ('yolov8n', 1, PUBLISHED): (58.69, 80.88, 74.14, 31),
             ('yolov8n', 1, PUBLISHED + PAPER): (58.60, 83.42, 77.38, 23)}
# HOTA, IDF1. BoT-SORT: of its authors' order of things, written down in numpy with matrices of
# 8 x 8. OC-SORT: of the package trackers 2.6.1 (Apache-2.0).
OTHERS = {('sort', 1, (*PUBLISHED, 'tracker=1', 'high=.6', 'new=.7', 'match=.8')): (36.87, 46.46),
          ('sort', 1, (*PUBLISHED, 'tracker=2', 'high=.6', 'new=.6', 'match=.7')): (34.62, 45.88)}
# The reference has the frames that are left as a video of its own; ours knows the time.
EVERY = (1, 2, 3)
REFERENCE = [('yolov8n', n, PUBLISHED + more) for n in EVERY for more in ((), PAPER)]
OURS = [('yolov8n', n, ('class=1', 'buffer=10', f'step={n}')) for n in EVERY]
# Evaluates FOLDER/everyN/tracks/RUN/data/vtest.txt; LENGTHS: frames by N.
EVALUATE = '''
import json, os, sys
import trackeval
folder, lengths = sys.argv[1], json.loads(sys.argv[2])
quiet = {'PRINT_CONFIG': False}
metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet),
           trackeval.metrics.Identity(quiet)]
evaluator = trackeval.Evaluator({'PRINT_RESULTS': False, 'OUTPUT_SUMMARY': False,
    'OUTPUT_DETAILED': False, 'PLOT_CURVES': False, 'TIME_PROGRESS': False,
    'BREAK_ON_ERROR': True, **quiet})
rows = {}
for every, length in lengths.items():
    part = os.path.join(folder, 'every' + every)
    dataset = trackeval.datasets.MotChallenge2DBox({'GT_FOLDER': os.path.join(part, 'truth'),
        'TRACKERS_FOLDER': os.path.join(part, 'tracks'), 'SEQ_INFO': {'vtest': length},
        'SKIP_SPLIT_FOL': True, 'DO_PREPROC': False, **quiet})
    results = evaluator.evaluate([dataset], metrics)[0]['MotChallenge2DBox']
    for run in results:
        r = results[run]['vtest']['pedestrian']
        rows[run] = [100 * float(r['HOTA']['HOTA'].mean()), 100 * float(r['CLEAR']['MOTA']),
                     100 * float(r['Identity']['IDF1']), int(r['CLEAR']['IDSW'])]
print('ROWS', json.dumps(rows))
'''


def read(name):
    with open(os.path.join(FOLDER, name), encoding='utf-8') as file:
        return [line.strip().split(',') for line in file if line.strip()]


def thin(rows, every):
    """Rows of frames 1, 1 + every, 1 + 2 * every..., which are numbered from 1 again."""
    return [[str((int(row[0]) - 1) // every + 1), *row[1:]] for row in rows
            if (int(row[0]) - 1) % every == 0]


def write(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(','.join(row) + '\n' for row in rows)


@functools.cache
def results():
    """{(detections, every, settings): (HOTA, MOTA, IDF1, switches)} of all runs: TrackEval takes
    seconds to start."""
    runs = tuple(dict.fromkeys((*BYTETRACK, *REFERENCE, *OURS, *OTHERS)))
    if not os.path.isdir(FOLDER):
        raise Skip('../shared/tracking is not there')
    python = with_packages('trackeval-venv', 'import trackeval, scipy', '--no-deps',
                           'trackeval==1.3.0', 'numpy', 'scipy', 'tabulate')
    lengths = {every: (FRAMES - 1) // every + 1 for _, every, _ in runs}
    with tempfile.TemporaryDirectory() as folder:
        for every in lengths:
            write(f'{folder}/every{every}/truth/vtest/gt/gt.txt', thin(read('gt.txt'), every))
        for number, (detections, every, settings) in enumerate(runs):
            rows = thin(read(f'det-{detections}.txt'), every)
            output = subprocess.run([TRACK_TEXT, f'frames={lengths[every]}', *settings], check=True,
                                    input=''.join(','.join(row[:7]) + '\n' for row in rows),
                                    text=True, stdout=subprocess.PIPE).stdout
            write(f'{folder}/every{every}/tracks/run{number}/data/vtest.txt',
                  [[*line.split(','), '-1', '-1', '-1'] for line in output.splitlines()])
        result = subprocess.run([python, '-c', EVALUATE, folder, json.dumps(lengths)], check=False,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert result.returncode == 0, result.stdout + result.stderr
    line = next(l for l in result.stdout.splitlines() if l.startswith('ROWS '))
    rows = json.loads(line[5:])
    return {run: rows[f'run{number}'] for number, run in enumerate(runs)}


def bytetrack_has_the_numbers_of_the_reference():
    for run, expected in BYTETRACK.items():
        row = results()[run]
        print('#', *run, *[f'{value:.2f}' for value in row])
        assert all(abs(round(a, 2) - b) < .011 for a, b in zip(row, expected)), (run, expected)


def ours_is_better_at_every_frame_second_and_third():
    """Evaluated on the frames that were looked at."""
    for run in OURS:
        row = results()[run]
        others = [results()[other] for other in REFERENCE if other[1] == run[1]]
        best = [max(other[i] for other in others) for i in (0, 2)]
        print('#', *run, f'HOTA {row[0]:.2f} IDF1 {row[2]:.2f}; the reference',
              *[f'{value:.2f}' for value in best])
        assert len(others) == 2 and row[0] > best[0] and row[2] > best[1], (run, row, best)


def others_have_the_numbers_of_their_authors():
    for run, expected in OTHERS.items():
        row = results()[run]
        print('#', *run, *[f'{value:.2f}' for value in row])
        assert abs(row[0] - expected[0]) < .2 and abs(row[2] - expected[1]) < .2, (row, expected)


run_cases([bytetrack_has_the_numbers_of_the_reference,
           ours_is_better_at_every_frame_second_and_third,
           others_have_the_numbers_of_their_authors])
