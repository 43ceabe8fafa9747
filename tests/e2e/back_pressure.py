#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A publisher that is faster than memory allows is told, held, and let go again.  back_pressure.py BROKER"""
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, name, until
from started_broker import StartedBroker

pika = client("pika")
PROGRAM = ""
CONFIG = 'memory_watermark = "64MiB"\n'


class Publisher(threading.Thread):
    """Publishes in a loop of its own, ten messages ahead of their confirms, so that it hears the broker while it is held."""

    def __init__(self, url, queue):
        super().__init__(daemon=True)
        self.queue = queue
        self.blocked, self.unblocked, self.stopping = threading.Event(), threading.Event(), False
        self.reason = None
        self.published, self.unconfirmed = 0, set()
        self.connection = pika.SelectConnection(pika.URLParameters(url), on_open_callback=self.opened)

    def run(self):
        self.connection.ioloop.start()

    def opened(self, connection):
        connection.add_on_connection_blocked_callback(self.hear_blocked)
        connection.add_on_connection_unblocked_callback(lambda *_: self.unblocked.set())
        connection.add_on_close_callback(lambda *_: connection.ioloop.stop())
        connection.channel(on_open_callback=self.channel_opened)

    def hear_blocked(self, _, frame):
        self.reason = frame.method.reason
        self.blocked.set()

    def channel_opened(self, channel):
        self.channel = channel
        channel.confirm_delivery(self.hear_confirm, callback=lambda _: self.publish())

    def hear_confirm(self, frame):
        tag = frame.method.delivery_tag
        self.unconfirmed -= {one for one in self.unconfirmed if one == tag or (frame.method.multiple and one < tag)}
        if not self.stopping:
            self.publish()
        elif not self.unconfirmed:
            self.connection.close()

    def publish(self):
        while len(self.unconfirmed) < 10:
            self.channel.basic_publish("", self.queue, b"x" * 100000)
            self.published += 1
            self.unconfirmed.add(self.published)


class BackPressure(unittest.TestCase):
    def test_a_publisher_is_blocked_while_memory_is_low_and_a_consumer_frees_it(self):
        with StartedBroker(PROGRAM, config=CONFIG) as broker:
            consumer = pika.BlockingConnection(pika.URLParameters(broker.url))
            channel = consumer.channel()
            queue = channel.queue_declare(name()).method.queue
            publisher = Publisher(broker.url, queue)
            publisher.start()
            until(publisher.blocked.is_set, "connection.blocked")
            self.assertEqual("low on memory", publisher.reason)

            got = 0

            def on_message(channel, method, properties, body):
                nonlocal got
                got += 1
            channel.basic_consume(queue, on_message, auto_ack=True)
            until(lambda: consumer.process_data_events(0.05) or publisher.unblocked.is_set(), "connection.unblocked")
            publisher.stopping = True
            until(lambda: consumer.process_data_events(0.05) or not publisher.is_alive(), "the publisher ends")
            until(lambda: consumer.process_data_events(0.05) or got == publisher.published, "every message has come")
            consumer.close()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
