#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""glass.py [CHANGES [CAMERAS]]: how long yolo-server takes from when a frame is made to when a
client has the event that it shows. The camera, an RTSP server on the loopback with 15 frames a
second, shows black, and at some moment bars, in which a network of random weights sees objects; it
prints when the first frame of another kind was made. Of 40 changes, with no other cameras, prints
the median and the 95th percentile, beside what the server itself says."""

import json
import os
import random
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wall import Page, Rtsp, Server

# Of the random weights: in black nothing is as certain.
CONFIDENCE = .48


def change(rtsp):
    """The Unix time at which the first frame of another kind was made."""
    rtsp.process.send_signal(signal.SIGUSR1)
    return float(rtsp.process.stdout.readline())


def measure(n, others, random_):
    """(seconds of each change from the frame to the client, the camera as the server has it)"""
    with Rtsp(pattern='black name=scene') as rtsp, Server(
            '\n'.join([f'a: {{uri: "{rtsp.url}", events: [arrive]}}']
                      + [f'other{i}: {{uri: "test:ball"}}' for i in range(others)]),
            f'confidence: {CONFIDENCE}\nsnapshots: none') as server:
        server.wait_for('a', 'live')
        page = Page(server.url, '/api/v1/live-events')
        took = []
        for _ in range(n):
            # At any moment between two frames; a sender report has told the clock by then.
            time.sleep(1 + random_.uniform(0, .2))
            made = change(rtsp)
            while next_kind(page) != 'arrive':
                page.send('taken')
            took.append(time.time() - made)
            page.send('taken')
            # The camera begins with black, and a new tracker knows nothing of before.
            camera = server.camera('a')
            server.ask('PATCH', 'api/v1/cameras/a', {'enabled': False})
            server.wait_for('a', 'off')
            drain(page)
            server.ask('PATCH', 'api/v1/cameras/a', {'enabled': True})
            server.wait_for('a', 'live')
        page.close()
    return took, camera


def next_kind(page):
    """The kind of the next event; pings come between."""
    opcode, text = page.receive()
    while opcode != 1:
        opcode, text = page.receive()
    return json.loads(text)['kind']


def drain(page):
    """Takes what has come."""
    page.socket.settimeout(.2)
    try:
        while page.receive():
            page.send('taken')
    except OSError:
        pass
    page.socket.settimeout(None)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    took, camera = measure(n, int(sys.argv[2]) if len(sys.argv) > 2 else 0, random.Random(1))
    took.sort()
    print(f'{n} changes: median {statistics.median(took) * 1000:.0f} ms, '
          f'95 % within {took[min(n * 95 // 100, n - 1)] * 1000:.0f} ms, most '
          f'{took[-1] * 1000:.0f} ms')
    for name in ('latency_from', 'objects_latency_median', 'objects_latency_p95',
                 'events_latency_median', 'events_latency_p95'):
        print(f'  {name}: {camera[name]}')


if __name__ == '__main__':
    os.environ.setdefault('GST_PLUGIN_PATH', os.path.join(
        os.environ.get('YOLO_BUILD', os.path.join(os.path.dirname(__file__), '../../../build')),
        'gst-plugin'))
    main()
