# SPDX-License-Identifier: MIT
"""What the pipeline tests share: TAP, programs to run, pictures to run them on.

No process outlives its case. What a test starts stays in its process group,
which meson ends at a timeout; of what a case leaves behind, this process becomes
the parent (Linux: PR_SET_CHILD_SUBREAPER), and ends it."""

import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.environ.get('YOLO_BUILD', os.path.join(TOP, 'build'))


# Seconds for what should take one or two: a machine may be slow, and busy.
PATIENCE = 600
PR_SET_CHILD_SUBREAPER = 36


class Skip(Exception):
    """This case cannot run here, and why."""


def with_packages(name, check, *options):
    """A Python in which the line `check` runs after pip had these options, in a virtual environment
    of that name that tests which run at once share."""
    cache = os.path.join(TOP, '.cache')
    venv = os.path.join(cache, name)
    python = os.path.join(venv, 'bin/python')
    os.makedirs(cache, exist_ok=True)
    with open(venv + '.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = [python, '-c', check]
        if (not os.path.exists(python)
                or subprocess.run(ready, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  check=False).returncode):
            if (subprocess.run([sys.executable, '-m', 'venv', '--clear', venv],
                               check=False).returncode
                    or subprocess.run([python, '-m', 'pip', 'install', '--quiet',
                                       '--disable-pip-version-check', *options],
                                      check=False).returncode):
                raise Skip(f'{" ".join(options)} cannot be installed')
    return python


def with_onnxruntime():
    return with_packages('quantize-venv', 'import onnx, onnxruntime', 'onnx==1.23.*',
                         'onnxruntime==1.32.*')


def with_pycocotools():
    return with_packages('eval-venv', 'import pycocotools.cocoeval', 'pycocotools')


def run_cases(cases):
    """Runs functions that raise on failure, and leaves the process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        failed = run_all(cases)
    finally:
        end_children()
    sys.exit(failed)


def run_all(cases):
    print(f'1..{len(cases)}')
    failed = False
    for number, case in enumerate(cases, 1):
        name = getattr(case, 'title', None) or case.__name__.replace('_', ' ')
        try:
            case()
            check_children()
            print(f'ok {number} - {name}')
        except Skip as why:
            print(f'ok {number} - {name} # SKIP {why}')
        except Exception:  # a test reports whatever goes wrong
            failed = True
            print(f'not ok {number} - {name}')
            for line in traceback.format_exc().splitlines():
                print('# ' + line)
            end_children()
        sys.stdout.flush()
    return failed


def children():
    """{pid: name} of this process's children that have not ended."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
                name, rest = file.read().split('(', 1)[1].rsplit(')', 1)
        except OSError:         # it ended meanwhile
            continue
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state != 'Z':
            found[int(pid)] = name
    return found


def check_children():
    wait_until(lambda: not children(), 10, lambda: f'left behind: {", ".join(children().values())}')


def end_children():
    """Those of a child that is killed become ours, and are next."""
    while left := children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        time.sleep(.01)


def wait_until(condition, seconds=PATIENCE, otherwise=lambda: 'nothing happens'):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f'{otherwise()} after {seconds} s'
        time.sleep(.1)


def fetch(name):
    """The path of a file that tests/scripts/fetch.sh gets."""
    result = subprocess.run([os.path.join(TOP, 'tests/scripts/fetch.sh'), name],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise Skip(f'{name} cannot be fetched')
    return result.stdout.strip()


def folder():
    """A folder of this process's, gone with it."""
    if not hasattr(folder, 'made'):
        folder.made = tempfile.TemporaryDirectory(prefix='yolo-test-')
    return folder.made.name


def shell(command, timeout=PATIENCE, **variables):
    """Runs a line of shell in folder(); its output and exit status. What does not
    end in time is ended with its case."""
    return subprocess.run(['bash', '-c', command], cwd=folder(), timeout=timeout, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, **variables})


def clip(frames=12):
    """The first frames of vtest.avi as an MP4; about so many, count_frames() tells."""
    path = os.path.join(folder(), f'clip-{frames}.mp4')
    if not os.path.exists(path):
        video = fetch('vtest')
        result = shell(f'gst-launch-1.0 -q filesrc location="{video}" ! decodebin ! videoconvert ! '
                       f'identity eos-after={frames + 1} ! '
                       'x264enc speed-preset=ultrafast ! mp4mux ! '
                       f'filesink location="{path}"')
        assert result.returncode == 0, result.stdout
    return path


# Pictures that qtdemux leaves out at an end, by an MP4's edit list, where there are B-frames.
CUT = 2


def count_frames(path):
    """How many pictures a video file holds, by decoding it."""
    pixels = path + '.pixels'
    result = shell(f'gst-launch-1.0 -q filesrc location="{path}" ! '
                   'decodebin ! videoconvert ! videoscale ! '
                   f'video/x-raw,format=GRAY8,width=16,height=16 ! filesink location="{pixels}"')
    assert result.returncode == 0, result.stdout
    size = os.path.getsize(pixels)
    os.remove(pixels)
    return size // 256


def read_lines(path):
    """The objects of a JSON lines file."""
    with open(path, encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]


CAMERA = ('multifilesrc location="{picture}" loop=true caps=image/jpeg,framerate=10/1 ! jpegdec ! '
          'videoconvert ! videoscale ! video/x-raw,format=I420,width=480,height=640 ! '
          'x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0')


class Camera:
    """An RTSP server on the loopback that shows bus.jpg ten times a second."""

    def __init__(self):
        launch = '( ' + CAMERA.format(picture=fetch('bus')) + ' )'
        self.process = subprocess.Popen(
            [os.path.join(BUILD, 'tests/pipelines/rtsp-server'), launch],
            stdout=subprocess.PIPE, text=True)
        ready = select.select([self.process.stdout], [], [], PATIENCE)[0]
        assert ready, 'the RTSP server does not start'
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.die()

    def die(self):
        """As a camera does whose plug is pulled."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
