# SPDX-License-Identifier: MIT
"""What the tests of training/ share. Importing it goes on in the Python that has PyTorch, or says
that there is none and skips the program: the environment takes gigabytes, so that no test makes
it."""

import importlib.util
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, '..', '..')
DATA = os.path.join(TOP, 'tests', 'data')
SHARED = os.environ.get('YOLO_SHARED', os.path.join(TOP, '..', 'shared'))
CHECKPOINTS = os.environ.get('CHECKPOINTS', '')
NEEDED = 'import torch, onnx, torch_pruning'

# yolo-time of the build that is tested
os.environ['PATH'] = os.pathsep.join((os.path.join(os.environ.get('YOLO_BUILD', os.path.join(
    TOP, 'build')), 'engine'), os.environ['PATH']))
sys.path[:0] = [TOP, os.path.join(TOP, 'tests', 'pipelines')]


def skip(why):
    print(f'1..0 # SKIP {why}')
    sys.exit()


def find_torch():
    try:
        exec(NEEDED, {})
        return
    except ImportError:
        pass
    script = os.path.join(TOP, 'training', 'venv.sh')
    found = subprocess.run([script, '--existing'], stdout=subprocess.PIPE, text=True,
                           check=False).stdout.strip()
    if not found or 'TRAINING_TEST' in os.environ:
        skip('PyTorch is not installed; training/venv.sh makes an environment that has it')
    os.environ['TRAINING_TEST'] = '1'           # once: an environment without torch is not asked
    os.execv(found, [found, *sys.argv])


find_torch()

import numpy as np                              # noqa: E402
import torch                                    # noqa: E402

# Tests run beside others, on few cores.
torch.set_num_threads(1)


def require(*modules):
    for name in modules:
        if importlib.util.find_spec(name) is None:
            skip(f'{name} is not installed; training/requirements.txt lists what training needs')


def grey_levels(count):
    """The numbers that tests/data/README.md describes."""
    levels, x = np.empty(count, np.uint8), 1
    for i in range(count):
        x = (x * 1664525 + 1013904223) & 0xffffffff
        levels[i] = x >> 24
    return levels


def references():
    """{name: its row of models.tsv}"""
    with open(os.path.join(DATA, 'models.tsv'), encoding='utf-8') as rows:
        table = [row.rstrip('\n').split('\t') for row in rows if not row.startswith('#')]
    return {row[1][:-len('.maps')]: row for row in table}


def reference_input(row):
    """[N][3][rows][columns], what the reference's maps were computed of."""
    n, rows, columns = map(int, row[3:6])
    pixels = grey_levels(n * rows * columns * 3).reshape(n, rows, columns, 3)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def largest_difference(maps, name):
    """Of a head's maps from those in tests/data, as a part of the largest value there."""
    mine = np.concatenate([part.detach().permute(0, 2, 3, 1).reshape(-1).numpy()
                           for level in maps for part in level])
    expected = np.fromfile(os.path.join(DATA, name + '.maps'), '<f4')
    assert mine.shape == expected.shape, (mine.shape, expected.shape)
    return np.abs(mine - expected).max() / np.abs(expected).max()
