#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""handover.py [MINUTES [SERVERS [CAMERAS [SECONDS]]]]: 4 yolo-servers of a Kafka consumer group and
8 cameras for 5 minutes; every 20 seconds a server is killed (SIGKILL) and another one started in
its place. Prints every hand-over, and ends with 1 if

- a camera was served by two servers at once, or by none for more than 10 seconds,
- a frame that a server has counted has not arrived, but for what one that was killed had under way,
- a frame has arrived twice.

The brokers are librdkafka's for tests, in a process of their own. A machine that is busy with
something else misses heartbeats and starts cameras late, which is not the servers' fault: run it
alone."""

import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from group import SHORT, Kafka, Member, Story, now, wait_for_all

LIMIT = 10000                   # ms without a frame
# What a server counted in the last ms before it was killed may have been under way.
UNDER_WAY = 2000


def watch(members, seconds):
    """Looks at the servers for so long, and keeps what they count, with the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for member in members:
            member.look()
            member.looks.append((now(), {name: sum(count)
                                         for name, count in member.counts.items()}))
        time.sleep(.5)


def run(minutes, n, n_cameras, period):
    random_ = random.Random(1)
    n_kills = int(minutes * 60 / period)
    names = [f'camera{i}' for i in range(n_cameras)]
    kills = []
    with Kafka(*(f'seen-{i}' for i in range(n + n_kills))) as kafka:
        print(kafka.publish('\n'.join(f'{name}: {{uri: "test:ball"}}' for name in names)).stdout,
              end='')
        members = [start(kafka, i) for i in range(n)]
        everybody = list(members)
        try:
            wait_for_all(members, names)
            begin = now()
            for number in range(n_kills):
                watch(members, period)
                victim = members.pop(random_.randrange(len(members)))
                kills.append((now(), victim))
                victim.end(signal.SIGKILL)
                members.append(start(kafka, n + number))
                everybody.append(members[-1])
            watch(members, period)
            wait_for_all(members, names)
        finally:
            for member in members:
                member.look()
                member.end()
    return judge(kafka.records, begin, kills, everybody)


def start(kafka, number):
    member = Member(kafka, number, SHORT)
    member.looks = []
    return member


def judge(records, begin, kills, everybody):
    story = Story(records)
    wrong = [f'{name}: frame {frame} of {topic} has arrived twice'
             for topic, name, frame in story.twice]
    wrong += [f'{name}: {a[0]} and {b[0]} at once' for name, a, b, c in story.shared()]
    died = {victim.topic: when for when, victim in kills}
    pauses = {'a server was killed': [], 'a server came': []}
    for name, spans in story.spans.items():
        for a, b in zip(spans, spans[1:]):
            dead = a[0] in died and a[1] < died[a[0]] < b[1]
            pauses['a server was killed' if dead else 'a server came'].append(b[1] - a[2])
            print(f'  {(b[1] - begin) / 1000:.1f} s: {name} from {a[0]}{" (killed)" * dead} to '
                  f'{b[0]}, {b[1] - a[2]} ms without a frame')
            if b[1] - a[2] > LIMIT:
                wrong.append(f'{name}: {b[1] - a[2]} ms without a frame')
    for member in everybody:
        wrong += [f'{name}: {member.topic} has counted {counted} frames, and {came} have arrived'
                  for name, counted, came in lost(story, member, died.get(member.topic))]
    frames = sum(story.n.values())
    for why, ms in pauses.items():
        if ms:
            ms.sort()
            print(f'{why}: {len(ms)} hand-overs, without a frame for {ms[0] / 1000:.1f} to '
                  f'{ms[-1] / 1000:.1f} s, half of them for {ms[len(ms) // 2] / 1000:.1f} s or '
                  f'less')
    print(f'{frames} frames of {len(story.spans)} cameras, {len(kills)} servers killed')
    print('\n'.join(wrong) or 'all is well')
    return bool(wrong)


def lost(story, member, died):
    if died is None:
        return story.lost(member)
    looks = [counts for when, counts in member.looks if when < died - UNDER_WAY]
    return [(name, counted, story.n[member.topic, name])
            for name, counted in (looks[-1] if looks else {}).items()
            if story.n[member.topic, name] < counted]


if __name__ == '__main__':
    os.environ.setdefault('GST_PLUGIN_PATH', os.path.join(
        os.environ.get('YOLO_BUILD', os.path.join(os.path.dirname(__file__), '../../../build')),
        'gst-plugin'))
    arguments = [float(argument) for argument in sys.argv[1:]] + [5, 4, 8, 20][len(sys.argv) - 1:]
    sys.exit(run(arguments[0], int(arguments[1]), int(arguments[2]), arguments[3]))
