#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal gets: output, sentences about what went wrong, exit codes.  command_line.py BROKER"""
import json
import os
import pathlib
import pty
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

    def subscribe(self, *arguments, stdout=subprocess.PIPE, env=None):
        """A subscriber that is listening: its queue has a consumer."""
        queue = name()
        subscriber = subprocess.Popen([PROGRAM, "subscribe", "--url", self.broker.url, "--queue", queue, *arguments], text=True,
                                      stdout=stdout, env=env)
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
        # Unless it was to wait for so many messages: then it has not done what it was asked for.
        for arguments, code in (((), 0), (("--count", "3"), 130)):
            subscriber = self.subscribe("#", *arguments)
            subscriber.send_signal(signal.SIGINT)
            self.assertEqual(code, subscriber.wait(30))
            subscriber.stdout.close()

    def test_a_mandatory_message_that_nobody_wants_is_a_failure(self):
        done = trilby("publish", "--url", self.broker.url, "--exchange", "amq.direct", "--mandatory", name("org.nobody"), "{}")
        self.assertEqual(3, done.returncode)
        self.assertRegex(done.stderr, "^trilby publish: No queue takes 'org.nobody")

    def test_a_message_that_nobody_gets_is_told(self):
        done = trilby("publish", "--url", self.broker.url, "--exchange", "amq.direct", "--quiet", name("org.nobody"), "{}")
        self.assertEqual((0, ""), (done.returncode, done.stdout))
        self.assertRegex(done.stderr, "^trilby publish: No queue takes 'org.nobody")

    def test_what_of_a_replay_nobody_gets_is_told(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"topic": "%s", "body": 1}\n' % name("org.nobody") * 3)
            file.flush()
            for flags, code in (((), 0), (("--mandatory",), 3)):
                done = trilby("replay", "--url", self.broker.url, "--exchange", "amq.direct", *flags, file.name)
                self.assertEqual(code, done.returncode, done.stderr)
                self.assertIn("trilby replay: No queue took 3 of the 3 messages", done.stderr)

    def test_a_line_that_cannot_be_replayed_is_named_before_any_is(self):
        topic = name("org.example")
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write('{"topic": "%s", "body": 1}\n\n{"topic": "t", "priority": 1000, "body": 1}\n' % topic)
            file.flush()
            done = trilby("replay", "--url", self.broker.url, file.name)
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, rf"^trilby replay: {file.name}:3: .*priority.*Nothing was published")

    def test_a_body_cannot_look_like_another_message(self):
        topic = name("org.example")
        subscriber = self.subscribe("--count", "1", topic)
        body = "first\n\norg.example.forged\n  id: forged\n{}"
        self.assertEqual(0, trilby("publish", "--url", self.broker.url, "--raw", topic, body).returncode)
        lines = subscriber.stdout.read().splitlines()
        self.assertEqual(0, subscriber.wait(30))
        subscriber.stdout.close()
        self.assertEqual([topic, ""], [line for line in lines if not line.startswith("  ")])
        self.assertEqual(["  | " + line for line in body.split("\n")], [line for line in lines if line.startswith("  |")])

    def test_colours_are_for_terminals_that_want_them(self):
        for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                      ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "xterm", "NO_COLOR": ""}, True)):
            ours, theirs = pty.openpty()
            topic = name("org.example")
            variables = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | environment
            subscriber = self.subscribe("--count", "1", topic, stdout=theirs, env=variables)
            os.close(theirs)
            self.assertEqual(0, trilby("publish", "--url", self.broker.url, topic, '{"hat": "trilby"}').returncode)
            shown = b""
            try:
                while part := os.read(ours, 4096):
                    shown += part
            except OSError:  # the other end is closed
                pass
            os.close(ours)
            self.assertEqual(0, subscriber.wait(30))
            self.assertIn(b"trilby", shown)
            self.assertEqual(coloured, b"\033" in shown, (environment, shown))

    def test_a_wrong_password_is_told(self):
        done = trilby("publish", "--url", self.broker.url.replace("guest:guest", "guest:wrong"), "org.example", "{}")
        self.assertEqual(1, done.returncode)
        self.assertIn("refused the login", done.stderr)

    def test_a_body_that_is_no_json_is_a_mistake_of_use(self):
        done = trilby("publish", "--url", self.broker.url, "org.example", "{")
        self.assertEqual(2, done.returncode, done.stderr)


class Blocked(unittest.TestCase):
    """A broker that takes no messages: its disk has less free than it is to have."""

    @classmethod
    def setUpClass(cls):
        cls.broker = StartedBroker(PROGRAM, config='disk_watermark = "1000TiB"\n')
        cls.addClassCleanup(cls.broker.stop)
        until(lambda: "disk alarm" in cls.broker.log_tail(), "the broker has looked at its disk")

    def started(self, *arguments):
        """A command that has said that it is blocked."""
        command = subprocess.Popen([PROGRAM, arguments[0], "--url", self.broker.url, *arguments[1:]], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(command.communicate)
        self.addCleanup(command.kill)
        for line in command.stderr:  # there may be progress before
            if "takes no messages" in line:
                self.assertRegex(line, f"^trilby {arguments[0]}: .*low on disk")
                return command
        self.fail(f"{arguments[0]} ended without a word: {command.wait()}")

    def last_line_after_interrupt(self, command):
        command.send_signal(signal.SIGINT)
        self.assertEqual(130, command.wait(10))
        return command.stderr.read().splitlines()[-1]

    def test_publish_says_so(self):
        command = self.started("publish", "org.example", "{}")
        self.assertIsNone(command.poll())
        self.assertRegex(self.last_line_after_interrupt(command), "^trilby publish: Interrupted before")

    def test_replay_says_so_and_what_became_of_the_messages(self):
        # More than what the sockets hold, and less: then it waits for confirms.
        for size, sentence in ((20_000, r"\d+ of 2000 messages are confirmed, .* the rest was not sent"),
                               (1, r"\d+ of 2000 messages are confirmed, .* more were sent and may have arrived")):
            with self.subTest(size=size), tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
                file.write('{"topic": "org.example", "body": "%s"}\n' % ("x" * size) * 2000)
                file.flush()
                command = self.started("replay", file.name)
                self.assertRegex(self.last_line_after_interrupt(command), f"^trilby replay: Interrupted: {sentence}")


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

    def test_a_configuration_is_checked_and_shown_without_a_broker(self):
        config = self.directory / "trilby.toml"
        config.write_text('threads = 3\nheartbeat = "90s"\ndefinitions = "definitions.json"\n')
        definitions = self.directory / "definitions.json"
        definitions.write_text('{"queues": [], "colour": 1}')
        done = trilby("config", "check", "--config", str(config))
        self.assertEqual((0, f"{config} can be used\n"), (done.returncode, done.stdout))
        self.assertIn('"colour"', done.stderr)
        shown = trilby("config", "show", "--config", str(config))
        self.assertEqual(0, shown.returncode, shown.stderr)
        self.assertIn('heartbeat = "90s"  # trilby.toml:2\n', shown.stdout)
        self.assertIn("channel_max = 2047  # default\n", shown.stdout)
        again = self.directory / "again.toml"
        again.write_text(shown.stdout)
        values = [line.split("#")[0] for line in shown.stdout.splitlines()]
        read = trilby("config", "show", "--config", str(again))
        self.assertEqual(values, [line.split("#")[0] for line in read.stdout.splitlines()])

        definitions.write_text("{}")
        self.assertEqual((1, f"trilby config check: {definitions}: there is nothing to import"),
                         (lambda done: (done.returncode, done.stderr[:done.stderr.find(": it has")]))(
                             trilby("config", "check", "--config", str(config))))
        config.write_text('threads = 3\nheartbeet = "90s"\n')
        for command in ("check", "show"):
            done = trilby("config", command, "--config", str(config))
            self.assertEqual(1, done.returncode)
            self.assertTrue(done.stderr.startswith(f"trilby config {command}: {config}:2: "), done.stderr)
        self.assertEqual(0, trilby("config", "check").returncode)
        self.assertIn("# definitions is not set\n", trilby("config", "show").stdout)

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

    def test_a_data_directory_is_named_the_same_way_everywhere(self):
        for command in (("journal", "check"), ("journal", "dump"), ("definitions", "export", "-")):
            done = trilby(*command, "--data-dir", str(self.directory / "nothing"))
            self.assertEqual(1, done.returncode, done.stderr)
            self.assertTrue(done.stderr.startswith("trilby " + " ".join(command).removesuffix(" -") + ": "), done.stderr)
            self.assertIn(str(self.directory / "nothing"), done.stderr)


class Words(unittest.TestCase):
    """What is typed wrong is a usage error, 2, and gets a hint; it begins with the command that it is about."""

    def refused(self, *arguments):
        done = trilby(*arguments)
        self.assertEqual((2, ""), (done.returncode, done.stdout), done.stderr)
        self.assertEqual(1, done.stderr.count("\n"), done.stderr)
        return done.stderr

    def test_a_flag_with_a_value_that_it_cannot_have(self):
        for flag, value in (("--log-level", "loud"), ("--listen", "foo"), ("--memory-watermark", "1.5"), ("--memory-watermark", "1")):
            self.assertRegex(self.refused("serve", flag, value), f'^trilby serve: {flag}: "{value}" is no ')

    def test_a_mistyped_command(self):
        self.assertRegex(self.refused("subscirbe", "#"), "^trilby: .*'subscirbe'.*Did you mean 'subscribe'")
        self.assertRegex(self.refused("journal", "chek"), "^trilby journal: .*'chek'.*Did you mean 'check'")
        self.assertRegex(self.refused("help", "reply"), "^trilby help: .*'reply'.*Did you mean 'replay'")

    def test_what_is_like_nothing_gets_no_guess(self):
        self.assertNotIn("Did you mean", self.refused("sing"))

    def test_a_mistyped_flag(self):
        self.assertRegex(self.refused("publish", "--persistant", "a.b", "{}"),
                         "^trilby publish: .*--persistant.*Did you mean '--persistent'")
        self.assertRegex(self.refused("serve", "--data-dri=/nowhere"), "^trilby serve: .*Did you mean '--data-dir'")
        self.assertRegex(self.refused("replay", "--rat", "10"), "^trilby replay: .*Did you mean '--rate'")

    def test_too_little_and_too_much(self):
        self.assertRegex(self.refused(), "^trilby: say what to do: .*publish")
        self.assertRegex(self.refused("journal"), "^trilby journal: say what to do: check, dump")
        self.assertRegex(self.refused("publish"), "^trilby publish: topic is required")
        self.assertRegex(self.refused("publish", "a", "b", "c"), "^trilby publish: 'c' is one word too many")
        self.assertRegex(self.refused("serve", "--threads", "many"), "^trilby serve: .*--threads")
        for command, option in (("replay", "--loop"), ("replay", "--rate"), ("subscribe", "--count")):
            self.assertRegex(self.refused(command, option, "-1", "x"), f"^trilby {command}: .*{option}.*-1 is less than 0")

    def test_help(self):
        done = trilby("help")
        self.assertEqual(0, done.returncode)
        self.assertEqual(trilby("--help").stdout, done.stdout)
        for command in ("serve", "publish", "subscribe", "replay", "definitions", "journal"):
            self.assertIn(command, done.stdout)
        for command in (["publish"], ["journal", "check"], ["journal"]):
            self.assertEqual(trilby(*command, "--help").stdout, trilby("help", *command).stdout)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
