#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Servers of a Kafka consumer group share cameras, and one that dies leaves its own to the others.
The brokers are librdkafka's for tests, in a process of their own."""

import contextlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'server'))
from group import PARTITIONS, Kafka, Member, Story, server_part, wait_for_all, with_kafka
from tap import run_cases, wait_until

NAMES = [f'camera{i}' for i in range(4)]


def lines(names, more=''):
    return '\n'.join(f'{name}: {{uri: "test:ball"{more}}}' for name in names)


def a_dead_servers_cameras_go_to_the_living():
    topics = [f'seen-{i}' for i in range(2)]
    with Kafka(*topics) as kafka, contextlib.ExitStack() as stack:
        result = kafka.publish(lines(NAMES))
        assert '4 cameras were sent, 0 others taken away' in result.stdout, result
        members = [stack.enter_context(Member(kafka, i)) for i in range(2)]
        wait_until(lambda: all(member.look() for member in members))
        wait_for_all(members, NAMES)
        assert members[0].ask('GET', 'api/v1/status').json['group'] == 'wall'
        # What a record says counts at once.
        records_change(kafka, members)
        # One is killed, and leaves nobody a word.
        wait_for_all(members, NAMES)
        members[0].end(signal.SIGKILL)
        wait_for_all(members[1:], NAMES)
        frames = {name: members[1].camera(name)['frames'] for name in NAMES}
        wait_until(lambda: all(members[1].camera(name)['frames'] > frames[name] for name in NAMES))
        members[1].look()
        members[1].end()
    story = Story(kafka.records)
    assert not story.twice, story.twice
    assert not story.shared(), story.shared()
    assert not story.lost(members[1]), story.lost(members[1])
    dead = [handover for handover in story.handovers() if handover[1:3] == ('seen-0', 'seen-1')]
    assert dead and all(ms > 0 for *_, ms in dead), story.handovers()
    print(f'# ms without a frame: {sorted(ms for *_, ms in dead)}')


def records_change(kafka, members):
    def titles():
        return {camera['name']: camera['title'] for member in members
                for camera in member.ask('GET', 'api/v1/cameras').json['cameras']}

    kafka.publish(lines(NAMES, ', title: new'))
    wait_until(lambda: set(titles().values()) == {'new'}, otherwise=lambda: str(titles()))
    # The same cameras, none of which connects anew.
    assert all(member.camera(name)['connects'] == 1 for member in members
               for name in member.look())
    result = kafka.publish(lines(NAMES + ['more'], ', confidence: .5'))
    assert '5 cameras were sent' in result.stdout, result
    wait_until(lambda: 'more' in titles())
    result = kafka.publish(lines(NAMES))
    assert '4 cameras were sent, 1 others taken away' in result.stdout, result
    wait_until(lambda: 'more' not in titles())
    for server in members:
        answer = server.ask('PUT', 'api/v1/cameras/door', {'uri': 'test:'})
        assert answer.status == 421 and 'come from Kafka' in answer.json['error'], answer.body
        assert server.ask('POST', 'api/v1/save').status == 421
    # The file is read again, and its cameras do not count.
    members[0].write('other: {uri: "test:"}', f'publish: ["kafka://{kafka.brokers}/seen-0"]',
                     server_part(kafka))
    has = sorted(members[0].look())
    assert members[0].ask('POST', 'api/v1/reload').status == 200
    assert sorted(members[0].look()) == has, members[0].look()


def wrong_records_change_nothing():
    with_kafka()
    with Kafka('seen-0') as kafka, contextlib.ExitStack() as stack:
        kafka.publish(lines(NAMES[:1], ', title: first'))
        member = stack.enter_context(Member(kafka, 0))
        wait_until(lambda: member.look() == NAMES[:1])
        kafka.send('cameras', [(NAMES[0], '{"uri": "test:ball", "title": '),
                               (NAMES[0], '{"uri": "test:ball", "colour": "red"}')])
        wait_until(lambda: 'colour' in member.logged(), otherwise=member.logged)
        # In another partition than its key's: another server could have it too.
        right, = kafka.send('cameras', [('stray', 'off')])
        kafka.send('cameras', [('stray', '{"uri": "test:ball"}', (right + 1) % PARTITIONS)])
        wait_until(lambda: 'stray' in member.logged(), otherwise=member.logged)
        kafka.send('cameras', [('another', '{"uri": "test:ball"}')])
        wait_until(lambda: 'another' in member.look(), otherwise=member.logged)
        assert sorted(member.look()) == ['another', NAMES[0]], member.look()
        camera = member.camera(NAMES[0])
        assert camera['title'] == 'first' and camera['connects'] == 1, camera
        member.end()


def a_server_that_ends_hands_over_at_once():
    with Kafka('seen-0', 'seen-1') as kafka, contextlib.ExitStack() as stack:
        kafka.publish(lines(NAMES))
        members = [stack.enter_context(Member(kafka, i)) for i in range(2)]
        wait_until(lambda: all(member.look() for member in members))
        wait_for_all(members, NAMES)
        members[0].look()
        members[0].end()
        wait_for_all(members[1:], NAMES)
        members[1].end()
    story = Story(kafka.records)
    assert not story.twice and not story.shared(), (story.twice, story.shared())
    for member in members:
        assert not story.lost(member), story.lost(member)


def secrets_are_no_records():
    with Kafka() as kafka:
        for camera in ('a: {uri: "rtsp://h/s", password: sesame}',
                       'a: {uri: "rtsp://u:sesame@h/s"}',
                       'a: {uri: "rtsp://h/s", publish: ["mqtt://u:sesame@h/t"]}'):
            result = kafka.publish('fine: {uri: "test:"}\n' + camera)
            assert result.returncode == 1 and 'has a password' in result.stdout, result
            assert 'sesame' not in result.stdout, result
        os.environ['SESAME'] = 'open'
        result = kafka.publish('a: {uri: "rtsp://u:${SESAME}@h/s"}\n'
                               'b: {uri: "rtsp://h/s", password: "${SESAME}"}')
        assert result.returncode == 0, result
        wait_until(lambda: len(kafka.records) == 2)
    for *_, value in kafka.records:
        assert '${SESAME}' in value and 'open' not in value, value


if __name__ == '__main__':
    run_cases([a_dead_servers_cameras_go_to_the_living, wrong_records_change_nothing,
               a_server_that_ends_hands_over_at_once, secrets_are_no_records])
