# SPDX-License-Identifier: MIT
"""yolo-servers of a consumer group, on brokers that librdkafka has for tests, and what their
records tell of who has served which camera when."""

import collections
import json
import os
import subprocess
import tempfile
import threading
import time

from tap import with_packages
from wall import BUILD, PATIENCE, PROGRAM, Server, folder, wait_until

PARTITIONS = 16                 # of the topic of cameras
# Sends the records that it reads, as JSON, and tells the partitions that they have got.
SEND = '''
import json, sys
from confluent_kafka import Producer
producer = Producer({'bootstrap.servers': sys.argv[1], 'partitioner': 'murmur2_random'})
partitions = []
for key, value, *partition in json.load(sys.stdin):
    producer.produce(sys.argv[2], value, key, *partition,
                     on_delivery=lambda error, message: partitions.append(message.partition()))
assert producer.flush(60) == 0
json.dump(partitions, sys.stdout)
'''
RESTARTED = 2e9                 # ns: below this a timestamp that is smaller is a new pipeline's


def with_kafka():
    return with_packages('kafka-venv', 'import confluent_kafka', 'confluent-kafka')


class Kafka:
    """Brokers in a process of their own; every record of theirs as (topic, ms, key, value)."""

    def __init__(self, *topics):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, 'tests/pipelines/kafka-broker'), f'cameras:{PARTITIONS}',
             *topics], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.brokers = self.process.stdout.readline().strip()
        self.records = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            topic, _, stamp, key, value = line.rstrip('\n').split('\t', 4)
            self.records.append((topic, int(stamp), key, value))

    def send(self, topic, records):
        """(key, text) or (key, text, partition); the partitions that they have got."""
        result = subprocess.run([with_kafka(), '-c', SEND, self.brokers, topic], text=True,
                                check=True, input=json.dumps(records), stdout=subprocess.PIPE,
                                timeout=PATIENCE)
        return json.loads(result.stdout)

    def publish(self, cameras):
        """Makes these the topic's; a line a camera. What the program says."""
        handle, path = tempfile.mkstemp('.yaml', dir=folder())
        os.close(handle)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'server: {{kafka: "kafka://{self.brokers}/cameras"}}\n'
                       f'defaults: {{model: {PROGRAM}}}\ncameras:\n'
                       + ''.join(f'  {line}\n' for line in cameras.splitlines()))
        return subprocess.run([PROGRAM, '--publish-settings', path], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.thread.join()
        self.process.stdout.close()


# librdkafka's brokers, unlike Kafka's, wait for all but a second of a session whenever somebody has
# left, though all others have joined again: who measures that has short sessions, and a machine
# that keeps up with them.
SHORT = 'session.timeout.ms=3000,heartbeat.interval.ms=500'


def server_part(kafka, options=None):
    return (f'kafka: kafka://{kafka.brokers}/cameras\n'
            + (f'kafka-options: {options}' if options else ''))


class Member(Server):
    """A server of the group, which sends what it sees to a topic of its own."""

    def __init__(self, kafka, number, options=None):
        self.topic = f'seen-{number}'
        self.counts = {}        # camera: [frames sent by runs before, frames of this one]
        super().__init__(server=server_part(kafka, options),
                         defaults=f'publish: ["kafka://{kafka.brokers}/{self.topic}"]',
                         options=('--group', 'wall'))

    def look(self):
        """Counts the frames that the server has told of; its cameras that are live."""
        cameras = self.ask('GET', 'api/v1/cameras').json['cameras']
        for camera in cameras:
            count = self.counts.setdefault(camera['name'], [0, 0])
            if camera['inferred'] < count[1]:
                count[0] += count[1]
            count[1] = camera['inferred']
        return [camera['name'] for camera in cameras if camera['state'] == 'live']


def wait_for_all(members, names):
    """Until each camera is live on one of the servers, and on no other."""
    wait_until(lambda: sorted(sum((member.look() for member in members), [])) == sorted(names),
               PATIENCE, lambda: f'{[member.look() for member in members]}')


class Story:
    """What the records tell: for each camera, who has served it from when to when."""

    def __init__(self, records):
        # {camera: [[topic, first ms, last ms]]}, by time; a pause of the same server is none.
        self.spans = collections.defaultdict(list)
        self.n = collections.Counter()  # (topic, camera): frames
        self.twice = []
        last = {}
        for topic, stamp, key, value in records:
            if not topic.startswith('seen-'):
                continue
            frame = json.loads(value)['timestamp']
            if (topic, key) in last and frame <= last[topic, key] and (
                    frame == last[topic, key] or frame > RESTARTED):
                self.twice.append((topic, key, frame))
            last[topic, key] = frame
            self.n[topic, key] += 1
        for topic, stamp, key, value in sorted(records, key=lambda record: record[1]):
            if not topic.startswith('seen-'):
                continue
            spans = self.spans[key]
            if spans and spans[-1][0] == topic:
                spans[-1][2] = stamp
            else:
                spans.append([topic, stamp, stamp])

    def handovers(self):
        """[(camera, from, to, ms without a frame)] of all changes of server."""
        return [(name, a[0], b[0], b[1] - a[2]) for name, spans in self.spans.items()
                for a, b in zip(spans, spans[1:])]

    def shared(self):
        """Cameras that two servers have served at once: one that comes back within a second."""
        return [(name, a, b, c) for name, spans in self.spans.items()
                for a, b, c in zip(spans, spans[1:], spans[2:])
                if a[0] == c[0] and c[1] - a[2] < 1000]

    def lost(self, member):
        """[(camera, frames that the server has counted, frames that have arrived)]"""
        return [(name, sum(count), self.n[member.topic, name])
                for name, count in member.counts.items()
                if self.n[member.topic, name] < sum(count)]


def now():
    return time.time() * 1000
