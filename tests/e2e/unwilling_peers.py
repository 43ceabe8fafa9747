#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients that do not read, do not answer, or are gone without a word.  unwilling_peers.py BROKER"""
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

tests = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(tests), str(tests / "wire")]
import amqp
from broker_url import PATIENCE, until
from started_broker import StartedBroker, free_port

PROGRAM = ""
MIB = 1 << 20


PERSISTENT = {"delivery-mode": 2}


def publish(queue, body, mandatory=False, **properties):
    return (amqp.method(1, "basic.publish", {"routing-key": queue, "mandatory": mandatory}) +
            amqp.header(1, len(body), properties) + b"".join(amqp.frame(amqp.BODY, 1, body[at:at + 100_000])
                                                     for at in range(0, len(body), 100_000)))


def declared_by_another(broker, queue):
    try:
        Peer(broker).call(1, "queue.declare", "queue.declare-ok", queue=queue, exclusive=1)
        return True
    except AssertionError:  # 405 RESOURCE_LOCKED
        return False


class Peer:
    """A connection that is spoken to in frames, and reads only when it is asked to."""

    def __init__(self, broker, receive_buffer=None, login=True, capabilities=()):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(broker.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if login:
            self.log_in([(word, ("t", 1)) for word in capabilities])

    def log_in(self, capabilities):
        self.send(amqp.PROTOCOL_HEADER)
        self.hear("connection.start")
        self.send(amqp.method(0, "connection.start-ok", {
            "client-properties": [(b"capabilities", ("F", capabilities))], "mechanism": b"PLAIN",
            "response": b"\0guest\0guest", "locale": b"en_US"}))
        self.hear("connection.tune")
        self.send(amqp.method(0, "connection.tune-ok", {"channel-max": 2047, "frame-max": 131072, "heartbeat": 0}))
        self.call(0, "connection.open", "connection.open-ok", **{"virtual-host": b"/"})
        self.call(1, "channel.open", "channel.open-ok")

    def send(self, octets):
        self.socket.sendall(octets)

    def flood(self, octets, blocked):
        """Sends them again and again until nobody has taken any for a while, and `blocked` holds."""
        self.socket.settimeout(0.3)
        sent, deadline = 0, time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                sent += self.socket.send(octets[sent % len(octets):])
            except (TimeoutError, socket.timeout):
                if blocked():
                    return
        raise AssertionError("the flood goes on")

    def exactly(self, size):
        octets = b""
        while len(octets) < size:
            part = self.socket.recv(size - len(octets))
            if not part:
                raise EOFError("the connection has ended")
            octets += part
        return octets

    def hear(self, wanted):
        while True:
            kind, _, size = struct.unpack(">BHI", self.exactly(7))
            payload = self.exactly(size + 1)[:-1]
            if kind == amqp.METHOD:
                name, values = amqp.decode_method(payload)
                if name == wanted:
                    return values
                assert name not in ("connection.close", "channel.close"), values

    def call(self, channel, name, answer, **values):
        self.send(amqp.method(channel, name, values))
        return self.hear(answer)


class AStop(unittest.TestCase):
    def stopped_beside(self, prepare, seconds=8, config=None):
        with StartedBroker(PROGRAM, config=config) as broker:
            peers = prepare(broker)
            began = time.monotonic()
            self.assertEqual(0, broker.terminate(), broker.log_tail())
            self.assertLess(time.monotonic() - began, seconds)
            for peer in peers:
                peer.socket.close()

    def test_beside_a_client_that_does_not_read_what_is_returned_to_it(self):
        def prepare(broker):
            peer = Peer(broker, receive_buffer=4096)
            peer.flood(publish(b"nowhere", b"z" * 100, mandatory=True) * 500, lambda: True)
            return [peer]
        self.stopped_beside(prepare)

    def test_beside_a_consumer_that_does_not_read(self):
        def prepare(broker):
            consumer, publisher = Peer(broker, receive_buffer=4096), Peer(broker)
            consumer.call(1, "queue.declare", "queue.declare-ok", queue=b"q")
            consumer.call(1, "basic.consume", "basic.consume-ok", queue=b"q", **{"no-ack": 1})
            publisher.send(publish(b"q", b"z" * 50_000) * 200)
            publisher.call(1, "queue.declare", "queue.declare-ok", queue=b"q", passive=1)
            return [consumer, publisher]
        self.stopped_beside(prepare)

    def test_beside_clients_in_the_middle_of_a_handshake(self):
        def prepare(broker):
            silent, half = Peer(broker, login=False), Peer(broker, login=False)
            half.send(amqp.PROTOCOL_HEADER)
            half.hear("connection.start")
            return [silent, half]
        self.stopped_beside(prepare)

    def test_beside_a_client_that_does_not_answer_the_close(self):
        self.stopped_beside(lambda broker: [Peer(broker)])

    def test_beside_blocked_publishers(self):
        def prepare(broker):
            peer = Peer(broker)
            peer.call(1, "queue.declare", "queue.declare-ok", queue=b"q")
            peer.flood(publish(b"q", b"z" * 90_000), lambda: "memory alarm" in broker.log_tail())
            return [peer]
        self.stopped_beside(prepare, config='memory_watermark = "64MiB"\nbacklog_memory = "1GiB"\n')


class FullDisk(unittest.TestCase):
    """A commit that waits for room on the disk, and does not get any."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="trilby-full-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", self.folder], capture_output=True).returncode:
            self.skipTest("a small file system can only be mounted by root")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.folder], check=False)

    def waiting_commit(self, broker):
        """A transaction of 16 MB that has to wait, by a client that owns a queue."""
        filler, peer = Peer(broker), Peer(broker)
        filler.call(1, "queue.declare", "queue.declare-ok", queue=b"full", durable=1)
        peer.call(1, "queue.declare", "queue.declare-ok", queue=b"mine", exclusive=1)
        peer.call(1, "tx.select", "tx.select-ok")
        for _ in range(160):
            peer.send(publish(b"full", b"z" * 100_000, **PERSISTENT))
        peer.call(1, "queue.declare", "queue.declare-ok", queue=b"mine", exclusive=1)
        filler.flood(publish(b"full", b"z" * 100_000, **PERSISTENT), lambda: "disk alarm" in broker.log_tail())
        peer.send(amqp.method(1, "tx.commit", {}))
        return filler, peer

    def test_a_stop_does_not_wait_for_it(self):
        with StartedBroker(PROGRAM, config="disk_watermark = 0\n", data=self.folder + "/data") as broker:
            peers = self.waiting_commit(broker)
            began = time.monotonic()
            self.assertEqual(0, broker.terminate(), broker.log_tail())
            self.assertLess(time.monotonic() - began, 8)
            for peer in peers:
                peer.socket.close()

    def test_the_queues_of_a_client_that_has_gone_do_not_wait_for_it(self):
        with StartedBroker(PROGRAM, config="disk_watermark = 0\n", data=self.folder + "/data") as broker:
            filler, peer = self.waiting_commit(broker)
            peer.socket.close()
            until(lambda: declared_by_another(broker, b"mine"), "the exclusive queue goes with its owner")
            filler.socket.close()


class Gone(unittest.TestCase):
    """A client that holds the memory, and dies while it is blocked: others publish again soon."""

    CONFIG = 'memory_watermark = "96MiB"\nbacklog_memory = "1GiB"\n'

    def others_go_on_after(self, end, **options):
        with StartedBroker(PROGRAM, config=self.CONFIG) as broker:
            peer = Peer(broker, **options)
            peer.call(1, "queue.declare", "queue.declare-ok", queue=b"mine", exclusive=1)
            peer.flood(publish(b"mine", b"z" * 90_000), lambda: "memory alarm: " in broker.log_tail())
            end(peer)
            until(lambda: "memory alarm cleared" in broker.log_tail(), "its memory comes back")
            other = Peer(broker)
            other.call(1, "confirm.select", "confirm.select-ok")
            other.send(publish(b"nowhere", b"x"))
            other.hear("basic.ack")

    def test_with_something_unread(self):
        """The system resets the connection."""
        def end(peer):
            until(lambda: peer.socket.recv(1, socket.MSG_PEEK), "connection.blocked")
            peer.socket.close()
        self.others_go_on_after(end, capabilities=[b"connection.blocked"])

    def test_with_its_side_closed_behind_what_it_sent(self):
        """All that it sent fits into the system's buffers, so its end follows."""
        with StartedBroker(PROGRAM, config=self.CONFIG) as broker:
            holder, killer = Peer(broker), Peer(broker)
            holder.call(1, "queue.declare", "queue.declare-ok", queue=b"mine", exclusive=1)
            holder.call(1, "tx.select", "tx.select-ok")
            killer.call(1, "queue.declare", "queue.declare-ok", queue=b"full", exclusive=1)
            killer.flood(publish(b"full", b"z" * 90_000), lambda: "memory alarm: " in broker.log_tail())
            holder.send(publish(b"mine", b"held"))
            holder.socket.close()
            until(lambda: declared_by_another(broker, b"mine"), "the exclusive queue goes with its owner")


class Tcp(unittest.TestCase):
    """What the system does for the broker, which asks it to."""

    @staticmethod
    def timers(broker):
        """Of the broker's ends of its connections: 2 is that of keepalive."""
        rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [int(row[5].split(":")[0], 16) for row in rows
                if int(row[1].split(":")[1], 16) == broker.address[1] and row[3] == "01"]

    def test_keepalive_is_on_unless_it_is_turned_off(self):
        for config, timers in (None, [2]), ('tcp_keepalive = "0"\n', [0]):
            with self.subTest(config=config), StartedBroker(PROGRAM, config=config) as broker:
                peer = Peer(broker)
                until(lambda: self.timers(broker) == timers, f"timers {timers}")
                peer.socket.close()

    def test_who_takes_nothing_is_over_after_the_user_timeout(self):
        with StartedBroker(PROGRAM, config='tcp_user_timeout = "2s"\n') as broker:
            reader, peer = Peer(broker), Peer(broker, receive_buffer=4096)
            peer.flood(publish(b"nowhere", b"z" * 100, mandatory=True) * 500, lambda: True)
            until(lambda: self.gone(peer), "the connection is over")
            reader.call(1, "queue.declare", "queue.declare-ok", exclusive=1)

    @staticmethod
    def gone(peer):
        try:
            peer.socket.send(b"\0", socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            return True
        return False


class Descriptors(unittest.TestCase):
    def test_strangers_cannot_take_those_of_the_journal(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for limits in "64", "64:256", "256":
            with self.subTest(limits=limits), StartedBroker(PROGRAM, prefix=("prlimit", f"--nofile={limits}")) as broker:
                client = Peer(broker)
                client.call(1, "queue.declare", "queue.declare-ok", queue=b"q", durable=1)
                client.call(1, "confirm.select", "confirm.select-ok")
                strangers = []
                for _ in range(300):
                    stranger = socket.socket()
                    stranger.setblocking(False)
                    stranger.connect_ex(broker.address)
                    strangers.append(stranger)
                until(lambda: "accepting nobody on" in broker.log_tail(), "the acceptor stops")
                message = publish(b"q", b"x" * 1_000_000, **PERSISTENT)
                confirmed = 0
                for _ in range(60):
                    client.send(message)
                    confirmed = max(confirmed, client.hear("basic.ack")["delivery-tag"])
                self.assertEqual(60, confirmed)
                self.assertEqual(1, len(re.findall("accepting nobody on", broker.log_tail())), "said once")
                for stranger in strangers:
                    stranger.close()
                until(lambda: "again" in broker.log_tail(), "the acceptor goes on")
                Peer(broker).call(1, "queue.declare", "queue.declare-ok", queue=b"q", passive=1)


class Threads(unittest.TestCase):
    def test_sixty_four_serve(self):
        with StartedBroker(PROGRAM, config="threads = 64\nconnections_together = 1\n") as broker:
            peers = [Peer(broker) for _ in range(65)]  # the last one is with the first again
            for number in 0, 1, 31, 32, 62, 63, 64:
                peers[number].call(1, "queue.declare", "queue.declare-ok", queue=b"q%d" % number)
                peers[-1 - number].send(publish(b"q%d" % number, b"x"))
                peers[-1 - number].call(1, "queue.declare", "queue.declare-ok", queue=b"q%d" % number, passive=1)
                self.assertEqual(1, peers[number].call(1, "queue.purge", "queue.purge-ok", queue=b"q%d" % number)["message-count"])

    def test_ninety_six_are_refused_in_words(self):
        refused = subprocess.run([PROGRAM, "serve", "--threads", "96", "--listen", f"127.0.0.1:{free_port()}"],
                                 capture_output=True, text=True, timeout=60)
        self.assertNotEqual(0, refused.returncode)
        self.assertRegex(refused.stderr, r"96.*64")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
