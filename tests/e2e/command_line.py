#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal gets: output, sentences about what went wrong, exit codes.  command_line.py BROKER"""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, name, until
from started_broker import StartedBroker, free_port

pika = client("pika")
PROGRAM = ""


def trilby(*arguments, seconds=30):
    return subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)


class Messages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = StartedBroker(PROGRAM)
        cls.addClassCleanup(cls.broker.stop)

    def subscribe(self, *arguments):
        """A subscriber that is listening: its queue has a consumer."""
        queue = name()
        subscriber = subprocess.Popen([PROGRAM, "subscribe", "--url", self.broker.url, "--queue", queue, *arguments], text=True,
                                      stdout=subprocess.PIPE)
        connection = pika.BlockingConnection(pika.URLParameters(self.broker.url))
        self.addCleanup(connection.close)

        def listening():
            try:
                return connection.channel().queue_declare(queue, passive=True).method.consumer_count == 1
            except pika.exceptions.ChannelClosedByBroker:
                return False
        until(listening, "the subscriber listens")
        return subscriber

    def test_what_is_published_is_printed(self):
        topic = name("org.example")
        subscriber = self.subscribe("--json", "--count", "2", f"{topic}.#")
        published = trilby("publish", "--url", self.broker.url, f"{topic}.one", '{"hat": "trilby"}', "--header", "colour=grey", "--id", "m1")
        self.assertEqual(0, published.returncode, published.stderr)
        self.assertEqual(0, trilby("publish", "--url", self.broker.url, f"{topic}.two", "[1, 2]").returncode)
        lines = subscriber.stdout.read().splitlines()
        self.assertEqual(0, subscriber.wait(30))
        subscriber.stdout.close()
        first, second = map(json.loads, lines)
        self.assertEqual((f"{topic}.one", {"hat": "trilby"}, "m1"), (first["topic"], first["body"], first["id"]))
        self.assertEqual("grey", first["headers"]["colour"])
        self.assertEqual((f"{topic}.two", [1, 2]), (second["topic"], second["body"]))

    def test_control_c_ends_a_subscriber_well(self):
        subscriber = self.subscribe("#")
        subscriber.send_signal(signal.SIGINT)
        self.assertEqual(0, subscriber.wait(30))
        subscriber.stdout.close()

    def test_a_mandatory_message_that_nobody_wants_is_a_failure(self):
        done = trilby("publish", "--url", self.broker.url, "--mandatory", name("org.nobody"), "{}")
        self.assertEqual(1, done.returncode)
        self.assertTrue(done.stderr.startswith("trilby: "), done.stderr)

    def test_a_wrong_password_is_told(self):
        done = trilby("publish", "--url", self.broker.url.replace("guest:guest", "guest:wrong"), "org.example", "{}")
        self.assertEqual(1, done.returncode)
        self.assertIn("refused the login", done.stderr)

    def test_a_body_that_is_no_json_is_a_mistake_of_use(self):
        done = trilby("publish", "--url", self.broker.url, "org.example", "{")
        self.assertEqual(2, done.returncode, done.stderr)


class Serving(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def serve(self, *arguments):
        return trilby("serve", "--data-dir", str(self.directory / "data"), *arguments)

    def test_where_nobody_listens_it_says_so(self):
        done = trilby("publish", "--url", f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F", "org.example", "{}")
        self.assertEqual(1, done.returncode)
        self.assertIn("No broker answers", done.stderr)

    def test_a_port_in_use(self):
        with StartedBroker(PROGRAM) as broker:
            done = self.serve("--listen", "%s:%d" % broker.address)
            self.assertNotEqual(0, done.returncode)
            self.assertIn(str(broker.address[1]), done.stderr)

    def test_a_key_that_does_not_exist(self):
        config = self.directory / "trilby.toml"
        config.write_text('log_level = "info"\nlisteners_ = []\n')
        done = self.serve("--config", str(config))
        self.assertNotEqual(0, done.returncode)
        self.assertIn(f"{config}:2:", done.stderr)

    def test_definitions_that_are_no_json(self):
        definitions = self.directory / "definitions.json"
        definitions.write_text("{")
        done = self.serve("--listen", f"127.0.0.1:{free_port()}", "--definitions", str(definitions))
        self.assertNotEqual(0, done.returncode)
        self.assertIn("definitions.json", done.stderr)

    def test_two_brokers_do_not_share_a_data_directory(self):
        with StartedBroker(PROGRAM) as broker:
            done = trilby("serve", "--listen", f"127.0.0.1:{free_port()}", "--data-dir", str(broker.directory / "data"))
            self.assertNotEqual(0, done.returncode)
            self.assertIn("data", done.stderr)

    def test_an_unknown_command(self):
        self.assertNotEqual(0, trilby("sing").returncode)

    def test_help_names_every_command(self):
        done = trilby("--help")
        self.assertEqual(0, done.returncode)
        for command in ("serve", "publish", "subscribe", "replay"):
            self.assertIn(command, done.stdout)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
