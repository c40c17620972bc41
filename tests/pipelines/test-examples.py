#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The networks of pipelines/examples see what is drawn: which plate is in which car, whose face
it is, what state a machine is in. The lines are those of pipelines/README.md."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tap import BUILD, TOP, Skip, folder, read_lines, run_cases, shell

EXAMPLES = os.path.join(TOP, 'pipelines/examples')
sys.path.insert(0, EXAMPLES)
sys.dont_write_bytecode = True
import draw

# Small networks miss now and then: shares of what is drawn that must be found, and that may be
# found where nothing is.
FOUND, WRONG = .9, .1


def overlap(a, b):
    """Of boxes (left, top, right, bottom): intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    both = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def box_of(found):
    return found['x'], found['y'], found['x'] + found['w'], found['y'] + found['h']


def match(wanted, found, least):
    """Of (label, box) and of objects: [(number of the one, the other)], and objects that are none
    of these."""
    pairs, left = [], list(found)
    for number, (label, box) in enumerate(wanted):
        fitting = [o for o in left if o['roi_type'] == label and overlap(box, box_of(o)) >= least]
        if fitting:
            best = max(fitting, key=lambda o: overlap(box, box_of(o)))
            pairs.append((number, best))
            left.remove(best)
    return pairs, left


class Score:
    """How much of something there was, how much of it was found, and what else was."""

    def __init__(self, name):
        self.name, self.wanted, self.found, self.wrong = name, 0, 0, 0

    def add(self, wanted, found, wrong):
        self.wanted += wanted
        self.found += found
        self.wrong += wrong

    def check(self):
        line = f'{self.name}: {self.found} of {self.wanted} found, and {self.wrong} where none is'
        print('# ' + line)
        assert self.wanted > 0 and self.found >= FOUND * self.wanted, line
        assert self.wrong <= WRONG * self.wanted, line


def lines_of(video, network):
    """What the README's line for that video and network writes, [{frame, objects}]."""
    with open(os.path.join(TOP, 'pipelines/README.md'), encoding='utf-8') as readme:
        line = re.search(rf'^gst-launch.* location=drawn/{video}\.y4m .*/{network}\.onnx .*$',
                         readme.read(), re.M)[0]
    path = os.path.join(folder(), 'drawn', video + '.y4m')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    draw.write(draw.SCENES[video](), path)
    result = shell(line.replace('autovideosink', 'fakevideosink sync=false').replace(
        'pipelines/examples', EXAMPLES))
    assert result.returncode == 0 and 'ERROR' not in result.stdout, result.stdout
    lines = read_lines(os.path.join(folder(), re.search(r' location=(\w+\.jsonl)', line)[1]))
    assert len(lines) == draw.FRAMES, len(lines)
    return lines


def frames_of(video, network, part=None):
    """Of each frame: what is drawn, [(number of a drawn thing, its object)], and the other objects;
    `part` is the label of what the second network finds."""
    things = Score(video)
    for (_, drawn), line in zip(draw.SCENES[video]().frames(), lines_of(video, network)):
        objects = [o for o in line['objects'] if o['roi_type'] != part]
        pairs, wrong = match([(kind.label, box) for kind, box, _ in drawn], objects, .5)
        things.add(len(drawn), len(pairs), len(wrong))
        yield drawn, pairs, [o for o in line['objects'] if o['roi_type'] == part]
    things.check()


def check_parts(video, network, part):
    """In each thing the parts that it has, which know whose they are."""
    parts = Score(part)
    for drawn, pairs, found in frames_of(video, network, part):
        assert all('parent_id' in o for o in found), found
        for number, thing in pairs:
            has = [each for each in drawn[number][2] if each[0] == part]
            own = [o for o in found if o['parent_id'] == thing['region_id']]
            inside, wrong = match(has, own, .4)
            parts.add(len(has), len(inside), len(wrong))
    parts.check()


def plates_are_in_their_cars():
    check_parts('street', 'plates', 'plate')


def faces_are_in_their_people():
    check_parts('square', 'faces', 'face')


def machines_have_their_states():
    states, before, seen = Score('states'), {}, set()
    for drawn, pairs, _ in frames_of('hall', 'states'):
        for number, thing in pairs:
            kind = drawn[number][0]
            if kind.label != 'machine':
                assert 'classification_1' not in thing, thing
                continue
            # a machine that has just changed is asked again within three frames
            last = before.setdefault(number, [kind.state] * 3)
            said = thing['classification_1']['label']
            states.add(1, said in last + [kind.state], 0)
            before[number] = last[1:] + [kind.state]
            seen.add((kind.state, said))
    states.check()
    assert {(state, state) for state in draw.STATES} <= seen, seen


def python_with_numpy():
    """Debian's, or the one that training/ runs in, if one of them has what train.py needs."""
    training = subprocess.run([os.path.join(TOP, 'training/venv.sh'), '--existing'], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    for python in sys.executable, training.stdout.strip():
        if python and subprocess.run([python, '-c', 'import numpy, onnx'], check=False,
                                     stderr=subprocess.DEVNULL).returncode == 0:
            return python
    raise Skip('numpy and onnx are not installed')


def a_network_learns():
    """In a few steps, of what there are hundreds; what comes out is a file that runs."""
    python, program = python_with_numpy(), os.path.join(EXAMPLES, 'train.py')
    result = shell(f'{python} {program} --steps 40 trained plates', PYTHONDONTWRITEBYTECODE='1',
                   OMP_NUM_THREADS='2', OPENBLAS_NUM_THREADS='2')
    assert result.returncode == 0, result.stdout
    before, after = re.search(r'loss ([\d.]+), then ([\d.]+)', result.stdout).groups()
    assert float(after) < .9 * float(before), result.stdout
    result = shell('gst-launch-1.0 videotestsrc num-buffers=1 ! video/x-raw,width=128,height=96 ! '
                   'yoloinfer model-file=trained/plates.onnx ! fakesink')
    assert result.returncode == 0 and 'ERROR' not in result.stdout, result.stdout


def main():
    os.environ['GST_PLUGIN_PATH'] = os.path.join(BUILD, 'gst-plugin')
    run_cases([plates_are_in_their_cars, faces_are_in_their_people, machines_have_their_states,
               a_network_learns])


if __name__ == '__main__':
    main()
