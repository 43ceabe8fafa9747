#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the log says, and what nobody can make it say.  log.py BROKER"""
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import socket
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import until
from raw_client import RawClient, amqp
from started_broker import StartedBroker

PROGRAM = ""
HEAD = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}\S* (debug|info|warning|error|critical) ")
FORGED = b"x'\n2026-01-01 00:00:00.000 info connection opened: user 'admin'\r\x1b[31m\x9b\xe2\x80\xae\xef\xbb\xbf\x00\x7f'"
LEGAL = FORGED.replace(b"\x9b", b"\xc2\x9b")  # where what is not UTF-8 is refused before it is looked at


def user(name):
    digest = hashlib.sha256(b"salt" + name).digest()
    return {"name": name.decode(), "password_hash": base64.b64encode(b"salt" + digest).decode(),
            "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}


def log_of(broker):
    return (broker.directory / "log").read_text()


class ForeignText(unittest.TestCase):
    """Every field that a peer or a file can fill, with a forged line, terminal escapes and invisible characters."""

    def setUp(self):
        name = LEGAL.replace(b"\0", b"")
        folder = tempfile.TemporaryDirectory(prefix="trilby-test-")
        self.addCleanup(folder.cleanup)
        definitions = pathlib.Path(folder.name) / "definitions\n2026 FORGED.json"
        definitions.write_text(json.dumps({
            "vhosts": [{"name": "/"}, {"name": name.decode()}],
            "users": [user(b"guest"), user(name)],
            "permissions": [{"user": who, "vhost": where, "configure": "", "write": "", "read": ""}
                            for who in ("guest", name.decode()) for where in ("/", name.decode())],
            "policies": [{"name": name.decode(), "vhost": name.decode(), "pattern": "", "definition": {"max-length": 1}}],
            "parameters": [], "global_parameters": [{"name": name.decode(), "value": 1}]}))
        self.known = name
        self.broker = StartedBroker(PROGRAM, definitions=definitions, arguments=("--log-level", "debug"))
        self.addCleanup(self.broker.stop)

    def conversations(self):
        def closed(client):
            client.send("connection.close", reply_code=541, reply_text=LEGAL)

        def declared(method, **values):
            return lambda client: client.send(method, channel=1, **values)

        yield "user", lambda client: client.start(user=FORGED)
        yield "user of AMQPLAIN", lambda client: client.start(
            mechanism=b"AMQPLAIN",
            response=amqp.encode_table([(b"LOGIN", ("S", FORGED)), (b"PASSWORD", ("S", b"x"))])[4:])
        yield "name", lambda client: client.start(password=b"wrong", name=FORGED)
        yield "a very long name", lambda client: client.start(password=b"wrong", name=FORGED * 40)
        yield "mechanism", lambda client: client.start(mechanism=LEGAL)
        yield "client properties", lambda client: client.start(
            password=b"wrong", properties=[(b"product", ("S", FORGED)), (FORGED[:60], ("S", FORGED))])
        yield "protocol header", lambda client: client.raw(b"GET /\n\x1b[31m")
        yield "vhost", lambda client: self.opening(client, LEGAL)
        yield "close text", lambda client: closed(client.open(name=FORGED))
        yield "user and vhost", lambda client: closed(client.open(vhost=self.known, user=self.known))
        for method, field in (("queue.declare", "queue"), ("queue.delete", "queue"), ("queue.purge", "queue"),
                              ("queue.bind", "exchange"), ("exchange.declare", "exchange"), ("exchange.declare", "type"),
                              ("exchange.delete", "exchange"), ("basic.consume", "queue"), ("basic.get", "queue")):
            act = declared(method, **{field: LEGAL})
            yield f"{field} of {method}", lambda client, act=act: act(client.open(vhost=self.known, user=self.known))
        yield "an exchange published to", lambda client: client.open().raw(
            amqp.method(1, "basic.publish", {"exchange": LEGAL}) + amqp.header(1, 0, {}))

    @staticmethod
    def opening(client, vhost):
        client.start().expect("connection.tune")
        client.send("connection.tune-ok", channel_max=2047, frame_max=131072)
        client.send("connection.open", virtual_host=vhost)

    def test_no_field_forges_a_line_or_steers_a_terminal(self):
        clients = []
        for what, converse in self.conversations():
            with self.subTest(what):
                client = RawClient(self.broker.address)
                self.addCleanup(client.socket.close)
                converse(client)
                clients.append(client)
        for client in clients:  # what was said has been heard
            client.socket.shutdown(1)
            client.ended()
        self.broker.terminate()
        log = log_of(self.broker)
        self.assertGreater(log.count("\\x0a2026-01-01"), 5)
        for line in log.splitlines():
            self.assertRegex(line, HEAD)
            self.assertLess(len(line), 2000)
        self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", log))


def refused(address, source=None, name=None):
    """A login that is refused, and an end without a word."""
    with RawClient(address, source=source) as client:
        client.start(password=b"wrong", name=name).expect("connection.close")


class NobodyTakesIt(unittest.TestCase):
    """Standard error is a pipe that is full from the beginning."""

    def setUp(self):
        self.reader, self.writer = os.pipe()
        self.addCleanup(lambda: [os.close(end) for end in (self.reader, self.writer) if end is not None])
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        os.write(self.writer, b"." * 4095 + b"\n")
        self.broker = StartedBroker(PROGRAM, stderr=self.writer)
        self.addCleanup(self.broker.stop)
        self.client = RawClient(self.broker.address).open()
        self.addCleanup(self.client.socket.close)

    def served(self):
        self.client.send("queue.declare", channel=1, exclusive=1)
        self.client.expect("queue.declare-ok")

    def fill(self):
        """More lines than the broker keeps, from many addresses, so that they are neither gathered nor slowed down."""
        for visit in range(1200):
            refused(self.broker.address, source=f"127.0.{visit // 800 + 1}.{visit // 4 % 200 + 1}", name=b"n" * 250)

    def test_clients_are_served_and_a_signal_ends_the_broker(self):
        self.fill()
        self.served()
        self.assertEqual(0, self.broker.terminate())

    def test_what_was_dropped_is_counted_in_its_place(self):
        self.fill()
        self.served()
        os.close(self.writer)
        self.writer = None
        lines = []
        reading = threading.Thread(target=lambda: [lines.append(line) for line in open(self.reader, closefd=False)])
        reading.start()
        until(lambda: any("lines were dropped" in line for line in lines), "the log says what was dropped")
        refused(self.broker.address, name=b"afterwards")
        self.assertEqual(0, self.broker.terminate())
        reading.join(30)
        self.assertTrue(set(lines.pop(0)) <= {".", "\n"})
        for line in lines:
            self.assertRegex(line, HEAD)
        notes = [at for at, line in enumerate(lines) if " lines were dropped: the log could not be written for " in line]
        self.assertEqual(1, len(notes), notes)
        dropped = int(lines[notes[0]].split()[2])
        refusals = [at for at, line in enumerate(lines) if "login refused" in line]
        self.assertEqual(1201, len(refusals) + dropped)
        self.assertGreater(dropped, 100)
        self.assertEqual([at for at in refusals if at > notes[0]], [at for at, line in enumerate(lines) if "'afterwards'" in line])
        self.assertTrue(lines[-1].endswith(" stopped\n"), lines[-1])

    def test_a_reader_that_is_gone_does_no_harm(self):
        os.close(self.reader)
        self.reader = None
        self.fill()
        self.served()
        self.assertEqual(0, self.broker.terminate())


class Lines(unittest.TestCase):
    def start(self, **how):
        self.broker = StartedBroker(PROGRAM, **how)
        self.addCleanup(self.broker.stop)
        return self.broker

    def awaited(self, pattern):
        return until(lambda: re.search(pattern, log_of(self.broker), re.MULTILINE), f"the log says {pattern}")

    def test_the_first_lines_say_what_was_started(self):
        broker = self.start(config="memory_watermark = '100MiB'\n")
        self.awaited(rf"info Trilby \d+\.\d+\.\d+ starts as process {broker.pid}; configuration: {broker.directory}/trilby.toml; "
                     rf"data directory: {broker.directory}/data$")
        self.awaited(r"info limits: \d+ threads?, \d+ descriptors; publishers wait above 100 MiB of memory, below 50 MB of free disk$")
        self.awaited(r"info 1 user may log in, from this machine only: 'guest'$")
        self.awaited(r"info listening on 127\.0\.0\.1:%d$" % broker.address[1])

    def test_every_line_has_a_time_with_its_offset_and_a_level(self):
        broker = self.start(environment={"TZ": "IST-5:30"})
        broker.terminate()
        for line in log_of(broker).splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 (info|warning) [^ ]")

    def test_many_failed_handshakes_are_a_few_lines_and_a_number(self):
        broker = self.start()
        for _ in range(200):
            with socket.create_connection(broker.address, timeout=20) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                while stranger.recv(64):
                    pass
        broker.terminate()
        lines = [line for line in log_of(broker).splitlines() if "handshake failed - wrong protocol header 'GET / HT'" in line]
        self.assertLess(len(lines), 30)
        more = sum(int(number) for number in re.findall(r"; and (\d+) more in \d+ s$", "\n".join(lines), re.MULTILINE))
        self.assertEqual(200, len(lines) + more)

    def test_json_has_an_object_a_line(self):
        broker = self.start(config="log_format = 'json'\n")
        refused(broker.address, name=FORGED)
        broker.terminate()
        objects = [json.loads(line) for line in log_of(broker).splitlines()]
        for one in objects:
            self.assertRegex(one["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$")
            self.assertIn(one["level"], ("info", "warning"))
            self.assertTrue(one["message"])
        refusal, = (one for one in objects if one.get("event") == "login_refused")
        self.assertEqual(("guest", "127.0.0.1"), (refusal["user"], refusal["peer"].split(":")[0]))
        self.assertIn("\\x0a2026-01-01", refusal["name"])

    def test_systemd_gets_priorities(self):
        with tempfile.TemporaryFile() as journal:
            where = os.fstat(journal.fileno())
            broker = self.start(stderr=journal, environment={"JOURNAL_STREAM": f"{where.st_dev}:{where.st_ino}"})
            refused(broker.address)
            broker.terminate()
            journal.seek(0)
            lines = journal.read().decode().splitlines()
        for line in lines:
            self.assertRegex(line, r"^<[46]>[^<]")
        self.assertEqual(1, sum(line.startswith("<4>connection ") for line in lines), lines)

    def test_a_stop_is_a_few_lines_however_many_connections_there_are(self):
        broker = self.start()
        clients = [RawClient(broker.address).open() for _ in range(50)]
        self.assertEqual(0, broker.terminate())
        for client in clients:
            self.assertEqual(320, client.expect("connection.close")["reply-code"])
            client.socket.close()
        stop = log_of(broker).split(" stopping on SIGTERM; 50 connections are closed with 320\n")[1].splitlines()
        self.assertLess(len(stop), 5, stop)
        self.assertNotIn("warning", "".join(stop))

    def test_colours_only_where_they_are_wanted(self):
        for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
            with self.subTest(environment):
                self.assertEqual(coloured, b"\x1b[32minfo\x1b[0m " in self.on_terminal(dict({"NO_COLOR": ""}, **environment)))

    def on_terminal(self, environment):
        ours, theirs = pty.openpty()
        with contextlib.closing(open(ours, "rb", 0)) as ours, contextlib.closing(open(theirs, "wb", 0)) as theirs:
            StartedBroker(PROGRAM, stderr=theirs, environment=environment).stop()
            return ours.read(65536)


class Connections(unittest.TestCase):
    """Why was my client refused, and when did it go?"""

    start, awaited = Lines.start, Lines.awaited

    def client(self, **how):
        client = RawClient(self.broker.address)
        self.addCleanup(client.socket.close)
        return client.open(**how) if how else client

    def test_a_connection_that_is_opened_and_closed(self):
        self.start()
        client = self.client(name=b"web")
        client.send("confirm.select", channel=1)
        client.expect("confirm.select-ok")
        client.send("queue.declare", channel=1, queue=b"q", exclusive=1)
        client.expect("queue.declare-ok")
        client.send("basic.consume", channel=1, queue=b"q", consumer_tag=b"c", no_ack=1)
        client.expect("basic.consume-ok")
        for routing_key in (b"q", b"q", b"nowhere"):
            client.raw(amqp.method(1, "basic.publish", {"routing-key": routing_key}) + amqp.header(1, 0, {}))
        acked = delivered = 0
        while acked < 3 or delivered < 2:
            method, values = client.method()
            acked = values["delivery-tag"] if method == "basic.ack" else acked
            delivered += method == "basic.deliver"
        client.send("connection.close", reply_code=200, reply_text=b"Goodbye")
        client.expect("connection.close-ok")
        name = re.escape(f"connection {client.name} - 'web'")
        self.awaited(rf" info {name}: opened: user 'guest', vhost '/'$")
        self.awaited(rf" info {name}: closed: user 'guest', vhost '/' - the client closed it: 200 'Goodbye'; "
                     r"after \d+\.\d{3} s, 3 messages published, 2 delivered$")
        self.broker.terminate()
        self.assertEqual(2, log_of(self.broker).count(client.name))

    def test_why_it_ended(self):
        self.start()

        def error(client):
            client.send("channel.open", channel=1)

        def gone(client):
            client.socket.close()

        for what, reason in ((error, "504 CHANNEL_ERROR - second 'channel.open' seen"), (gone, "the client went away without a close")):
            client = self.client(name=what.__name__.encode())
            name = re.escape(f"connection {client.name} - '{what.__name__}'")
            what(client)
            self.awaited(rf" warning {name}: closed: user 'guest', vhost '/' - {re.escape(reason)}; after ")

    def test_why_a_channel_was_closed(self):
        self.start()
        client = self.client(name=b"web")
        client.send("queue.declare", channel=1, queue=b"missing", passive=1)
        client.expect("channel.close")
        self.awaited(rf" warning connection {re.escape(client.name)} - 'web': channel 1 closed: user 'guest', vhost '/' - "
                     r"404 NOT_FOUND - no queue 'missing' in vhost '/'; caused by queue\.declare$")

    def test_why_a_handshake_failed(self):
        self.start(config="handshake_timeout = '1s'\n")
        for act, reason in (
                (lambda client: client.raw(b"GET / HTTP/1.1\r\n\r\n"), r"wrong protocol header 'GET / HT'"),
                (lambda client: client.start(mechanism=b"EXTERNAL"), r"no credentials by mechanism 'EXTERNAL'"),
                (lambda client: (client.raw(amqp.PROTOCOL_HEADER), client.send("connection.open", virtual_host=b"/")),
                 r"connection\.open came, connection\.start-ok was awaited"),
                (lambda client: client.raw(amqp.PROTOCOL_HEADER + b"\x01\x00\x00\x00\x00\x00\x00!"),
                 r"what came was not connection\.start-ok"),
                (lambda client: client.raw(b"AMQP"), r"timed out, the protocol header was awaited"),
                (lambda client: client.raw(amqp.PROTOCOL_HEADER), r"timed out, connection\.start-ok was awaited"),
                (lambda client: (client.raw(b"AMQP"), client.socket.shutdown(1)), r"the client went away without a close"),
        ):
            client = self.client()
            act(client)
            self.awaited(rf" warning connection {re.escape(client.name)}: handshake failed - {reason}$")
        client = self.client()
        ForeignText.opening(client, b"elsewhere")
        self.awaited(rf" warning connection {re.escape(client.name)}: handshake failed: user 'guest' - "
                     "530 NOT_ALLOWED - vhost elsewhere not found$")

    def test_who_only_looks_whether_somebody_listens_is_no_line(self):
        self.start()
        client = self.client()
        client.socket.close()
        later = self.client(name=b"later")
        self.awaited("'later': opened")
        self.broker.terminate()
        self.assertEqual(1, log_of(self.broker).count(" connection "), later)

    def test_what_is_opened_and_closed_need_not_be_said(self):
        self.start(config="log_connections = false\n")
        client = self.client(name=b"web")
        client.send("connection.close", reply_code=200)
        client.expect("connection.close-ok")
        self.broker.terminate()
        self.assertNotIn("'web'", log_of(self.broker))


class Signals(unittest.TestCase):
    start, awaited = Lines.start, Lines.awaited

    def test_user_signals_are_ignored_with_a_line(self):
        broker = self.start()
        for one in (signal.SIGUSR1, signal.SIGUSR2):
            broker.process.send_signal(one)
            self.awaited(f"{one.name} is ignored$")
        RawClient(broker.address).open().socket.close()
        self.assertEqual(0, broker.terminate())

    def test_hang_up_reads_the_configuration_again(self):
        broker = self.start(config="log_level = 'warning'\nheartbeat = '60s'\n")
        file = broker.directory / "trilby.toml"

        def reread(text, *says):
            file.write_text(text)
            broker.process.send_signal(signal.SIGHUP)
            for said in says:
                self.awaited(said)

        reread("log_level = 'info'\nloopback_users = []\nheartbeat = '30s'\n", "SIGHUP: changed: log_level, loopback_users$",
               "SIGHUP: changed at the next start only: heartbeat$")
        reread("log_level = 'info'\nloopback_users = ]\n", rf"error SIGHUP: everything stays as it is: {file}:2: ")
        reread("log_level = 'error'\nloopback_users = []\nheartbeat = '60s'\n", "SIGHUP: changed: log_level$")
        reread("log_level = 'info'\nloopback_users = []\nheartbeat = '60s'\nlog_format = 'json'\n",
               '"message":"SIGHUP: changed: log_format, log_level"')
        RawClient(broker.address).open().socket.close()
        self.assertEqual(0, broker.terminate())

    def test_who_is_a_loopback_user_changes_with_it(self):
        address = self.address_of_this_machine()
        broker = self.start(config="loopback_users = ['guest']\n", arguments=("--listen", f"{address}:0"))
        outside = (address, int(self.awaited(rf"listening on .* {address}:(\d+)$")[1]))
        with RawClient(outside) as client:
            client.start().expect("connection.close")
        (broker.directory / "trilby.toml").write_text("loopback_users = []\n")
        broker.process.send_signal(signal.SIGHUP)
        self.awaited("SIGHUP: changed: loopback_users$")
        with RawClient(outside) as client:
            client.open()

    def address_of_this_machine(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # sends nothing
            except OSError as error:
                self.skipTest(f"no address but loopback: {error}")
            return probe.getsockname()[0]

    def test_on_a_terminal_hang_up_stops_as_a_stop_does(self):
        ours, theirs = pty.openpty()
        with contextlib.closing(open(ours, "rb", 0)), contextlib.closing(open(theirs, "wb", 0)) as theirs:
            broker = self.start(stdin=theirs)
            client = RawClient(broker.address).open()
            self.assertEqual(0, broker.terminate(signal.SIGHUP))
        self.assertEqual(320, client.expect("connection.close")["reply-code"])
        self.assertIn(" stopping on SIGHUP; 1 connections are closed with 320\n", log_of(broker))

    def test_hang_up_of_a_broker_under_nohup_is_nothing(self):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            broker = self.start()
        finally:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        broker.process.send_signal(signal.SIGHUP)
        broker.process.send_signal(signal.SIGUSR1)
        self.awaited("SIGUSR1 is ignored$")
        self.assertNotIn("SIGHUP", log_of(broker))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
