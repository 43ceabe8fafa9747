#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""After a restart with several threads a durable queue goes to the thread of its first consumer, with all that waits in it.
queue_homes.py BROKER"""
import collections
import contextlib
import pathlib
import re
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, until
from started_broker import StartedBroker

pika = client("pika")
PROGRAM = ""
THREADS = 4
OLD, NEW, OUT = 60, 40, 5  # messages of before the restart, of after it, and how many were delivered before it
PERSISTENT = pika.BasicProperties(delivery_mode=2)
# A connection a thread, so that it is known which queues are far from their consumers.
CONFIG = 'connections_together = 1\nlog_level = "debug"\n'


class Homes(unittest.TestCase):
    def start(self, config=CONFIG, threads=THREADS):
        broker = StartedBroker(PROGRAM, config=config, arguments=["--threads", str(threads)])
        self.addCleanup(broker.stop)
        return broker

    def connect(self, broker):
        connection = pika.BlockingConnection(pika.URLParameters(broker.url))
        self.addCleanup(self.leave, connection)
        channel = connection.channel()
        channel.confirm_delivery()
        return channel

    @staticmethod
    def leave(connection):
        with contextlib.suppress(pika.exceptions.AMQPError):  # its broker has ended before
            connection.close()

    def moves(self, broker):
        """Queue and thread, for each line about a move; complete once the broker has ended."""
        text = (broker.directory / "log").read_text(errors="replace")
        return re.findall(r"queue '(\w+)' in vhost '/' lives on shard (\d+) now", text)

    def publish(self, channel, queue, first, end, properties=PERSISTENT, size=0):
        for number in range(first, end):
            channel.basic_publish("", queue, b"%d" % number + bytes(size), properties, mandatory=True)

    def take(self, channel, count, queues):
        """So many deliveries from these queues together, not acknowledged: {queue: [(number, redelivered, tag)]}."""
        got = collections.defaultdict(list)

        def take_one(queue):
            return lambda _, method, properties, body: got[queue].append(
                (int(body.rstrip(b"\0")), method.redelivered, method.delivery_tag))
        for queue in queues:
            channel.basic_consume(queue, take_one(queue))
        for _ in range(600):
            channel.connection.process_data_events(0.05)
            if sum(map(len, got.values())) >= count:
                break
        self.assertEqual(count, sum(map(len, got.values())))
        return got

    def test_a_backlog_goes_along_and_nothing_is_lost(self):
        broker = self.start()
        queues = [[f"q{consumer}{place}" for place in range(THREADS)] for consumer in range(THREADS)]
        every = [queue for some in queues for queue in some]
        channel = self.connect(broker)
        for queue in every:
            channel.queue_declare(queue, durable=True)
            self.publish(channel, queue, 0, OLD)
            for _ in range(OUT):
                channel.basic_get(queue)
        broker.terminate()
        broker.start()

        consumers = [self.connect(broker) for _ in range(THREADS)]
        publisher = self.connect(broker)
        for queue in every:  # from far, and nothing moves for that
            self.publish(publisher, queue, OLD, OLD + NEW // 2)
        self.assertEqual([], self.moves(broker))
        homes = set()
        for consumer, some in zip(consumers, queues):
            before = len(self.moves(broker))
            got = self.take(consumer, THREADS * (OLD + NEW // 2), some)
            for queue in some:
                self.assertEqual([(number, number < OUT) for number in range(OLD + NEW // 2)],
                                 [(number, redelivered) for number, redelivered, _ in got[queue]])
            # One of them lived there already.
            until(lambda: len(self.moves(broker)) >= before + THREADS - 1, f"the moves of {some}")
            moved = self.moves(broker)[before:]
            self.assertEqual(THREADS - 1, len(moved), moved)
            self.assertLess({queue for queue, _ in moved}, set(some))
            self.assertEqual(1, len({home for _, home in moved}), moved)
            homes.add(moved[0][1])
            # Half of what was delivered is acknowledged: this shard says so to the journal from now on.
            for queue in some:
                for number, _, tag in got[queue]:
                    if number % 2 == 0:
                        consumer.basic_ack(tag)
        self.assertEqual(THREADS, len(homes))
        for queue in every:
            self.publish(publisher, queue, OLD + NEW // 2, OLD + NEW)
        for consumer, some in zip(consumers, queues):
            consumer.queue_declare(some[0], passive=True)  # behind its acknowledgements
        publisher.basic_publish("", every[0], b"9999", PERSISTENT)  # and behind it the disk has them
        broker.terminate(signal.SIGKILL)
        broker.start()

        channel = self.connect(broker)
        left = [number for number in range(OLD + NEW // 2) if number % 2 == 1] + list(range(OLD + NEW // 2, OLD + NEW))
        for queue in every:
            got = self.take(channel, len(left) + (queue == every[0]), [queue])[queue]
            self.assertEqual(left + ([9999] if queue == every[0] else []), [number for number, _, _ in got])

    def test_a_second_consumer_does_not_move_it(self):
        broker = self.start()
        queues = [f"once{place}" for place in range(THREADS)]
        declarer = self.connect(broker)
        for queue in queues:
            declarer.queue_declare(queue, durable=True)
        broker.terminate()
        broker.start()
        first, second, publisher = (self.connect(broker) for _ in range(3))
        for queue in queues:
            first.basic_cancel(first.basic_consume(queue, lambda *_: None))
            self.publish(publisher, queue, 0, 10)
        self.take(second, 10 * THREADS, queues)
        broker.terminate()
        self.assertEqual(THREADS - 1, len(self.moves(broker)))

    def test_what_is_in_the_spill_file_stays_where_it_is(self):
        for properties, moves in ((None, 0), (PERSISTENT, 1)):
            with self.subTest(properties=properties):
                broker = self.start(CONFIG + 'backlog_memory = "64KiB"\n', threads=2)
                consumer, declarer = self.connect(broker), self.connect(broker)
                declarer.queue_declare("deep", durable=True)
                self.publish(declarer, "deep", 0, 300, properties, 1024)
                got = self.take(consumer, 300, ["deep"])["deep"]
                self.assertEqual(list(range(300)), [number for number, _, _ in got])
                broker.terminate()
                self.assertEqual(moves, len(self.moves(broker)))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
