#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients see when the broker stops, is killed, and comes back.  server_stop.py BROKER"""
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, name, until
from started_broker import StartedBroker

pika = client("pika")
PROGRAM = ""


class ServerStop(unittest.TestCase):
    def setUp(self):
        self.broker = StartedBroker(PROGRAM)
        self.addCleanup(self.broker.stop)

    def connect(self):
        return pika.BlockingConnection(pika.URLParameters(self.broker.url))

    def test_every_connection_is_closed_with_320(self):
        connection = self.connect()
        got = []
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_consume(queue, lambda *delivery: got.append(delivery))
        self.assertEqual(0, self.broker.terminate())
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            until(lambda: connection.process_data_events(0.1), "the connection ends")
        self.assertEqual((320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"), caught.exception.args)

    def test_a_stop_as_soon_as_it_can_be_reached_is_a_stop(self):
        for _ in range(30):
            self.assertEqual(0, self.broker.terminate())
            self.broker.start()

    def trilby(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)

    def durable_queue_with(self, channel, count):
        queue = name()
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        for number in range(count):
            channel.basic_publish("", queue, str(number), pika.BasicProperties(delivery_mode=2, headers={"n": number}))
        return queue

    def contents(self, queue):
        channel = self.connect().channel()
        taken = []
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return taken
            self.assertEqual({"n": int(body)}, properties.headers)
            taken.append((int(body), method.redelivered))

    def test_confirmed_messages_survive_a_stop(self):
        queue = self.durable_queue_with(self.connect().channel(), 200)
        self.broker.terminate()
        self.broker.start()
        self.assertEqual([(number, False) for number in range(200)], self.contents(queue))

    def test_what_is_consumed_at_once_is_confirmed_and_not_written(self):
        publisher, taken = self.connect().channel(), []
        queue = self.durable_queue_with(publisher, 0)
        consumer = self.connect()
        channel = consumer.channel()
        tag = channel.basic_consume(queue, lambda channel, method, properties, body: taken.append(body), auto_ack=True)
        publish = lambda body: publisher.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))
        for _ in range(3):
            publish(b"taken at once")
        until(lambda: consumer.process_data_events(0.1) or len(taken) == 3, "the consumer has them")
        channel.basic_cancel(tag)
        publish(b"taken by nobody")
        self.broker.terminate(signal.SIGKILL)
        segments = b"".join(path.read_bytes() for path in (self.broker.directory / "data" / "journal").glob("*.seg"))
        self.assertEqual((0, 1), (segments.count(b"taken at once"), segments.count(b"taken by nobody")))

    def test_two_publishers_keep_their_common_order(self):
        """Each on a shard of its own, in turns: the queue's order is neither's alone."""
        self.broker.stop()
        self.broker = StartedBroker(PROGRAM, config="threads = 2\nconnections_together = 1\n")
        self.addCleanup(self.broker.stop)
        channels = [self.connect().channel() for _ in range(2)]
        queue = self.durable_queue_with(channels[0], 0)
        channels[1].confirm_delivery()
        for number in range(100):
            channels[number % 2].basic_publish("", queue, str(number), pika.BasicProperties(delivery_mode=2, headers={"n": number}))
        self.broker.terminate(signal.SIGKILL)
        self.broker.start()
        self.assertEqual([(number, False) for number in range(100)], self.contents(queue))

    def test_confirmed_messages_survive_a_kill(self):
        channel = self.connect().channel()
        queue = self.durable_queue_with(channel, 200)
        for _ in range(50):
            method, _, _ = channel.basic_get(queue)
            channel.basic_ack(method.delivery_tag)
        channel.queue_declare(queue, passive=True)
        self.broker.terminate(signal.SIGKILL)
        self.broker.start()
        numbers = [number for number, _ in self.contents(queue)]
        # An ack is not confirmed, so some acknowledged messages may be back; nothing else may be lost or moved.
        self.assertEqual(list(range(numbers[0], 200)), numbers)
        self.assertLessEqual(numbers[0], 50)

    def test_damage_costs_what_is_damaged_and_is_named(self):
        queue = self.durable_queue_with(self.connect().channel(), 200)
        self.assertEqual(0, self.broker.terminate())
        data = self.broker.directory / "data"
        segment = min((data / "journal").glob("*.seg"))
        octets = bytearray(segment.read_bytes())
        octets[octets.index(b"\x01nI", 8192)] ^= 1  # the name of a header, in some message
        segment.write_bytes(octets)

        check = self.trilby("journal", "check", "--data-dir", str(data))
        self.assertEqual(1, check.returncode)
        self.assertRegex(check.stdout, rf"damaged: {segment.name}: \d+ octets at \d+ are damaged")
        dump = self.trilby("journal", "dump", "--data-dir", str(data))
        self.assertEqual((1, 199), (dump.returncode, len(dump.stdout.splitlines())))
        strict = self.trilby("serve", "--strict", "--data-dir", str(data), "--listen", "127.0.0.1:0")
        self.assertEqual(1, strict.returncode)
        self.assertIn("the journal is damaged, and --strict asks not to start then", strict.stderr)

        self.broker.start()
        until(lambda: segment.name in self.broker.log_tail(), "its name in the log")
        numbers = [number for number, _ in self.contents(queue)]
        self.assertEqual(199, len(numbers))
        self.assertEqual(sorted(numbers), numbers)

    def test_what_is_not_durable_is_gone(self):
        channel = self.connect().channel()
        durable, fleeting, exchange = name(), name(), name("x")
        channel.queue_declare(durable, durable=True)
        channel.queue_declare(fleeting)
        channel.exchange_declare(exchange, "topic", durable=True)
        channel.queue_bind(durable, exchange, "kept.#")
        channel.confirm_delivery()
        channel.basic_publish("", durable, b"transient")
        self.broker.terminate()
        self.broker.start()
        channel = self.connect().channel()
        self.assertEqual(0, channel.queue_declare(durable, passive=True).method.message_count)
        channel.confirm_delivery()
        channel.basic_publish(exchange, "kept.binding", b"x", mandatory=True)
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            channel.queue_declare(fleeting, passive=True)
        self.assertEqual(404, caught.exception.reply_code)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
