#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what all yolo-servers see, out of a topic of Kafka that they publish to.

  count.py BROKERS TOPIC [GROUP]          counts, until it is ended; start as many as you like
  count.py --show BROKERS TOPIC [GROUP]   prints what all of a group have counted, and ends

Counters of a group share the topic's partitions. A camera is the key of its records, so that all of
them lie in one partition, and one counter has them at a time. A line of --show is a camera, what
is counted, and how often, with tabs between: "frames" and each class of objects in
`publish-format: json-lines`, each kind of event in `events`.

Counts are kept where Kafka keeps how far the group has read, in the same step: a counter that takes
a partition over goes on with both, and whatever dies when, no record counts twice or never. Kafka
takes 4096 bytes for a partition (offset.metadata.max.bytes): with more cameras to a partition,
create the topic with more partitions.

Needs confluent-kafka of PyPI.
"""

import collections
import json
import signal
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition

PERIOD = 1.0    # seconds between two commits
WAIT = 10       # seconds that brokers may take to answer


def load(position):
    """{camera: Counter} out of a committed position, which may be none."""
    kept = json.loads(position.metadata) if position.metadata else {}
    return {camera: collections.Counter(counts) for camera, counts in kept.items()}


def count(counts, message):
    try:
        camera = (message.key() or b'').decode()
        record = json.loads(message.value())
        names = ([record['event']] if 'event' in record
                 else ['frames', *(found['roi_type'] for found in record.get('objects', ()))])
    except (ValueError, LookupError, TypeError, AttributeError):
        print(f'count.py: record {message.offset()} of partition {message.partition()} is none of '
              'yolo-server, and is left out', file=sys.stderr)
        return
    counts.setdefault(camera, collections.Counter()).update(names)


class Counter:
    def __init__(self, consumer):
        self.consumer = consumer
        self.counts = {}        # {partition: {camera: Counter}}
        self.next = {}          # {partition: offset of the first record that is not committed}

    def assigned(self, consumer, partitions):
        committed = consumer.committed(partitions, WAIT)
        for position in committed:
            self.counts[position.partition] = load(position)
        consumer.incremental_assign(committed)

    def commit(self):
        """What is refused, since the group changes, is tried again or is another counter's."""
        offsets = [TopicPartition(topic, partition, offset,
                                  json.dumps(self.counts[partition], separators=(',', ':')))
                   for (topic, partition), offset in self.next.items()]
        try:
            if offsets:
                self.consumer.commit(offsets=offsets, asynchronous=False)
            self.next.clear()
        except KafkaException as error:
            print(f'count.py: {error.args[0].str()}', file=sys.stderr)

    def forget(self, partitions):
        for position in partitions:
            self.counts.pop(position.partition, None)
            self.next.pop((position.topic, position.partition), None)

    def revoked(self, consumer, partitions):
        self.commit()
        self.forget(partitions)

    def lost(self, consumer, partitions):
        self.forget(partitions)

    def run(self, topic, is_over):
        self.consumer.subscribe([topic], on_assign=self.assigned, on_revoke=self.revoked,
                                on_lost=self.lost)
        while not is_over():
            for message in self.consumer.consume(1000, PERIOD):
                if message.error():
                    print(f'count.py: {message.error().str()}', file=sys.stderr)
                elif message.partition() in self.counts:
                    count(self.counts[message.partition()], message)
                    self.next[message.topic(), message.partition()] = message.offset() + 1
            self.commit()
        self.consumer.close()


def show(consumer, topic):
    """A camera whose partition has changed, when there were more of them, is in two."""
    total = collections.Counter()
    partitions = consumer.list_topics(topic, WAIT).topics[topic].partitions
    for position in consumer.committed([TopicPartition(topic, n) for n in partitions], WAIT):
        for camera, counts in load(position).items():
            total.update({(camera, name): n for name, n in counts.items()})
    for (camera, name), n in sorted(total.items()):
        print(camera, name, n, sep='\t')


def main():
    words = sys.argv[1:]
    only_show = words[:1] == ['--show']
    words = words[only_show:]
    if len(words) not in (2, 3):
        sys.exit(__doc__)
    consumer = Consumer({
        'bootstrap.servers': words[0], 'group.id': words[2] if len(words) > 2 else 'count',
        'enable.auto.commit': False, 'auto.offset.reset': 'earliest', 'session.timeout.ms': 6000,
        'partition.assignment.strategy': 'cooperative-sticky'})
    if only_show:
        show(consumer, words[1])
        return
    ended = []
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: ended.append(True))
    Counter(consumer).run(words[1], lambda: ended)


if __name__ == '__main__':
    main()
