#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Messages of a stopped broker, and of a running one, get into another with everything that they were.  rescue.py BROKER"""
import datetime
import decimal
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client
from started_broker import StartedBroker

pika = client("pika")
PROGRAM = ""

HEADERS = {
    "truth": True, "small": 7, "large": 2**40, "negative": -1, "price": decimal.Decimal("12.50"), "nothing": None,
    "when": datetime.datetime(2026, 2, 3, 4, 5, 6), "text": "caf\u00e9\n\x1b[1m", "octets": b"\x00\xff",
    "table": {"list": [1, "two", None, {"deep": decimal.Decimal("0.001")}], "empty": {}}, "none in it": [],
}
EVERYTHING = pika.BasicProperties(
    content_type="text/plain", content_encoding="gzip", headers=HEADERS, delivery_mode=2, priority=3, correlation_id="c-1",
    reply_to="somewhere", expiration="3600000", message_id="m-1", timestamp=1770000000, type="odd", user_id="guest", app_id="rescue",
    cluster_id="cluster")
PLAIN = pika.BasicProperties(delivery_mode=2)
EMPTY_TABLE = pika.BasicProperties(delivery_mode=2, headers={})
ODD = [
    ("every property", EVERYTHING, b'{"a":1}'),
    ("spaces in JSON", PLAIN, b'{ "a" : 1.0, "a": 2 }\n'),
    ("text", PLAIN, "caf\u00e9\n\norg.example.forged\n".encode()),
    ("octets", PLAIN, bytes(range(256))),
    ("", EMPTY_TABLE, b""),
    ("key.\u00fc", PLAIN, b"null"),
    ("large", PLAIN, b"x" * 300_000),
]


def trilby(*arguments, **more):
    return subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **more)


class Rescue(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = pathlib.Path(directory.name) / "messages.jsonl"

    def broker(self):
        """A broker with two queues that get what is published to an exchange, and a channel to it."""
        broker = StartedBroker(PROGRAM)
        self.addCleanup(broker.stop)
        connection = pika.BlockingConnection(pika.URLParameters(broker.url))
        self.addCleanup(lambda: connection.is_open and connection.close())
        channel = connection.channel()
        channel.exchange_declare("odd", "fanout", durable=True)
        for queue in ("first", "second"):
            channel.queue_declare(queue, durable=True)
            channel.queue_bind(queue, "odd")
        channel.confirm_delivery()
        return broker, channel

    def contents(self, channel, queue):
        found = []
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return found
            found.append((method.exchange, method.routing_key, vars(properties), body))

    def expected(self):
        return [("odd", key, vars(properties), body) for key, properties, body in ODD]

    def publish_all(self, channel):
        for key, properties, body in ODD:
            channel.basic_publish("odd", key, body, properties)

    def stopped_with(self, prepare):
        """What `journal dump` says of a broker that was stopped after `prepare(channel)`."""
        broker, channel = self.broker()
        prepare(channel)
        channel.connection.close()
        self.assertEqual(0, broker.terminate())
        dump = trilby("journal", "dump", "--data-dir", str(broker.directory / "data"))
        self.assertEqual((0, ""), (dump.returncode, dump.stderr))
        self.file.write_text(dump.stdout)
        return [json.loads(line) for line in dump.stdout.splitlines()]

    def test_a_dump_is_replayed_octet_for_octet(self):
        lines = self.stopped_with(self.publish_all)
        self.assertEqual(len(ODD), len(lines))
        for line in lines:
            self.assertEqual("/", line["vhost"])
            self.assertEqual(["first", "second"], sorted(holder["queue"] for holder in line["queues"]))
        broker, channel = self.broker()
        done = trilby("replay", "--url", broker.url, str(self.file))
        self.assertEqual(0, done.returncode, done.stderr)
        for queue in ("first", "second"):
            self.assertEqual(self.expected(), self.contents(channel, queue))

    def test_messages_go_back_to_the_queues_that_held_them(self):
        def one_queue_has_read(channel):
            self.publish_all(channel)
            self.assertEqual(len(ODD), len(self.contents(channel, "second")))

        self.stopped_with(one_queue_has_read)
        broker, channel = self.broker()
        done = trilby("replay", "--to-queues", "--url", broker.url, str(self.file))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual([found[2:] for found in self.expected()], [found[2:] for found in self.contents(channel, "first")])
        self.assertEqual([], self.contents(channel, "second"))

    def test_subscribe_writes_what_journal_dump_writes(self):
        dumped = self.stopped_with(self.publish_all)
        broker, channel = self.broker()
        self.publish_all(channel)
        subscribed = trilby("subscribe", "--json", "--url", broker.url, "--queue", "first", "--count", str(len(ODD)))
        self.assertEqual(0, subscribed.returncode, subscribed.stderr)
        lines = [json.loads(line) for line in subscribed.stdout.splitlines()]
        for line in dumped:
            del line["vhost"], line["queues"]
        for line in lines:
            self.assertIs(False, line.pop("redelivered"))
        self.assertEqual(dumped, lines)
        self.contents(channel, "second")
        self.file.write_text(subscribed.stdout)
        done = trilby("replay", "--url", broker.url, str(self.file))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(self.expected(), self.contents(channel, "second"))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
