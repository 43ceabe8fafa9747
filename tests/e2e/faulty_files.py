#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls for the catalog and for backlogs fail, in a running broker.  faulty_files.py BROKER FAULTS

FAULTS is tests/e2e/faults/faulty_disk.cpp, built. The journal has faulty_disk.py. A change that the catalog's file does
not take is refused and the broker goes on; what was answered is there at the next start. A waiting message that cannot be
spilled stays in memory, and one that cannot be read back is passed over, and said to be.
"""
import collections
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, until
from fault_injection import KINDS, Faults, sampled
from started_broker import StartedBroker

pika = client("pika")

PROGRAM = FAULTS = ""
PERSISTENT = pika.BasicProperties(delivery_mode=2)
NOT_STORED = (541, "INTERNAL_ERROR - the change cannot be stored")


class Case(unittest.TestCase):
    FILES = CONFIG = ""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trilby-faulty-")).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = self.folder / "data"
        self.faults = Faults(FAULTS, self.folder, self.data / self.FILES)
        self.broker = StartedBroker(PROGRAM, config="connections_together = 8\n" + self.CONFIG, data=self.data)
        self.addCleanup(self.broker.stop)

    def connect(self):
        return pika.BlockingConnection(pika.URLParameters(self.broker.url))

    def restart(self, fault=None, lasts=False):
        if self.broker.process.poll() is None:
            self.assertEqual(0, self.broker.terminate())
        self.log_from = (self.broker.directory / "log").stat().st_size
        self.broker.environment = {} if fault is None else self.faults.environment(fault, lasts)
        self.broker.start()

    def log(self):
        return (self.broker.directory / "log").read_bytes()[self.log_from:].decode()


class Catalog(Case):
    FILES = "catalog.sqlite"
    CHANGES = 8

    def change(self):
        """Queues with bindings, declared one after the other, on a new connection when one is refused."""
        channel = None
        refused = 0
        for _ in range(self.CHANGES):
            self.made += 1
            queue = f"q-{self.made}"
            try:
                if channel is None:
                    channel = self.connect().channel()
                channel.queue_declare(queue, durable=True)
                self.answered[queue] = []
                for key in ("a", "b"):
                    channel.queue_bind(queue, "amq.topic", key)
                    self.answered[queue].append(key)
            except pika.exceptions.ConnectionClosedByBroker as closed:
                self.assertEqual(NOT_STORED, closed.args)
                channel, refused = None, refused + 1  # a binding, if the queue is there
                if queue not in self.answered:
                    self.refused.append(queue)
        if channel:
            channel.connection.close()
        return refused

    def compare(self):
        """What was answered is there, and what was refused is not."""
        connection = self.connect()
        channel = connection.channel()
        for key in ("a", "b"):
            channel.basic_publish("amq.topic", key, b"")
        for queue, keys in self.answered.items():
            self.assertEqual(len(keys), channel.queue_declare(queue, passive=True).method.message_count, queue)
        for queue in self.refused:
            with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
                connection.channel().queue_declare(queue, passive=True)
            self.assertEqual(404, caught.exception.args[0])
        connection.close()

    def one(self, fault):
        """How many changes were refused."""
        try:
            self.restart(fault)
        except RuntimeError:
            self.assertEqual(1, self.broker.process.returncode)
            self.assertRegex(self.log(), rf"trilby serve: {self.data}/catalog.sqlite: (disk I/O error|database or disk is full)")
            self.assertEqual(1, self.faults.struck())
            self.restart()
            return 0
        refused = self.change() + self.change()
        self.assertEqual(1, self.faults.struck())
        self.assertLessEqual(refused, 1)
        return refused

    def test_a_change_is_stored_and_answered_or_refused(self):
        self.made, self.answered, self.refused = 0, {}, []
        self.restart(fault="")
        self.assertEqual(0, self.change())
        self.assertEqual(0, self.broker.terminate())
        counts = dict(zip(KINDS, self.faults.counts()))
        print(counts)
        self.broker.start()
        seen = collections.Counter()
        for kind, least, whats in (("write-one", 20, ("EIO", "ENOSPC", "short")), ("sync", 15, ("EIO", "ENOSPC"))):
            self.assertGreaterEqual(counts[kind], least)
            for what in whats:
                for number in sampled(counts[kind], 6):
                    with self.subTest(kind=kind, number=number, what=what):
                        seen[kind, what] += self.one(f"{kind}:{number}:{what}")
                        self.restart()
                        self.compare()
        print(dict(seen))
        self.assertEqual(0, seen["write-one", "short"])
        self.assertTrue(seen["write-one", "EIO"] and seen["write-one", "ENOSPC"] and seen["sync", "EIO"])

    def test_a_full_disk_refuses_until_there_is_room(self):
        self.made, self.answered, self.refused = 0, {}, ["refused"]
        self.restart("write-one:1:", lasts=True)
        self.faults.lasting.write_text("ENOSPC")
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            self.connect().channel().queue_declare(*self.refused, durable=True)
        self.assertEqual(NOT_STORED, caught.exception.args)
        self.connect().channel().queue_declare("transient")  # not the catalog's
        self.faults.lasting.unlink()
        self.assertEqual(0, self.change())
        self.restart()
        self.compare()


class Backlog(Case):
    CONFIG = "backlog_memory = 4096\nthreads = 1\n"
    COUNT, SIZE = 2000, 1024

    def fill(self, durable):
        channel = self.connect().channel()
        channel.queue_declare("backlog", durable=durable)
        for number in range(self.COUNT):
            channel.basic_publish("", "backlog", str(number).rjust(self.SIZE).encode(), PERSISTENT if durable else None)
        self.assertEqual(self.COUNT, channel.queue_declare("backlog", passive=True).method.message_count)
        channel.connection.close()

    def drain(self, lost=0):
        """What comes: all in order, but for so many at most."""
        connection, numbers = self.connect(), []
        channel = connection.channel()
        channel.basic_qos(prefetch_count=100)
        def take(channel, method, properties, octets):
            self.assertEqual(self.SIZE, len(octets))
            numbers.append(int(octets))
            channel.basic_ack(method.delivery_tag)
        channel.basic_consume("backlog", take)
        def none_waits():
            connection.process_data_events(0.05)
            return channel.queue_declare("backlog", passive=True).method.message_count == 0
        until(none_waits, "nothing waits any more")
        count = -1
        while count != len(numbers):  # what is on its way
            count = len(numbers)
            connection.process_data_events(0.2)
        connection.close()
        self.assertEqual(sorted(set(numbers)), numbers)
        self.assertGreaterEqual(len(numbers), self.COUNT - lost)
        return numbers


class Spill(Backlog):
    FILES = "#"  # as files without a name are called

    def setUp(self):
        super().setUp()
        try:
            os.close(os.open(self.data, os.O_TMPFILE | os.O_RDWR))
        except OSError as error:
            print(f"SKIPPED: no files without names in {self.data}: {error}", file=sys.stderr)
            self.skipTest("no files without names")

    def run_with(self, fault, lost=0):
        self.restart(fault)
        self.fill(durable=False)
        return self.drain(lost)

    def test_a_message_that_cannot_be_spilled_stays_in_memory(self):
        self.run_with("")
        counts = dict(zip(KINDS, self.faults.counts()))
        print(counts)
        for kind, whats in (("open-unnamed", ("EOPNOTSUPP", "EIO")), ("allocate", ("ENOSPC", "EIO")),
                            ("write-one", ("ENOSPC", "EIO", "EINTR", "short"))):
            self.assertGreaterEqual(counts[kind], 1)
            for what in whats:
                for number in sampled(counts[kind], 3):
                    with self.subTest(kind=kind, number=number, what=what):
                        self.run_with(f"{kind}:{number}:{what}")
                        self.assertEqual(1, self.faults.struck())
                        self.assertNotIn("is lost", self.log())
        with self.subTest("no write at all"):
            self.faults.lasting.write_text("EIO")
            self.restart("write-one:1:", lasts=True)
            self.fill(durable=False)
            self.drain()
            self.assertIn("waiting messages stay in memory, writing them below", self.log())

    def test_what_cannot_be_read_back_is_passed_over(self):
        for what, most in (("short", 0), ("EINTR", 0), ("EAGAIN", 0), ("ENOMEM", 0), ("EIO", 1)):
            with self.subTest(what=what):
                self.run_with(f"read-back:3:{what}", lost=most)
                self.assertEqual(1, self.faults.struck())
                self.assertEqual(most, self.log().count("a message is lost: the spill file is damaged at"))


class ReadBack(Backlog):
    FILES = "journal"

    def test_a_read_that_fails_once_costs_nothing(self):
        for what in ("short", "EINTR", "EAGAIN", "ENOMEM", "EIO"):
            with self.subTest(what=what):
                self.restart(f"read-back:3:{what}")
                self.fill(durable=True)
                self.drain()
                self.assertEqual(1, self.faults.struck())

    def test_what_cannot_be_read_is_there_at_the_next_start(self):
        self.faults.lasting.write_text("EIO")
        self.restart("read-back:5:", lasts=True)
        self.fill(durable=True)
        numbers = self.drain(lost=self.COUNT)
        lost = self.log().count("a message is lost: ")
        self.assertTrue(0 < lost < self.COUNT)
        self.assertEqual(self.COUNT - lost, len(numbers))
        self.restart()
        self.assertEqual(sorted(set(range(self.COUNT)) - set(numbers)), self.drain(lost=self.COUNT))


if __name__ == "__main__":
    PROGRAM, FAULTS = sys.argv.pop(1), os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
