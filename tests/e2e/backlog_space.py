#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What long queues took, on the disk and of memory, comes back.  backlog_space.py BROKER LOAD_TOOL [TEST…]"""
import re
import signal
import subprocess
import time

from backlog_case import (COUNT, MIB, SIZE, Case, ack, both_kinds, connect, hidden, labels, main, numbers, ready,
                          resident, take, visible)
from broker_url import until

KNOWN = re.compile(r"catalog\.sqlite(-wal|-shm)?|trilby\.pid|journal|journal/(.*\.seg|spare-.*)")


class Space(Case):
    """What messages took is there again when they have gone."""

    ROUNDS = 3
    SEGMENTS = 48 * MIB  # what an empty journal keeps at most: three of its segments, less than was in the queue
    SPILL = 24 * MIB

    def journal(self, broker):
        return sum(size for file, size in visible(broker).items() if file.endswith(".seg"))

    def rounds(self, durable, emptied):
        """Fills and empties a queue several times; the later rounds need no more than the first."""
        broker = self.start()
        memory, disk = [], []
        for _ in range(self.ROUNDS):
            with connect(broker) as connection:
                connection.channel().queue_declare("filled", durable=durable)
            self.fill(broker, "filled", durable)
            disk.append(sum(visible(broker).values()) + hidden(broker))
            emptied(broker)
            until(lambda: self.journal(broker) <= self.SEGMENTS, "the journal's space comes back")
            until(lambda: hidden(broker) <= self.SPILL, "the space of the spill comes back")
            memory.append(resident(broker))
        print("  resident, MiB:", [size // MIB for size in memory], "on the disk, MiB:", [size // MIB for size in disk], flush=True)
        self.assertLess(memory[-1], memory[0] + 8 * MIB)
        self.assertLess(disk[-1], disk[0] + self.SEGMENTS)

    @both_kinds
    def test_purge(self, durable):
        def purge(broker):
            with connect(broker) as connection:
                channel = connection.channel()
                held = take(channel, "filled", 100)
                self.assertEqual(COUNT - 100, channel.queue_purge("filled").method.message_count)
                self.assertEqual(0, ready(broker, "filled"))
                channel.basic_nack(held[-1][0].delivery_tag, multiple=True, requeue=True)
                got = take(channel, "filled", 100)
                self.assertEqual(numbers(0, 100, True), labels(got))
                ack(channel, got)
                self.assertEqual(0, channel.queue_purge("filled").method.message_count)
        self.rounds(durable, purge)

    @both_kinds
    def test_delete(self, durable):
        def delete(broker):
            with connect(broker) as connection:
                channel = connection.channel()
                held = take(channel, "filled", 100)
                self.assertEqual(COUNT - 100, channel.queue_delete("filled").method.message_count)
                ack(channel, held)
                channel.queue_declare("filled", durable=True)
                self.assertEqual(0, ready(broker, "filled"))
                channel.queue_delete("filled")
        self.rounds(durable, delete)

    @both_kinds
    def test_drain(self, durable):
        self.rounds(durable, lambda broker: self.drain(broker, "filled"))

    def test_memory_of_a_long_queue_goes_back_to_the_system(self):
        broker = self.start()
        idle = resident(broker)
        self.fill(broker, "long", True, size=16, messages=3_000_000)
        filled = resident(broker)
        self.drain(broker, "long", size=16, messages=3_000_000)
        until(lambda: resident(broker) < idle + 20 * MIB, "the memory comes back")
        print(f"  over idle, MiB: {(filled - idle) / MIB:.1f}, drained {(resident(broker) - idle) / MIB:.1f}", flush=True)

    def test_a_spill_is_seen_by_nobody_and_leaves_nothing(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how=how.name):
                broker = self.start()
                self.fill(broker, "fleeting", False)
                self.only_known_files(broker)
                self.drain(broker, "fleeting")
                drained = visible(broker)
                time.sleep(1.5)
                for file, size in visible(broker).items():
                    self.assertLessEqual(size, drained.get(file, 0), f"{file} grows while nothing happens")
                self.fill(broker, "fleeting", False)
                broker.terminate(how)
                self.only_known_files(broker)
                self.assertLess(sum(visible(broker).values()), COUNT * SIZE)
                self.assertEqual({"data", "log"}, {path.name for path in broker.directory.iterdir()})

    def only_known_files(self, broker):
        unknown = [file for file in visible(broker) if not KNOWN.fullmatch(file)]
        self.assertEqual([], unknown, "files that docs/durability.md does not name")


class Reclaim(Case):
    STALL = 50_000  # microseconds that a publisher may wait for what is copied
    STAYING = 8000

    def test_reclaiming_holds_no_publisher_up(self):
        """While some of every segment stays, and is copied so that the rest of it comes back."""
        broker = self.start()
        for attempt in range(3):  # a shared machine may hold anybody up
            before = self.longest_wait(broker)
            queue = f"stays-{attempt}"
            with connect(broker) as connection:
                connection.channel().queue_declare(queue, durable=True)
            oldest = self.oldest(broker)
            others = self.others(broker, queue)
            wait = self.longest_wait(broker)
            self.assertEqual(0, others.wait(60), others.stdout.read())
            self.assertEqual(self.STAYING, ready(broker, queue))
            self.assertGreater(self.oldest(broker), oldest, "no segment has come back")
            print(f"  the longest wait for a confirm: {wait / 1000:.1f} ms, {before / 1000:.1f} when all is consumed", flush=True)
            if wait < before + self.STALL:
                return
        self.fail("reclaiming holds publishers up")

    def longest_wait(self, broker):
        """In microseconds, of messages that come and go."""
        return self.load(broker, "--persistent", "--confirm", "200", "--ack", "50", "--prefetch", "500", "--latency", "--rate", "20000",
                         messages=120_000)["confirm_us"]["max"]

    def others(self, broker, queue):
        """A publisher of messages that stay, beside everything else."""
        command = [self.load_tool, "--url", broker.url, "--size", str(SIZE), "--messages", str(self.STAYING), "--rate", "1500",
                   "--warmup", "0", "--only", "producers", "--queue", queue, "--persistent", "--confirm", "200"]
        others = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(others.stdout.close)
        self.addCleanup(others.kill)
        return others

    @staticmethod
    def oldest(broker):
        return min((int(path.stem, 16) for path in (broker.directory / "data/journal").glob("*.seg")), default=0)


if __name__ == "__main__":
    main()
