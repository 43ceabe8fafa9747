#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fedora's own topology and messages: what RabbitMQ put into each queue is what this broker puts there.

  fedora_topology.py BROKER

The corpus stands beside the checkout, in ../shared/corpus; without it there is nothing to test.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from broker_url import SKIP, client, until
from started_broker import StartedBroker

pika = client("pika")
CORPUS = ROOT.parent / "shared/corpus"
PROGRAM = ""


def definitions():
    """The topology, and a user who may do everything in /pubsub: the corpus has users without passwords only."""
    merged = json.loads((CORPUS / "definitions.json").read_text())
    salt = b"salt"
    digest = base64.b64encode(salt + hashlib.sha256(salt + b"tester").digest()).decode()
    merged["users"].append({"name": "tester", "password_hash": digest, "hashing_algorithm": "rabbit_password_hashing_sha256",
                            "tags": ["administrator"], "limits": {}})
    merged["permissions"].append({"user": "tester", "vhost": "/pubsub", "configure": ".*", "write": ".*", "read": ".*"})
    return json.dumps(merged)


class Topology(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.messages = [json.loads(line) for line in (CORPUS / "messages.jsonl").read_text().splitlines()]
        cls.expected = json.loads((CORPUS / "expected_queue_counts.json").read_text())["queue_counts"]

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / "definitions.json"
        path.write_text(definitions())
        self.broker = StartedBroker(PROGRAM, definitions=path)
        self.addCleanup(self.broker.stop)
        self.url = "amqp://tester:tester@%s:%d/%%2Fpubsub" % self.broker.address

    def connect(self):
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        self.addCleanup(lambda: connection.is_open and connection.close())
        return connection

    def counts(self):
        channel = self.connect().channel()
        return {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in self.expected}

    def trilby(self, *arguments, **options):
        return subprocess.Popen([PROGRAM, *arguments, "--url", self.url], text=True, **options)

    def test_each_queue_gets_what_rabbitmq_gave_it(self):
        channel = self.connect().channel()
        channel.confirm_delivery()
        for message in self.messages:
            properties = pika.BasicProperties(content_type="application/json", content_encoding="utf-8", delivery_mode=2,
                                              message_id=message["id"], headers=message["headers"])
            channel.basic_publish("amq.topic", message["topic"], json.dumps(message["body"]), properties)
        self.assertEqual(self.expected, self.counts())

    def test_the_queues_keep_it_over_a_restart(self):
        with self.trilby("replay", str(CORPUS / "messages.jsonl")) as replay:
            self.assertEqual(0, replay.wait(120))
        self.broker.terminate()
        self.broker.start()
        self.assertEqual(self.expected, self.counts())

    def test_replay_and_subscribe_bring_every_message_through(self):
        subscriber = self.trilby("subscribe", "--json", "--count", str(len(self.messages)), "--queue", "all-of-it", "#",
                                 stdout=subprocess.PIPE)
        channel = self.connect().channel()

        def listening():
            nonlocal channel
            try:
                return channel.queue_declare("all-of-it", passive=True).method.consumer_count == 1
            except pika.exceptions.ChannelClosedByBroker:
                channel = self.connect().channel()
                return False
        until(listening, "trilby subscribe listens")
        with self.trilby("replay", str(CORPUS / "messages.jsonl")) as replay:
            lines = subscriber.stdout.read().splitlines()
            self.assertEqual(0, replay.wait(120))
        self.assertEqual(0, subscriber.wait(30))
        subscriber.stdout.close()
        got = [json.loads(line) for line in lines]
        wanted = [{field: message[field] for field in ("topic", "headers", "body", "id")} for message in self.messages]
        self.assertEqual(wanted, [{field: message[field] for field in ("topic", "headers", "body", "id")} for message in got])
        self.assertEqual(self.expected, self.counts())

    def test_a_consumer_gets_its_messages_as_they_were_published(self):
        with self.trilby("replay", str(CORPUS / "messages.jsonl")) as replay:
            self.assertEqual(0, replay.wait(120))
        channel = self.connect().channel()
        channel.basic_qos(prefetch_count=25)
        got = []
        for method, properties, body in channel.consume("datanommer", inactivity_timeout=10):
            self.assertIsNotNone(method, f"only {len(got)} messages came")
            got.append((method.routing_key, properties.message_id, properties.headers, json.loads(body)))
            channel.basic_ack(method.delivery_tag)
            if len(got) == len(self.messages):
                break
        self.assertEqual([(message["topic"], message["id"], message["headers"], message["body"]) for message in self.messages], got)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    if not CORPUS.exists():
        print(f"SKIPPED: no corpus of Fedora's messages in {CORPUS}; the topology is not tested")
        sys.exit(SKIP)
    unittest.main(verbosity=2, warnings="ignore")
