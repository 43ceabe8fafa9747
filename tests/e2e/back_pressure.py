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


class BackPressure(unittest.TestCase):
    def test_a_publisher_is_blocked_while_memory_is_low_and_a_consumer_frees_it(self):
        with StartedBroker(PROGRAM, config=CONFIG) as broker:
            queue = name()
            reasons, unblocked, published = [], threading.Event(), 0
            stop = threading.Event()

            def publish():
                nonlocal published
                connection = pika.BlockingConnection(pika.URLParameters(broker.url))
                connection.add_on_connection_blocked_callback(lambda _, frame: reasons.append(frame.method.reason))
                connection.add_on_connection_unblocked_callback(lambda _, frame: unblocked.set())
                channel = connection.channel()
                channel.queue_declare(queue)
                while not stop.is_set():
                    if reasons and not unblocked.is_set():
                        connection.process_data_events(0.1)
                        continue
                    channel.basic_publish("", queue, b"x" * 100000)
                    published += 1
                    connection.process_data_events(0)
                connection.close()
            publisher = threading.Thread(target=publish, daemon=True)
            publisher.start()
            until(lambda: reasons, "connection.blocked")
            self.assertEqual("low on memory", reasons[0])

            consumer = pika.BlockingConnection(pika.URLParameters(broker.url))
            channel = consumer.channel()
            got = 0

            def on_message(channel, method, properties, body):
                nonlocal got
                got += 1
            channel.basic_consume(queue, on_message, auto_ack=True)
            until(lambda: consumer.process_data_events(0.05) or unblocked.is_set(), "connection.unblocked")
            stop.set()
            until(lambda: consumer.process_data_events(0.05) or not publisher.is_alive(), "the publisher ends")
            until(lambda: consumer.process_data_events(0.05) or got == published, "every message has come")
            consumer.close()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
