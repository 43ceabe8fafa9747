#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A publisher that is faster than memory allows is told, held, and let go again.  back_pressure.py BROKER"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, name, until
from started_broker import StartedBroker

pika = client("pika")
from held_publisher import Publisher
PROGRAM = ""
CONFIG = 'memory_watermark = "64MiB"\nbacklog_memory = "1GiB"\n'


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
