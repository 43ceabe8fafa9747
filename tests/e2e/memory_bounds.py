#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever a peer makes the broker hold is counted and bounded.  memory_bounds.py BROKER"""
import pathlib
import re
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import until
from raw_peer import BODY_FRAME, RawPeer, amqp, content, publish
from started_broker import StartedBroker

PROGRAM = ""
MIB = 1 << 20
NO_ACK = {"no-ack": True}


def resident(broker):
    status = pathlib.Path(f"/proc/{broker.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


class Watch(threading.Thread):
    """The most that was resident while it ran."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.most, self.over = broker, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            self.most = max(self.most, resident(self.broker))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class MemoryBounds(unittest.TestCase):
    def start(self, config=""):
        broker = StartedBroker(PROGRAM, config=config)
        self.addCleanup(broker.stop)
        return broker

    def assert_serves(self, broker):
        """Somebody else's message comes through."""
        peer = RawPeer(broker)
        queue = peer.call("queue.declare", exclusive=True)["queue"]
        peer.call("confirm.select")
        peer.socket.sendall(publish(1, "", queue.decode(), 100))
        peer.until("basic.ack")
        peer.call("basic.get", queue=queue, **NO_ACK)
        peer.close()

    def test_contents_under_way_stop_at_the_watermark_and_do_not_stay(self):
        broker = self.start('memory_watermark = "96MiB"\nmax_message_size = "512MiB"\n')
        channels = range(1, 21)
        peer = RawPeer(broker, channels=len(channels))
        for channel in channels:
            peer.send("basic.publish", channel, **{"routing-key": b"nobody"})
            peer.socket.sendall(amqp.header(channel, 512 * MIB, {}))
        frames = b"".join(amqp.frame(amqp.BODY, channel, b"b" * BODY_FRAME) for channel in channels)
        with Watch(broker) as watch:
            sent = peer.flood(frames, 4, most=400 * MIB)
        self.assertGreater(sent, 40 * MIB)
        self.assertLess(watch.most / MIB, 96 + 24)
        # Nobody could ever finish: the one that holds the memory is closed, and others go on.
        with self.assertRaisesRegex(AssertionError, "506 b?'?RESOURCE_ERROR - memory stays low"):
            peer.until("connection.close-ok")
        self.assert_serves(broker)

    def test_an_open_transaction_stops_at_the_watermark_and_does_not_stay(self):
        broker = self.start('memory_watermark = "96MiB"\n')
        peer = RawPeer(broker)
        queue = peer.call("queue.declare", exclusive=True)["queue"].decode()
        peer.call("tx.select")
        with Watch(broker) as watch:
            peer.flood(publish(1, "", queue, 10_000) * 20, 4, most=400 * MIB)
        self.assertLess(watch.most / MIB, 96 + 24)
        with self.assertRaisesRegex(AssertionError, "506 b?'?RESOURCE_ERROR - memory stays low"):
            peer.until("connection.close-ok")
        self.assert_serves(broker)

    def test_a_message_that_is_too_large_is_refused_by_its_header(self):
        peer = RawPeer(self.start('max_message_size = "1MiB"\n'))
        peer.send("basic.publish", **{"routing-key": b"nobody"})
        peer.socket.sendall(amqp.header(1, MIB + 1, {}))
        self.assertEqual(b"PRECONDITION_FAILED - message size 1048577 is larger than configured max size 1048576",
                         peer.until("channel.close")["reply-text"])

    def test_a_requester_that_does_not_read(self):
        broker = self.start('threads = 2\n')
        requester = RawPeer(broker, receive_buffer=4096)
        requester.call("basic.consume", queue=b"amq.rabbitmq.reply-to", **NO_ACK)
        server = RawPeer(broker)
        server.call("queue.declare", queue=b"requests", exclusive=True)
        server.call("basic.consume", queue=b"requests", **NO_ACK)
        requester.socket.sendall(publish(1, "", "requests", 10, **{"reply-to": b"amq.rabbitmq.reply-to"}))
        server.until("basic.deliver")
        address = amqp.decode_header(server.frame()[1])[1]["reply-to"].decode()
        before = resident(broker)
        with Watch(broker) as watch:
            sent = server.flood(publish(1, "", address, 1000) * 200 + publish(1, "", address, 100_000), 4, 200 * MIB)
        self.assertGreater(sent, 80 * MIB, "who replies is not held up")
        self.assertLess((watch.most - before) / MIB, 32 + 16)
        until(lambda: "does not read: direct replies to it are dropped" in broker.log_tail(), "a line in the log")
        self.assert_serves(broker)
        # A requester that reads again gets the next one.
        requester.flood(b"", 0)
        requester.socket.settimeout(1)
        try:
            while requester.socket.recv(MIB):
                pass
        except TimeoutError:
            pass
        until(lambda: "direct replies were dropped" in broker.log_tail(), "how many, in the log")
        requester.received.clear()
        server.socket.sendall(publish(1, "", address, 7))
        requester.socket.settimeout(60)
        self.assertTrue(requester.socket.recv(4096))

    def test_gets_whose_answers_nobody_reads(self):
        broker = self.start()
        peer = RawPeer(broker)
        peer.call("queue.declare", queue=b"large")
        peer.call("confirm.select")
        for _ in range(96):
            peer.socket.sendall(publish(1, "", "large", MIB))
            peer.until("basic.ack")
        reader = RawPeer(broker, receive_buffer=4096)
        before = resident(broker)
        with Watch(broker) as watch:
            for _ in range(96):
                reader.send("basic.get", queue=b"large", **NO_ACK)
            left = 96
            end = time.monotonic() + 2
            while time.monotonic() < end:
                left = peer.call("queue.declare", queue=b"large", passive=True)["message-count"]
                time.sleep(0.05)
        self.assertGreater(left, 80, "the other gets wait")
        self.assertLess((watch.most - before) / MIB, 24)
        for _ in range(96):  # and each has its answer in the end
            reader.until("basic.get-ok")

    def test_what_is_declared_has_an_end(self):
        broker = self.start('memory_watermark = "160MiB"\nthreads = 2\n')
        peer = RawPeer(broker)

        def table(number):
            return [(b"note", ("S", b"%d" % number * 2000))]

        def add():
            number = 0
            while True:
                number += 1
                queue = b"held-%d" % number
                peer.call("queue.declare", queue=queue, arguments=table(number))
                peer.call("queue.bind", queue=queue, exchange=b"amq.direct", arguments=table(number))
        with self.assertRaisesRegex(AssertionError, "406 .*: what is declared takes as much memory as it may"):
            add()
        self.assertLess(resident(broker) / MIB, 100)
        # Who takes away is never stopped, and makes room.
        peer = RawPeer(broker)
        peer.call("queue.declare", queue=b"held-1", arguments=table(1))
        peer.call("queue.unbind", queue=b"held-1", exchange=b"amq.direct", arguments=table(1))
        for number in range(1, 100):
            peer.call("queue.delete", queue=b"held-%d" % number)
        peer.call("queue.declare", queue=b"new")

    def test_a_flood_stops_at_the_watermark(self):
        broker = self.start('memory_watermark = "128MiB"\nbacklog_memory = "4GiB"\nthreads = 2\n')
        peers = [RawPeer(broker) for _ in range(4)]
        for number, peer in enumerate(peers):
            peer.call("queue.declare", queue=b"deep-%d" % number, exclusive=True)
        with Watch(broker) as watch:
            threads = [threading.Thread(target=peer.flood, args=(publish(1, "", f"deep-{number}", 100_000) * 20, 3))
                       for number, peer in enumerate(peers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertGreater(watch.most / MIB, 128)
        self.assertLess(watch.most / MIB, 128 + 12)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
