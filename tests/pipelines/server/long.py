#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""long.py [CAMERAS [MINUTES [SEED]]]: yolo-server with 16 RTSP cameras for 30 minutes, and faults
at random: a server is killed, one is frozen, one sends garbage, one changes its size, a camera is
added and removed every 10 seconds. Prints a line a minute, and ends with 1 if

- a camera that nobody touched has 5 % less frames than in the first minute,
- memory grows after minute 5, or threads and descriptors do,
- a camera is not back 5 seconds after its server is.

The cameras' servers run on the same machine; one that is busy with something else sends fewer
frames, which is not the server's fault: run it alone."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wall import Garbage, Rtsp, Server, wait_until

BACK = 5                        # seconds
FAULTS = 'killed', 'frozen', 'garbage', 'size'


class Wall:
    def __init__(self, n):
        # Those behind the first half are left alone.
        self.rtsp = [Rtsp(width=320, height=240) for _ in range(n)]
        self.server = Server(
            '\n'.join(f'c{i}: {{uri: "{rtsp.url}"}}' for i, rtsp in enumerate(self.rtsp)),
            'connect-timeout: 5')
        self.late = []
        self.low = []

    def watch_return(self, number, fault):
        """How long a camera takes once its server is there again."""
        name = f'c{number}'
        begin = time.monotonic()
        frames = self.server.camera(name)['frames']
        wait_until(lambda: self.server.camera(name)['frames'] > frames
                   and self.server.camera(name)['state'] == 'live', 120,
                   lambda: f'{name} ({fault}): {self.server.camera(name)}')
        took = time.monotonic() - begin
        if took > BACK:
            self.late.append((name, fault, took))
        return took

    def break_one(self, random_):
        """A fault for some seconds, and the return."""
        number = random_.randrange(len(self.rtsp) // 2)
        rtsp, fault = self.rtsp[number], random_.choice(FAULTS)
        seconds = random_.uniform(1, 12)
        if fault == 'frozen':
            rtsp.freeze()
            time.sleep(seconds)
            rtsp.thaw()
        else:
            rtsp.die()
            if fault == 'garbage':
                with Garbage(rtsp.port):
                    time.sleep(seconds)
            else:
                time.sleep(seconds if fault == 'killed' else 0)
            width = random_.choice((160, 320, 640)) if fault == 'size' else 320
            rtsp.start(width=width, height=width * 3 // 4)
        took = self.watch_return(number, fault)
        return f'c{number} {fault} {seconds:.0f} s, back in {took:.1f} s'

    def frames(self):
        return [self.server.camera(f'c{i}')['frames']
                for i in range(len(self.rtsp) // 2, len(self.rtsp))]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    random_ = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    wall = Wall(n)
    try:
        return run(wall, minutes, random_)
    finally:
        wall.server.end()
        for rtsp in wall.rtsp:
            rtsp.die()


def run(wall, minutes, random_):
    for i in range(len(wall.rtsp)):
        wall.server.wait_for(f'c{i}', 'live')
    begin = time.monotonic()
    minute, extra, first_rate, settled = begin, 0, None, None
    frames = wall.frames()
    while time.monotonic() < begin + minutes * 60:
        name = f'extra{extra}'
        wall.server.ask('PUT', f'api/v1/cameras/{name}', {'uri': 'test:ball'})
        print(f'  {wall.break_one(random_)}', flush=True)
        wall.server.ask('DELETE', f'api/v1/cameras/{name}')
        extra += 1
        if time.monotonic() < minute + 60:
            continue
        now, seconds = wall.frames(), time.monotonic() - minute
        rates = [(b - a) / seconds for a, b in zip(frames, now)]
        first_rate = first_rate or min(rates)
        if min(rates) < .95 * first_rate:
            wall.low.append(min(rates))
        minute, frames = time.monotonic(), now
        metrics = wall.server.metrics()
        state = [metrics[key] for key in ('process_resident_memory_bytes', 'process_threads',
                                          'process_open_fds', 'yolo_pipelines')]
        print(f'{(minute - begin) / 60:.0f} min: {min(rates):.2f} to {max(rates):.2f} frames/s, '
              f'{state[0] / 1e6:.0f} MB, {state[1]:.0f} threads, {state[2]:.0f} descriptors, '
              f'{state[3]:.0f} pipelines', flush=True)
        if settled is None and minute - begin > min(5, minutes / 3) * 60:
            settled = state
    return judge(wall, settled, state)


def judge(wall, settled, state):
    wrong = [f'{name} ({fault}) came back after {took:.1f} s' for name, fault, took in wall.late]
    wrong += [f'only {rate:.2f} frames/s' for rate in wall.low]
    if state[0] > settled[0] * 1.05 + 10e6:
        wrong.append(f'{settled[0] / 1e6:.0f} MB became {state[0] / 1e6:.0f}')
    # Pipelines that are being ended have some of both.
    for what, before, after in zip(('threads', 'descriptors'), settled[1:3], state[1:3]):
        if after > before * 1.1 + 10:
            wrong.append(f'{before:.0f} {what} became {after:.0f}')
    print('\n'.join(wrong) or 'all is well')
    return bool(wrong)


if __name__ == '__main__':
    os.environ.setdefault('GST_PLUGIN_PATH', os.path.join(
        os.environ.get('YOLO_BUILD', os.path.join(os.path.dirname(__file__), '../../../build')),
        'gst-plugin'))
    sys.exit(main())
