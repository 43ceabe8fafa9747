#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Queues that hold more than memory should: what they cost, and that nothing else is different about them.

  backlog.py BROKER LOAD_TOOL [TEST…]

The environment variables BACKLOG_MESSAGES and BACKLOG_SIZE are how many messages the tests of class Large queue (1000000),
and how large they are (100). Ten million of 1 KiB take some minutes and 24 GB on the disk:

  BACKLOG_MESSAGES=10000000 BACKLOG_SIZE=1024 backlog.py build/trilby build/trilby-perf Large.test_memory
"""
import os
import random
import signal
import subprocess
import time

from backlog_case import (COUNT, PERSISTENT, SIZE, Case, ack, body, both_kinds, connect, gets, labels, listen, main,
                          number_of, numbers, ready, resident, take, pika)
from broker_url import name, until

LARGE = int(os.environ.get("BACKLOG_MESSAGES", 1_000_000))
FEWER, LARGER = 16_000, 4096  # for tests that take every message by themselves, which is slow
DEPTHS = (0, 3000, 4100, 11_000)  # places in such a queue on both sides of any border


class Large(Case):
    """Many small messages, in number what BACKLOG_MESSAGES says."""

    WHAT = {"size": int(os.environ.get("BACKLOG_SIZE", 100)), "messages": LARGE}

    @both_kinds
    def test_a_publisher_that_waits_for_nothing(self, durable):
        """It is faster than the disk, and what the disk has not taken yet may not pile up in memory."""
        broker = self.start()
        idle = resident(broker)
        what = {"size": 1024, "messages": 400_000}
        self.load(broker, "--only", "producers", "--queue", "deep", "--confirm", str(what["messages"]),
                  *(["--persistent"] if durable else []), **what)
        self.assertEqual(what["messages"], ready(broker, "deep"))
        self.assert_resident(broker, idle, what["messages"])
        self.drain(broker, "deep", **what)

    @both_kinds
    def test_memory(self, durable):
        broker = self.start()
        idle = resident(broker)
        self.fill(broker, "deep", durable, **self.WHAT)
        self.assertEqual(LARGE, ready(broker, "deep"))
        within = []
        try:
            self.assert_resident(broker, idle, LARGE)
        except AssertionError as error:
            within.append(error)
        self.drain(broker, "deep", **self.WHAT)  # a queue that takes too much memory has to be complete all the same
        if within:
            raise within[0]

    @both_kinds
    def test_drain_speed(self, durable):
        """At least half as fast as the same messages pass an empty queue. Neighbours may spoil an attempt, so there are three."""
        broker = self.start()
        best = 0
        for attempt in range(3):
            self.fill(broker, "deep", durable, **self.WHAT)
            drained = self.drain(broker, "deep", **self.WHAT)
            passed = self.load(broker, "--confirm", "10000", "--ack", "100", "--prefetch", "1000",
                               *(["--persistent"] if durable else []), **self.WHAT)
            best = max(best, passed["seconds"] / drained["seconds"])
            print(f"  a drain {drained['delivered_per_second']:.0f} a second, {drained['broker']['cpu_us_per_delivery']:.2f} us of "
                  f"the broker each; through an empty queue {passed['delivered_per_second']:.0f} and "
                  f"{passed['broker']['cpu_us_per_message']:.2f} us", flush=True)
            if best >= 0.5:
                return
        self.fail(f"a drain is only {best:.2f} times as fast as an empty queue")

    def test_killed_and_started_again(self):
        broker = self.start()
        idle = resident(broker)
        self.fill(broker, "deep", True, **self.WHAT)
        broker.terminate(signal.SIGKILL)
        begin = time.monotonic()
        broker.start()
        took = time.monotonic() - begin
        print(f"  started in {took:.2f} s", flush=True)
        self.assertLess(took, 5 + LARGE / 200_000)
        self.assertEqual(LARGE, ready(broker, "deep"))
        try:
            self.assert_resident(broker, idle, LARGE)
        finally:
            self.drain(broker, "deep", **self.WHAT)


class Order(Case):
    """What comes when, and marked how, wherever in a backlog it is."""

    def walk(self, durable, depths=DEPTHS):
        """A full queue, whose first message is moved on to each depth in turn: (broker, channel, queue)."""
        broker = self.start()
        queue = name()
        self.fill(broker, queue, durable, size=LARGER, messages=FEWER)
        with connect(broker) as connection:
            channel = connection.channel()
            self.at = 0  # the first message that is in the queue; the test's body moves it on
            for depth in depths:
                if self.at < depth:
                    passed = take(channel, queue, depth - self.at)
                    self.assertEqual(numbers(self.at, depth), labels(passed))
                    ack(channel, passed)
                    self.at = depth
                yield broker, channel, queue
                self.assertEqual(FEWER - self.at, ready(broker, queue))
        self.drain(broker, queue, taken=self.at, size=LARGER, messages=FEWER)
        broker.terminate()

    @both_kinds
    def test_get_with_and_without_acknowledgement(self, durable):
        for _, channel, queue in self.walk(durable, range(0, FEWER, 1000)):
            first = self.at
            got = gets(channel, queue, 20, auto_ack=True)
            self.assertEqual([FEWER - first - passed for passed in range(1, 21)], [method.message_count for method, *_ in got])
            held = gets(channel, queue, 20)
            self.assertEqual(numbers(first, first + 40), labels(got + held))
            ack(channel, held[:5])
            for method, *_ in reversed(held[5:]):
                channel.basic_reject(method.delivery_tag, requeue=True)
            again = gets(channel, queue, 20)
            self.assertEqual(numbers(first + 25, first + 40, True) + numbers(first + 40, first + 45), labels(again))
            ack(channel, again)
            self.at = first + 45

    @both_kinds
    def test_what_is_requeued_returns_to_its_place(self, durable):
        for _, channel, queue in self.walk(durable):
            first = self.at
            held = take(channel, queue, 10)
            self.assertEqual(numbers(first, first + 10), labels(held))
            tags = [method.delivery_tag for method, *_ in held]
            for kept in (0, 3, 4):
                channel.basic_ack(tags[kept])
            for back in (9, 1, 5):
                channel.basic_nack(tags[back], requeue=True)
            channel.basic_nack(tags[7], requeue=False)
            got = gets(channel, queue, 4)
            self.assertEqual([(first + 1, True), (first + 5, True), (first + 9, True), (first + 10, False)], labels(got))
            channel.basic_nack(got[-1][0].delivery_tag, multiple=True, requeue=True)  # with 2, 6 and 8
            got = gets(channel, queue, 8)
            self.assertEqual([(first + ahead, ahead <= 10) for ahead in (1, 2, 5, 6, 8, 9, 10, 11)], labels(got))
            channel.basic_recover(requeue=True)
            got = take(channel, queue, 9)
            self.assertEqual([(first + ahead, ahead <= 11) for ahead in (1, 2, 5, 6, 8, 9, 10, 11, 12)], labels(got))
            ack(channel, got)
            self.at = first + 13

    @both_kinds
    def test_a_consumer_that_requeues_as_it_goes(self, durable):
        for _, channel, queue in self.walk(durable):
            first, end = self.at, self.at + 900
            fresh, again, acked, held = [], [], [], []

            def on_message(consuming, method, _, octets):
                number = number_of(octets)
                if number >= end:
                    held.append(number)  # and no more than the prefetch allows
                    return
                (again if method.redelivered else fresh).append(number)
                if number % 3 == 0 and not method.redelivered:
                    consuming.basic_nack(method.delivery_tag, requeue=True)
                else:
                    acked.append(number)
                    consuming.basic_ack(method.delivery_tag)

            consuming = channel.connection.channel()
            consuming.basic_qos(prefetch_count=10)
            consuming.basic_consume(queue, on_message)
            listen(channel, lambda: len(held) == 10, "the consumer comes to the end")
            consuming.close()
            self.assertEqual(list(range(first, end)), fresh)
            self.assertEqual([number for number in range(first, end) if number % 3 == 0], again)
            self.assertEqual(list(range(first, end)), sorted(acked))
            got = gets(channel, queue, 11)
            self.assertEqual(numbers(end, end + 10, True) + numbers(end + 10, end + 11), labels(got))
            ack(channel, got)
            self.at = end + 11

    @both_kinds
    def test_a_closed_channel_gives_back(self, durable):
        for broker, channel, queue in self.walk(durable):
            first = self.at
            other = channel.connection.channel()
            held = take(other, queue, 600)
            self.assertEqual(numbers(first, first + 600), labels(held))
            ack(other, held[:200])
            self.assertEqual(FEWER - first - 600, ready(broker, queue))
            other.close()
            self.assertEqual(FEWER - first - 200, ready(broker, queue))
            got = take(channel, queue, 600)
            self.assertEqual(numbers(first + 200, first + 600, True) + numbers(first + 600, first + 800), labels(got))
            ack(channel, got)
            self.at = first + 800

    def test_persistent_and_transient_messages_in_one_queue(self):
        broker = self.start()
        count = 12_000
        persistent = [random.Random(number).random() < 0.5 for number in range(count)]
        with connect(broker) as connection:
            channel = connection.channel()
            for queue in ("stays", "restarts"):
                channel.queue_declare(queue, durable=True)
                channel.queue_bind(queue, "amq.fanout")
            channel.tx_select()
            for number in range(count):
                channel.basic_publish("amq.fanout", "", body(number, LARGER), pika.BasicProperties(delivery_mode=1 + persistent[number]))
                if number % 1000 == 999:
                    channel.tx_commit()
        self.assertEqual([count, count], [ready(broker, queue) for queue in ("stays", "restarts")])
        self.drain(broker, "stays", size=LARGER, messages=count)
        broker.terminate(signal.SIGKILL)
        broker.start()
        with connect(broker) as connection:
            kept = [(number, False) for number in range(count) if persistent[number]]
            self.assertEqual(kept, labels(take(connection.channel(), "restarts", len(kept))))
        self.assertEqual(len(kept), ready(broker, "restarts"))


class Contents(Case):
    SIZES = (0, 100, 5 << 10, 70 << 10, 300 << 10, 2 << 20)

    def message(self, number, durable):
        octets = random.Random(number).randbytes(self.SIZES[number % len(self.SIZES)])
        headers = {"number": number, "text": "x" * (number * 37 % 3000), "table": {"deep": [1, "two", None, True, {"five": -5}]},
                   "octets": bytes(range(256))}
        return octets, pika.BasicProperties(
            content_type="text/plain", content_encoding="identity", headers=headers, delivery_mode=2 if durable else 1,
            priority=number % 10, correlation_id=str(number), reply_to="somebody", message_id=f"id-{number}",
            timestamp=1_700_000_000 + number, type="kind", user_id="guest", app_id="backlog")

    @both_kinds
    def test_bodies_and_properties_of_all_sizes(self, durable):
        broker = self.start()
        count = 16 * len(self.SIZES)
        with connect(broker) as connection:
            channel = connection.channel()
            channel.queue_declare("mixed", durable=durable)
            for number in range(count):
                octets, properties = self.message(number, durable)
                channel.basic_publish("", "mixed", octets, properties)
        self.assertEqual(count, ready(broker, "mixed"))
        with connect(broker) as connection:
            channel = connection.channel()
            for first in range(0, count, 12):
                self.compare(gets(channel, "mixed", 12), first, durable, False)
                channel.basic_recover(requeue=True)
                got = take(channel, "mixed", 12)
                self.compare(got, first, durable, True)
                ack(channel, got)
        self.assertEqual(0, ready(broker, "mixed"))
        broker.terminate()

    def compare(self, got, first, durable, redelivered):
        for number, (method, properties, octets) in enumerate(got, first):
            expected, all_properties = self.message(number, durable)
            self.assertTrue(octets == expected, f"the body of message {number}, {len(expected)} octets, came as {len(octets)}")
            self.assertEqual(all_properties, properties)
            self.assertEqual((redelivered, "", "mixed"), (method.redelivered, method.exchange, method.routing_key))


class Sharing(Case):
    def test_one_message_in_three_queues(self):
        broker = self.start()
        count = 25_000
        fanout = ("--exchange", "fan", "--exchange-type", "fanout")
        with connect(broker) as connection:
            channel = connection.channel()
            channel.exchange_declare("fan", "fanout", durable=True)
            for queue, durable in (("one", True), ("two", True), ("fleeting", False)):
                channel.queue_declare(queue, durable=durable)
                channel.queue_bind(queue, "fan")
            self.fill(broker, "one", True, *fanout, messages=count)
            self.assertEqual([count] * 3, [ready(broker, queue) for queue in ("one", "two", "fleeting")])
            self.drain(broker, "one", messages=count)
            got = take(channel, "two", 10_000)
            self.assertEqual(numbers(0, 10_000), labels(got))
            ack(channel, got)
            self.drain(broker, "fleeting", messages=count)
            self.drain(broker, "two", messages=count, taken=10_000)

            # Again, and this time one of the queues goes and another is emptied before the third is read.
            self.fill(broker, "one", True, *fanout, messages=count)
            self.assertEqual(count, channel.queue_delete("one").method.message_count)
            self.assertEqual(count, channel.queue_purge("fleeting").method.message_count)
        broker.terminate(signal.SIGKILL)
        broker.start()
        self.drain(broker, "two", messages=count)

    @both_kinds
    def test_consumers_on_several_connections(self, durable):
        """Each connection on a shard of its own, so that the queue is far from some of them."""
        broker = self.start(config="threads = 2\nconnections_together = 1\n")
        self.fill(broker, "shared", durable)
        one, two = connect(broker), connect(broker)
        held = [labels(take(connection.channel(), "shared", 1000)) for connection in (one, two)]
        self.assertEqual(numbers(0, 2000), held[0] + held[1])
        for connection, first in ((two, 1000), (one, 0)):
            connection.close()
            with connect(broker) as third:
                self.assertEqual(numbers(first, first + 1000, True), labels(take(third.channel(), "shared", 1000)))
        self.assertEqual(COUNT, ready(broker, "shared"))
        self.load(broker, "--only", "consumers", "--queue", "shared", "--consumers", "2", "--ack", "10", "--prefetch", "100")
        self.assertEqual(0, ready(broker, "shared"))
        broker.terminate()

    @both_kinds
    def test_publishing_goes_on_while_the_queue_is_at_the_border(self, durable):
        broker = self.start()
        chance = random.Random(7)
        end = 3800
        self.fill(broker, "hovers", durable, size=LARGER, messages=end)
        taken = 0
        with connect(broker) as connection:
            publishing, consuming = connection.channel(), connection.channel()
            while end < 12_000:
                for _ in range(chance.randrange(1000)):
                    publishing.basic_publish("", "hovers", body(end, LARGER), PERSISTENT if durable else None)
                    end += 1
                # What was published on this connection is in the queue before what it asks for next.
                publishing.queue_declare("hovers", passive=True)
                got = take(consuming, "hovers", chance.randrange(1, min(1000, end - taken)))
                self.assertEqual(numbers(taken, taken + len(got)), labels(got))
                ack(consuming, got)
                taken += len(got)
        self.drain(broker, "hovers", size=LARGER, messages=end, taken=taken)
        broker.terminate()

    @both_kinds
    def test_publishing_and_consuming_at_full_speed(self, durable):
        broker = self.start()
        count = 150_000
        with connect(broker) as connection:
            connection.channel().queue_declare("flows", durable=durable)
        publisher = subprocess.Popen([self.load_tool, "--url", broker.url, "--only", "producers", "--queue", "flows", "--size", str(SIZE),
                                      "--messages", str(count), "--confirm", "1000", *(["--persistent"] if durable else [])],
                                     stdout=subprocess.DEVNULL)
        try:
            until(lambda: ready(broker, "flows") > 15_000, "a backlog begins")
            self.load(broker, "--only", "consumers", "--queue", "flows", "--ack", "1", "--prefetch", "20", messages=count)
            self.assertEqual(0, publisher.wait(60))
        finally:
            publisher.kill()
            publisher.wait()
        self.assertEqual(0, ready(broker, "flows"))
        broker.terminate()


class Restart(Case):
    def written(self, broker):
        """Waits until the journal has what was acknowledged."""
        with connect(broker) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare("other", durable=True)
            # The first confirm's round may have looked at the acknowledgements too early; the second one's has them.
            for _ in range(2):
                channel.basic_publish("", "other", b"x", PERSISTENT)

    def restarted(self, how):
        """A broker that was ended with a backlog and started again: first all of it, then with some taken and some out."""
        broker = self.start()
        idle = resident(broker)
        self.fill(broker, "deep", True)
        self.again(broker, how, idle)
        self.assertEqual(COUNT, ready(broker, "deep"))
        channel = connect(broker).channel()
        got = take(channel, "deep", 20_000)
        self.assertEqual(numbers(0, 20_000), labels(got))
        ack(channel, got[:19_000])
        self.written(broker)
        self.again(broker, how, idle)
        self.assertEqual(COUNT - 19_000, ready(broker, "deep"))
        with connect(broker) as connection:
            channel = connection.channel()
            got = take(channel, "deep", 2000)
            self.assertEqual(numbers(19_000, 20_000, True) + numbers(20_000, 21_000), labels(got))
            ack(channel, got)
        self.drain(broker, "deep", taken=21_000)
        self.written(broker)
        self.again(broker, how, idle, left=0)
        self.assertEqual(0, ready(broker, "deep"))

    def again(self, broker, how, idle, left=COUNT):
        broker.terminate(how)
        begin = time.monotonic()
        broker.start()
        took = time.monotonic() - begin
        print(f"  started in {took:.2f} s", flush=True)
        self.assertLess(took, 5)
        with self.subTest("memory"):
            self.assert_resident(broker, idle, left)

    def test_stopped(self):
        self.restarted(signal.SIGTERM)

    def test_killed(self):
        self.restarted(signal.SIGKILL)


if __name__ == "__main__":
    main()
