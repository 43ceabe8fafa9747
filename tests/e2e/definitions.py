#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a broker consists of survives it, and goes to RabbitMQ and back.  definitions.py BROKER

The round trip needs RabbitMQ (the package rabbitmq-server). Where the corpus is beside the checkout, in ../shared/corpus,
Fedora's definitions go the same way.
"""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from broker_url import client, name, until
from started_broker import StartedBroker, free_port

pika = client("pika")
CORPUS = ROOT.parent / "shared/corpus/definitions.json"
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin")
PROGRAM = ""
SECTIONS = ("users", "vhosts", "permissions", "topic_permissions", "parameters", "global_parameters", "policies", "queues",
            "exchanges", "bindings")


def trilby(*arguments, seconds=60, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], text=True, capture_output=True, timeout=seconds, check=False,
                          **({"stdin": subprocess.DEVNULL} if "input" not in options else {}), **options)


def objects(definitions):
    """By section, in no order: what two exports have to agree on."""
    found = {}
    for section in SECTIONS:
        found[section] = sorted(json.dumps(normal(section, one), sort_keys=True) for one in definitions.get(section, []))
    return found


def normal(section, one):
    """RabbitMQ 3.10 says some things twice, and what is not said is the default."""
    one = dict(one)
    if section == "vhosts":
        metadata = {**one.pop("metadata", {}), **one}
        one = {"name": one["name"], "description": metadata.get("description", ""), "tags": metadata.get("tags", []),
               "default_queue_type": metadata.get("default_queue_type", "")}  # limits are parameters as well
    if section == "queues":
        assert one.pop("type", "classic") == one["arguments"].get("x-queue-type", "classic")
    if section == "exchanges":
        one.setdefault("internal", False)
    if section == "users":
        one["limits"] = one.get("limits") or {}
    return one


class Stored(unittest.TestCase):
    def setUp(self):
        self.broker = StartedBroker(PROGRAM)
        self.addCleanup(self.broker.stop)

    def channel(self):
        connection = pika.BlockingConnection(pika.URLParameters(self.broker.url))
        self.addCleanup(self.close, connection)
        return connection.channel()

    @staticmethod
    def close(connection):
        try:
            connection.close()
        except pika.exceptions.AMQPError:
            pass  # its broker was killed, which it may not know yet

    def code_of(self, act):
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            act()
        return caught.exception.reply_code

    def kill_and_start(self):
        self.broker.terminate(signal.SIGKILL)
        self.broker.start()

    def test_what_was_answered_is_there_after_a_kill(self):
        for number in range(5):
            queue, exchange, key = name(), name("x"), name("key")
            channel = self.channel()
            channel.exchange_declare(exchange, "topic", durable=True, arguments={"alternate-exchange": "amq.fanout"})
            channel.queue_declare(queue, durable=True, arguments={"x-max-length": 10 + number})
            channel.queue_bind(queue, exchange, key)
            self.kill_and_start()
            channel = self.channel()
            # The same in every respect: a declare that differs is refused.
            channel.exchange_declare(exchange, "topic", durable=True, arguments={"alternate-exchange": "amq.fanout"})
            channel.queue_declare(queue, durable=True, arguments={"x-max-length": 10 + number})
            channel.confirm_delivery()
            channel.basic_publish(exchange, key, b"x", mandatory=True)
            self.assertEqual(406, self.code_of(lambda: channel.queue_declare(queue, durable=True)))

    def test_what_was_deleted_stays_away_after_a_kill(self):
        channel = self.channel()
        gone, exchange, unbound = name(), name("x"), name()
        for queue in (gone, unbound):
            channel.queue_declare(queue, durable=True)
        channel.exchange_declare(exchange, "direct", durable=True)
        channel.queue_bind(unbound, "amq.direct", unbound)
        channel.queue_bind(unbound, exchange, unbound)
        channel.queue_delete(gone)
        channel.exchange_delete(exchange)
        channel.queue_unbind(unbound, "amq.direct", unbound)
        self.kill_and_start()
        self.assertEqual(404, self.code_of(lambda: self.channel().queue_declare(gone, passive=True)))
        self.assertEqual(404, self.code_of(lambda: self.channel().exchange_declare(exchange, passive=True)))
        channel = self.channel()
        channel.confirm_delivery()
        with self.assertRaises(pika.exceptions.UnroutableError):
            channel.basic_publish("amq.direct", unbound, b"x", mandatory=True)

    def test_a_second_binding_with_the_same_key_has_other_arguments(self):
        channel = self.channel()
        queue = name()
        channel.queue_declare(queue, durable=True)
        for colour in ("red", "blue"):
            channel.queue_bind(queue, "amq.headers", arguments={"x-match": "all", "colour": colour})
        channel.queue_unbind(queue, "amq.headers", arguments={"colour": "red", "x-match": "all"})
        self.kill_and_start()
        channel = self.channel()
        channel.confirm_delivery()
        channel.basic_publish("amq.headers", "", b"x", pika.BasicProperties(headers={"colour": "blue"}), mandatory=True)
        with self.assertRaises(pika.exceptions.UnroutableError):
            channel.basic_publish("amq.headers", "", b"x", pika.BasicProperties(headers={"colour": "red"}), mandatory=True)

    def test_what_a_full_disk_refuses_closes_the_connection_and_is_not_there(self):
        kept, refused = name(), name()
        self.channel().queue_declare(kept, durable=True)
        unlimited = subprocess.run(["prlimit", "--pid", str(self.broker.pid), "--fsize=1:"], check=False, capture_output=True)
        if unlimited.returncode != 0:
            self.skipTest("prlimit cannot limit the size of the broker's files")
        try:
            with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
                self.channel().queue_declare(refused, durable=True)
            self.assertEqual(541, caught.exception.reply_code)
            self.assertEqual(404, self.code_of(lambda: self.channel().queue_declare(refused, passive=True)))
            self.channel().queue_declare("", exclusive=True)
        finally:
            subprocess.run(["prlimit", "--pid", str(self.broker.pid), "--fsize=unlimited:"], check=True)
        self.channel().queue_declare(refused, durable=True)
        self.kill_and_start()
        for queue in (kept, refused):
            self.channel().queue_declare(queue, passive=True)


class Command(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.data = self.directory / "data"

    def write(self, definitions):
        path = self.directory / (name("definitions") + ".json")
        path.write_text(definitions if isinstance(definitions, str) else json.dumps(definitions))
        return path

    def run_it(self, what, file, expected=0, **options):
        done = trilby("definitions", what, file, "--data-dir", self.data, **options)
        self.assertEqual(expected, done.returncode, done.stderr)
        return done

    def exported(self):
        return json.loads(self.run_it("export", "-").stdout)

    def refused(self, what, file):
        """The sentence, after the program's name."""
        said = self.run_it(what, file, expected=1).stderr
        prefix = f"trilby definitions {what}: "
        self.assertTrue(said.startswith(prefix), said)
        self.assertEqual(1, said.count("\n"), said)
        return said[len(prefix):-1]

    SOME = {"vhosts": [{"name": "/"}, {"name": "v", "description": "d", "tags": ["t"]},
                       {"name": "w", "default_queue_type": "quorum"}],
            "users": [{"name": "u", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256",
                       "tags": ["management"], "limits": {"max-connections": 5}}],
            "permissions": [{"user": "u", "vhost": "v", "configure": "", "write": ".*", "read": "a"}],
            "topic_permissions": [{"user": "u", "vhost": "v", "exchange": "amq.topic", "write": ".*", "read": "a"}],
            "exchanges": [{"name": "x", "vhost": "v", "type": "headers", "durable": True, "auto_delete": True,
                           "internal": True, "arguments": {"alternate-exchange": "amq.topic"}}],
            "queues": [{"name": "q", "vhost": "v", "durable": True, "auto_delete": False,
                        "arguments": {"x-max-length": 5, "x-dead-letter-exchange": ""}},
                       {"name": "q", "vhost": "w", "durable": True, "auto_delete": False, "arguments": {}}],
            "bindings": [{"source": "x", "vhost": "v", "destination": "q", "destination_type": "queue", "routing_key": "",
                          "arguments": {"x-match": "any", "n": 1, "deep": {"list": [1, "a", True, 1.5]}}},
                         {"source": "amq.topic", "vhost": "v", "destination": "x", "destination_type": "exchange",
                          "routing_key": "#", "arguments": {}}],
            "policies": [{"vhost": "v", "name": "p", "pattern": ".*", "apply-to": "queues", "priority": 0,
                          "definition": {"max-length": 10}}],
            "parameters": [{"vhost": "v", "component": "shovel", "name": "n", "value": {"a": [1]}},
                           {"vhost": "v", "component": "federation-upstream", "name": "n", "value": {"uri": "amqp://"}}],
            "global_parameters": [{"name": "g", "value": "text"}]}

    def test_what_is_imported_is_exported(self):
        self.run_it("import", self.write(self.SOME))
        self.assertEqual(objects(self.SOME), objects(self.exported()))
        file = self.directory / "out.json"
        self.run_it("export", file)
        self.assertEqual(objects(self.SOME), objects(json.loads(file.read_text())))

    def test_an_import_again_changes_nothing(self):
        file = self.write(self.SOME)
        self.run_it("import", file)
        self.run_it("import", file)
        self.run_it("import", "-", input=json.dumps(self.exported()))
        self.assertEqual(objects(self.SOME), objects(self.exported()))

    def test_an_import_adds_and_replaces_and_removes_nothing(self):
        self.run_it("import", self.write(self.SOME))
        self.run_it("import", self.write({
            "vhosts": [{"name": "new"}], "users": [{**self.SOME["users"][0], "tags": ["policymaker"]}],
            "queues": [{**self.SOME["queues"][0], "arguments": {}}, {**self.SOME["queues"][0], "vhost": "new"}]}))
        found = self.exported()
        self.assertEqual({"/", "v", "w", "new"}, {one["name"] for one in found["vhosts"]})
        self.assertEqual([["policymaker"]], [one["tags"] for one in found["users"]])
        self.assertEqual({"v": {"x-max-length": 5, "x-dead-letter-exchange": ""}, "w": {},
                          "new": self.SOME["queues"][0]["arguments"]},
                         {one["vhost"]: one["arguments"] for one in found["queues"]})
        self.assertEqual(2, len(found["bindings"]))

    def test_a_broker_serves_what_was_imported_and_what_it_got_is_exported(self):
        with StartedBroker(PROGRAM) as broker:
            self.data = broker.directory / "data"
            broker.terminate()
            some = {**self.SOME, "bindings": self.SOME["bindings"][:1], "permissions": self.SOME["permissions"] + [
                {"user": "guest", "vhost": "v", "configure": ".*", "write": ".*", "read": ".*"}]}
            self.run_it("import", self.write(some))
            broker.start()
            connection = pika.BlockingConnection(pika.URLParameters(broker.url[:-3] + "v"))
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare("q", passive=True)
            channel.queue_declare("declared", durable=True)
            channel.queue_bind("declared", "amq.topic", "a.b")
            channel.basic_publish("amq.topic", "a.b", b"x", mandatory=True)
            connection.close()
            broker.terminate()
            found = self.exported()
        self.assertEqual({"q", "declared"}, {one["name"] for one in found["queues"]})
        self.assertEqual({"u", "guest"}, {one["name"] for one in found["users"]})
        self.assertEqual(2, len(found["bindings"]))

    def test_while_a_broker_runs_both_are_refused(self):
        with StartedBroker(PROGRAM) as broker:
            self.data = broker.directory / "data"
            for what in ("export", "import"):
                said = self.refused(what, self.write(self.SOME))
                self.assertEqual(f"the data directory {self.data} is in use by the broker with process id {broker.pid}; stop it, "
                                 "or name another one with --data-dir", said)

    def test_a_bad_file_is_refused_with_its_place_and_nothing_is_changed(self):
        self.run_it("import", self.write(self.SOME))
        queue = self.SOME["queues"][0]
        for bad, said in (
                ("{", "this is not JSON"), ("[]", "definitions are an object with lists"),
                ({"queues": [{**queue, "durable": "yes"}]}, 'queues[0]: "durable" must be true or false, not "yes"'),
                ({"queues": [{**queue, "name": "w"}, {**queue, "vhost": "nowhere"}]}, "names the virtual host 'nowhere'"),
                ({"queues": [{**queue, "name": "w", "arguments": {"x-max-length": -1}}]}, "x-max-length"),
                ({"exchanges": [{**self.SOME["exchanges"][0], "name": "w", "type": "x-none"}]}, "has the type 'x-none'"),
                ({"permissions": [{**self.SOME["permissions"][0], "user": "none"}]}, "names the user 'none'"),
                ({"permissions": [{**self.SOME["permissions"][0], "write": "("}]}, "'('"),
                ({"queues": [{**queue, "name": "w", "arguments": {"x-queue-type": "stream"}}]},
                 """invalid arg 'x-queue-type' for queue 'w' in vhost 'v': "unsupported queue type 'stream'\""""),
                ({}, "there is nothing to import"), ({"queue": []}, "there is nothing to import"),
                ({"queues": [{"name": "w", "durable": True}]}, "--vhost NAME"),
                ({"users": [{"name": "w", "password_hash": "#"}]}, "the password hash is not base64"),
                ({"parameters": [{"vhost": "v", "name": "n", "value": 1}]}, 'parameters[0] has no "component"')):
            with self.subTest(said):
                file = self.write(bad)
                answer = self.refused("import", file)
                self.assertTrue(answer.startswith(f"{file}: "), answer)
                self.assertIn(said, answer)
        self.assertEqual(objects(self.SOME), objects(self.exported()))
        self.assertIn("cannot read", self.refused("import", self.directory / "none.json"))
        self.assertIn("cannot write", self.refused("export", self.directory / "none" / "out.json"))

    def test_an_import_says_what_it_did_and_what_it_left_out(self):
        said = self.run_it("import", self.write(self.SOME)).stdout.splitlines()
        self.assertIn(f" is imported into {self.data}", said[0])
        self.assertIn("  queues: 2 added", said)
        loose = {"source": "amq.topic", "vhost": "v", "destination": "amq.gen-x", "destination_type": "queue",
                 "routing_key": "#", "arguments": []}
        done = self.run_it("import", self.write({
            "rabbit_version": "3.10.8", "colour": "red", "bindings": [loose, {**loose, "source": "inner", "destination": "q"}],
            "queues": [{**self.SOME["queues"][0], "name": "new", "arguments": []}, self.SOME["queues"][1],
                       {**self.SOME["queues"][0], "name": "gone", "durable": False, "arguments": {}}]}))
        self.assertIn(", of version 3.10.8, is imported into", done.stdout)
        self.assertIn("  queues: 1 added, 1 equal\n", done.stdout)
        for sentence in ("left out: the binding of 'amq.gen-x' to 'amq.topic' in vhost 'v', for there is no queue 'amq.gen-x'",
                         "left out: the binding of 'q' to 'inner' in vhost 'v', for there is no exchange 'inner'",
                         "left out, for it is not durable: queue 'gone' in vhost 'v'",
                         'passed over, for it is not known: "colour"', "policies not acted on yet: 'p' ('v')",
                         "limits of users not acted on yet: u"):
            self.assertIn(f"trilby definitions import: {sentence}\n", done.stderr)
        self.assertEqual({"new", "q"}, {one["name"] for one in self.exported()["queues"]})

    def test_every_pattern_that_cannot_be_used_is_named_at_once(self):
        row = {"user": "u", "vhost": "v", "configure": "^(?!amq).*", "write": ".*", "read": ".*"}
        done = self.run_it("import", self.write({**self.SOME, "permissions": [row, {**row, "vhost": "w"}]}), expected=1)
        self.assertIn("2 patterns are to be rewritten: ", done.stderr)
        for vhost in "vw":
            self.assertRegex(done.stderr, f"[:;] configure permission of user 'u' in vhost '{vhost}': [^;]*lookahead")
        self.assertIn("(?!amq)", self.refused("import", self.write({**self.SOME, "permissions": [row]})))
        self.assertFalse(json.loads(self.run_it("export", "-").stdout)["queues"])

    def test_the_export_of_one_virtual_host_goes_into_the_one_that_is_named(self):
        one = {section: [{key: value for key, value in entry.items() if key != "vhost"} for entry in self.SOME[section]
                         if entry["vhost"] == "v"] for section in ("exchanges", "queues", "bindings", "policies", "parameters")}
        file = self.write({"rabbit_version": "4.0.1", **one})
        done = trilby("definitions", "import", file, "--vhost", "other", "--data-dir", self.data)
        self.assertEqual(0, done.returncode, done.stderr)
        found = objects(self.exported())
        for section in one:
            self.assertEqual(objects({section: [{**entry, "vhost": "other"} for entry in one[section]]})[section], found[section])

    def test_every_type_of_the_wire_comes_back_from_an_export(self):
        import datetime
        import decimal
        values = {"void": None, "int": 5, "long": 1 << 40, "decimal": decimal.Decimal("12.25"), "bytes": b"a\xff",
                  "time": datetime.datetime(2020, 1, 1), "list": [None, 1, {}], "table": {"deep": [None, b"\xfe"]}, "text": "undefined"}
        with StartedBroker(PROGRAM) as broker:
            connection = pika.BlockingConnection(pika.URLParameters(broker.url))
            channel = connection.channel()
            channel.queue_declare("vq", durable=True, arguments={"x-max-length": 5, **values})
            for number, (key, value) in enumerate(values.items()):
                channel.queue_bind("vq", "amq.headers", str(number), {"x-match": "all", key: value})
            connection.close()
            broker.terminate()
            stored = self.stored(broker.directory / "data")
            self.data = broker.directory / "data"
            exported = self.run_it("export", "-").stdout
        self.data = self.directory / "again"
        self.run_it("import", "-", input=exported)
        self.assertEqual(stored, self.stored(self.data))
        self.assertEqual(exported, self.run_it("export", "-").stdout)
        queue, = json.loads(exported)["queues"]
        self.assertEqual(5, queue["arguments"]["x-max-length"])
        self.assertEqual("12.25", queue["arguments"]["decimal"])
        self.assertEqual("undefined", queue["arguments"]["void"])

    @staticmethod
    def stored(data):
        connection = sqlite3.connect(data / "catalog.sqlite")
        connection.text_factory = bytes
        try:
            return (connection.execute("SELECT vhost, name, CAST(arguments AS BLOB) FROM queues ORDER BY name").fetchall(),
                    connection.execute("SELECT vhost, source, destination, routing_key, CAST(arguments AS BLOB) FROM bindings "
                                       "ORDER BY routing_key").fetchall())
        finally:
            connection.close()

    def test_a_directory_that_no_broker_has_used_has_nothing_to_export(self):
        self.assertIn("holds no definitions", self.refused("export", "-"))
        self.assertFalse(self.data.exists())

    def test_a_damaged_or_newer_catalog_is_refused_and_left_alone(self):
        self.run_it("import", self.write(self.SOME))
        catalog = self.data / "catalog.sqlite"
        whole = catalog.read_bytes()
        connection = sqlite3.connect(catalog)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        newer = catalog.read_bytes()
        for content, reason in ((newer, "was written by a newer Trilby"), (whole[:5000], "is damaged"), (b"text" * 2000, "is damaged")):
            catalog.write_bytes(content)
            for what, file in (("export", "-"), ("import", self.write(self.SOME))):
                self.assertIn(reason, self.refused(what, file))
            serve = trilby("serve", "--listen", f"127.0.0.1:{free_port()}", "--data-dir", self.data)
            self.assertEqual(1, serve.returncode)
            self.assertIn(reason, serve.stderr)
            self.assertEqual(content, catalog.read_bytes())

    def test_definitions_at_start_are_imported_again_at_each(self):
        file = self.write({**self.SOME, **{"users": [], "permissions": [], "topic_permissions": []}})
        with StartedBroker(PROGRAM, definitions=file) as broker:
            self.data = broker.directory / "data"
            for _ in range(2):
                broker.terminate()
                found = objects(self.exported())
                self.assertEqual(objects(self.SOME)["queues"], found["queues"])
                self.assertEqual(objects(self.SOME)["bindings"], found["bindings"])
                self.assertEqual(objects(self.SOME)["policies"], found["policies"])
                broker.start()


class StartedRabbitMQ:
    """A node of our own, with ports and directories of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trilby-rabbitmq-"))
        self.name_server_port = str(free_port())
        port = str(free_port())
        (self.folder / "plugins").write_text("[rabbitmq_federation].\n")  # Fedora has an upstream
        self.environment = {
            **os.environ, "HOME": str(self.folder), "RABBITMQ_NODENAME": f"trilby{port}@localhost", "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"), "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"), "ERL_EPMD_PORT": self.name_server_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1"}
        self.log = open(self.folder / "output", "wb")
        self.process = subprocess.Popen([RABBITMQ / "rabbitmq-server"], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        try:
            deadline = time.monotonic() + 120
            while self.run("await_startup", check=False).returncode != 0:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "output").read_text(errors="replace")[-3000:])
        except BaseException:
            self.stop()
            raise

    def run(self, *arguments, check=True):
        done = subprocess.run([RABBITMQ / "rabbitmqctl", *map(str, arguments)], env=self.environment, text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {arguments}: {done.stdout}{done.stderr}")
        return done

    def exported(self):
        # Through a file: standard output has warnings of plugins too.
        file = self.folder / "exported.json"
        self.run("export_definitions", file)
        return json.loads(file.read_text())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        subprocess.run(["epmd", "-port", self.name_server_port, "-kill"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class RoundTrip(unittest.TestCase):
    def setUp(self):
        if not (RABBITMQ / "rabbitmq-server").exists():
            print(f"SKIPPED: {RABBITMQ}/rabbitmq-server is not there, so no round trip to RabbitMQ", file=sys.stderr)
            self.skipTest("RabbitMQ is not there")

    def test_definitions_go_through_trilby_to_rabbitmq_and_back(self):
        rabbitmq = StartedRabbitMQ()
        self.addCleanup(rabbitmq.stop)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        data, ours, back = (pathlib.Path(directory.name) / one for one in ("data", "ours.json", "back.json"))

        def definitions(*arguments):
            done = trilby("definitions", *arguments, "--data-dir", data)
            self.assertEqual(0, done.returncode, done.stderr)

        more = {section: [] for section in SECTIONS} | {"vhosts": [{"name": "/"}]}
        if CORPUS.exists():
            more = json.loads(CORPUS.read_text())
        else:
            print(f"SKIPPED: {CORPUS} is not there, so a round trip without Fedora's definitions", file=sys.stderr)
        # What Fedora does not use is added to what it does.
        for section, some in Command.SOME.items():
            more[section] += [one for one in some if one != {"name": "/"}]
        # RabbitMQ exports no internal exchanges, and has to know what a parameter is for.
        more["exchanges"] = [{**one, "internal": False} for one in more["exchanges"]]
        more["parameters"] = [one for one in more["parameters"] if one["component"] != "shovel"] + [
            {"vhost": "v", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 500}},
            {"vhost": "v", "component": "operator_policy", "name": "p",
             "value": {"pattern": ".*", "apply-to": "queues", "priority": 0, "definition": {"max-length": 5}}}]
        file = pathlib.Path(directory.name) / "more.json"
        file.write_text(json.dumps(more))
        # RabbitMQ begins with a user of its own.
        rabbitmq.run("delete_user", "guest")

        definitions("import", file)
        definitions("export", ours)
        mine = objects(json.loads(ours.read_text()))
        self.agree(objects(more), mine)
        self.assertGreater(len(mine["bindings"]), 80 if CORPUS.exists() else 0)

        rabbitmq.run("import_definitions", ours)
        everywhere = until(lambda: self.settled(rabbitmq, mine), "RabbitMQ has imported all bindings")
        self.agree(mine, objects(everywhere))

        # And what RabbitMQ says is what Trilby had.
        back.write_text(json.dumps(everywhere))
        definitions("import", back)
        definitions("export", ours)
        again = objects(json.loads(ours.read_text()))
        self.agree(mine, again)
        data = pathlib.Path(directory.name) / "other"
        definitions("import", back)
        definitions("export", ours)
        self.agree(mine, objects(json.loads(ours.read_text())))

    @staticmethod
    def settled(rabbitmq, mine):
        found = rabbitmq.exported()
        return found if len(found["bindings"]) == len(mine["bindings"]) else None

    def test_the_documented_move(self):
        """docs/operations.md, with what a living broker has that its export does not list."""
        rabbitmq = StartedRabbitMQ()
        self.addCleanup(rabbitmq.stop)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        folder = pathlib.Path(directory.name)
        rabbitmq.run("add_user", "mover", "secret")
        rabbitmq.run("set_permissions", "mover", ".*", ".*", ".*")
        port = int(rabbitmq.environment["RABBITMQ_NODE_PORT"])
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        channel = connection.channel()
        channel.exchange_declare("inner", "fanout", durable=True, internal=True)
        channel.exchange_bind("inner", "amq.topic", "a.#")
        channel.queue_declare("kept", durable=True, arguments={"x-max-length": 5, "void": None})
        channel.queue_bind("kept", "amq.topic", "k.#")
        channel.queue_bind("kept", "amq.headers", arguments={"x-match": "all", "list": [], "n": 1})
        channel.queue_bind("kept", "inner")
        own = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(own, "amq.topic", "#")
        rabbitmq.run("export_definitions", folder / "definitions.json")
        connection.close()

        done = trilby("definitions", "import", folder / "definitions.json", "--data-dir", folder / "moved")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(f"left out: the binding of '{own}' to 'amq.topic'", done.stderr)
        self.assertIn("for there is no exchange 'inner'", done.stderr)
        with StartedBroker(PROGRAM, data=folder / "moved") as broker:
            connection = pika.BlockingConnection(pika.URLParameters(broker.url.replace("guest:guest", "mover:secret")))
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("amq.topic", "k.1", b"x", mandatory=True)
            channel.basic_publish("amq.headers", "", b"y", pika.BasicProperties(headers={"n": 1, "list": []}), mandatory=True)
            self.assertEqual([b"x", b"y"], [channel.basic_get("kept", auto_ack=True)[2] for _ in range(2)])
            # With what RabbitMQ's import cannot have from its own export.
            channel.queue_bind("kept", "amq.headers", "void", arguments={"x-match": "all", "colour": None})
            connection.close()
            broker.terminate()
            done = trilby("definitions", "export", folder / "back.json", "--data-dir", folder / "moved")
        self.assertEqual(0, done.returncode, done.stderr)
        rabbitmq.run("import_definitions", folder / "back.json")
        mine = objects(json.loads((folder / "back.json").read_text()))
        until(lambda: any(one["routing_key"] == "void" for one in rabbitmq.exported()["bindings"]),
              "RabbitMQ has imported Trilby's export")
        self.assertTrue(mine["bindings"])

    def agree(self, one, other):
        for section in SECTIONS:
            missing = set(one[section]) - set(other[section])
            extra = set(other[section]) - set(one[section])
            self.assertEqual((set(), set()), (missing, extra), section)
            self.assertEqual(len(one[section]), len(other[section]), section)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
