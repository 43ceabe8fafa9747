#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every call that the journal makes fails once, in a running broker.  faulty_disk.py BROKER FAULTS

FAULTS is tests/e2e/faults/faulty_disk.cpp, built. For each kind of call and each N, sampled where there are many, the N-th
call fails while a fixed workload runs: confirmed publishes, acknowledgements, transactions. The broker goes on, or closes
the connection with 541 and ends with code 1, or does not start. Afterwards a sound disk shows that what was promised is
there, and nothing else.
"""
import collections
import concurrent.futures
import hashlib
import os
import pathlib
import queue as queues
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client, until
from fault_injection import KINDS, STRUCK, Faults, sampled
from started_broker import StartedBroker

pika = client("pika")

PROGRAM = FAULTS = ""
PERSISTENT = pika.BasicProperties(delivery_mode=2)
CONFIG = "disk_watermark = 0\nconnections_together = 1\nthreads = {}\n"
FAILED = (541, "INTERNAL_ERROR - the journal has failed, no message can be stored")
LIVES = 3     # of the broker before the one whose disk fails
A_LIFE = 6    # messages left by each
WORKERS = 3
SAMPLES = 6   # of the calls of one kind with one error
PROMPT = 5.0  # seconds from the failure to the end of the process

ENDS, GOES_ON, NO_START = "ended", "went on", "did not start"


def body(label):
    size = int(label.split("*")[1]) if "*" in label else 200
    filling = hashlib.sha256(label.encode()).digest()
    return ((label + "|").encode() + filling * (size // len(filling) + 1))[:size]


def label_of(octets):
    label = octets[:60].split(b"|")[0].decode()
    assert octets == body(label), f"the body of {label} has changed"
    return label


class Ledger:
    """What this side knows: of each message in which queue it is, and what the broker has said about it."""

    def __init__(self, before=()):
        self.queue = {label: "old" for label in before}
        self.sure = set(before)  # confirmed, or committed
        self.acked = {}          # label -> confirms that came after it
        self.open = None         # (published, acknowledged) of a transaction whose commit was not answered

    def confirmed(self, label):
        self.sure.add(label)
        for one in self.acked:
            self.acked[one] += 1

    def compare(self, contents):
        for name, labels in contents.items():
            assert len(labels) == len(set(labels)), f"{name} holds a message twice"
            for label in labels:
                assert self.queue.get(label) == name, f"{name} holds {label}, which nobody put there"
        there = {label for labels in contents.values() for label in labels}
        published, acknowledged = self.open or ((), ())
        if self.open:
            done = {label in there for label in published} | {label not in there for label in acknowledged}
            assert len(done) == 1, "half of a transaction is there"
        for label in self.sure - set(acknowledged):
            if label not in self.acked:
                assert label in there, f"{label} was promised and is lost"
            elif self.acked[label] >= 2:
                # The round of the first confirm may have looked too early for the acknowledgement.
                assert label not in there, f"{label} was acknowledged long before, and is back"


class Workload:
    """What a client does while the disk fails."""

    def __init__(self, broker, ledger, spare_ready, long):
        self.ledger, self.spare_ready, self.long = ledger, spare_ready, long
        self.blocked = []
        self.connection = pika.BlockingConnection(pika.URLParameters(broker.url))
        self.connection.add_on_connection_blocked_callback(lambda _, frame: self.blocked.append(frame.method.reason))

    def run(self):
        self.channel, self.tx = self.connection.channel(), self.connection.channel()
        self.channel.confirm_delivery()
        self.tx.tx_select()
        self.publish(f"small-{number}" for number in range(3))
        self.acknowledge(A_LIFE)  # the oldest segment goes
        self.publish(["small-3", "small-4"])
        self.spare_ready()
        self.publish(["small-5", "large-1*400000", "large-2*400000", "large-3*400000"])  # on to another segment
        for number in range(2):
            self.transaction(number, commit=True)
        self.transaction(2, commit=False)
        self.acknowledge(A_LIFE - 4)  # and the second one
        for number in range(34 if self.long else 0):
            self.publish([f"long-{number}*1000000"], "long")
            self.acknowledge(1, "long")
            time.sleep(0.01)  # segments are made ahead
        list(self.get(1))
        self.publish(["last-1", "last-2", "last-3"])
        self.connection.close()

    def publish(self, labels, queue="new"):
        for label in labels:
            self.ledger.queue[label] = queue
            self.channel.basic_publish("", queue, body(label), PERSISTENT)
            self.ledger.confirmed(label)

    def get(self, count, queue="old", channel=None):
        for _ in range(count):
            method, _, octets = (channel or self.channel).basic_get(queue)
            yield method.delivery_tag, label_of(octets)

    def acknowledge(self, count, queue="old"):
        for tag, label in self.get(count, queue):
            self.ledger.acked[label] = 0
            self.channel.basic_ack(tag)

    def transaction(self, number, commit):
        published = [f"tx-{number}-{one}" for one in range(3)]
        acknowledged = []
        for tag, label in self.get(2, channel=self.tx):
            self.tx.basic_ack(tag)
            acknowledged.append(label)
        for label in published:
            self.tx.basic_publish("", "new", body(label), PERSISTENT)
        if not commit:
            self.tx.tx_rollback()
            self.tx.basic_recover(requeue=True)
            return
        self.ledger.queue.update({label: "new" for label in published})
        self.ledger.open = (published, acknowledged)
        self.tx.tx_commit()
        self.ledger.open = None
        self.ledger.sure |= set(published)
        self.ledger.sure -= set(acknowledged)
        for label in acknowledged:
            del self.ledger.queue[label]


class Site:
    """A broker, used again and again: each time with the same data, and with a fault."""

    def __init__(self, threads=1):
        # No disk is needed for one that fails: memory is faster, where there is enough.
        memory = pathlib.Path("/dev/shm")
        enough = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trilby-faulty-", dir=memory if enough else None)).resolve()
        self.data, self.kept = self.folder / "data", self.folder / "kept"
        self.faults = Faults(FAULTS, self.folder, self.data / "journal")
        self.broker = StartedBroker(PROGRAM, config=CONFIG.format(threads), data=self.data)
        self.before = []
        for life in range(LIVES):
            if life != 0:
                self.broker.start()
            channel = pika.BlockingConnection(pika.URLParameters(self.broker.url)).channel()
            channel.confirm_delivery()
            for queue in ("old", "new", "long"):
                channel.queue_declare(queue, durable=True)
            for number in range(A_LIFE):
                self.before.append(f"life-{life}-{number}")
                channel.basic_publish("", "old", body(self.before[-1]), PERSISTENT)
            self.broker.terminate()
        for spare in (self.data / "journal").glob("spare-*"):
            os.truncate(spare, 0)  # the next start removes it, whatever is in it
        shutil.copytree(self.data, self.kept)

    def close(self):
        self.broker.process.kill()
        self.broker.process.wait()
        self.broker.log.close()
        shutil.rmtree(self.broker.directory)
        shutil.rmtree(self.folder)

    def reset(self):
        shutil.rmtree(self.data)
        shutil.copytree(self.kept, self.data)

    def log(self):
        return (self.broker.directory / "log").read_bytes()[self.log_from:].decode()

    def spare_ready(self):
        """Waits for the segment that is made ahead: 16 MiB of zeros. With some faults it does not come."""
        patience = time.monotonic() + 0.4
        while time.monotonic() < patience and self.faults.count("fill-sync") < 68:
            time.sleep(0.01)

    def begin(self, fault, lasting=None):
        self.reset()
        self.log_from = (self.broker.directory / "log").stat().st_size
        if lasting:
            self.faults.lasting.write_text(lasting)
        self.broker.environment = self.faults.environment(fault, lasting is not None)

    def end_lasting(self):
        """Lets the disk have room again: when the broker has noticed, or will not."""
        patience = None
        while not self.over:
            if self.faults.struck():
                patience = patience or time.monotonic() + 0.7
                if "disk alarm: " in self.log() or time.monotonic() > patience:
                    break
            time.sleep(0.02)
        self.faults.lasting.unlink(missing_ok=True)

    def run(self, kind="", number=0, what="", lasting=False, long=False):
        """What became of the broker, and how many calls it made."""
        self.begin(f"{kind}:{number}:{what}" if kind else "", what if lasting else None)
        ledger = Ledger(self.before)
        self.over = False
        helper = threading.Thread(target=self.end_lasting)
        if lasting:
            helper.start()
        try:
            outcome = self.serve(ledger, long)
        finally:
            self.over = True
            if lasting:
                helper.join()
        counts = self.faults.counts()
        if outcome == GOES_ON and "has failed" in self.log():
            outcome = ENDS  # at the very last
        if outcome == GOES_ON and counts[STRUCK] and what == "EIO":
            assert "a segment cannot be made ahead" in self.log(), "nothing is said of an error"
        contents = self.look()
        ledger.compare(contents)
        return outcome, counts

    def serve(self, ledger, long):
        try:
            self.broker.start()
            workload = Workload(self.broker, ledger, self.spare_ready, long)
        except (RuntimeError, pika.exceptions.AMQPConnectionError):
            assert self.broker.process.wait(PROMPT) == 1, f"ended with {self.broker.process.returncode} at the start"
            return NO_START
        try:
            workload.run()
        except pika.exceptions.ConnectionClosedByBroker as closed:
            assert closed.args == FAILED, closed.args
            self.broker.process.wait(PROMPT)
            assert self.broker.process.returncode == 1, f"ended with {self.broker.process.returncode}"
            return ENDS
        assert not ledger.open
        if workload.blocked:
            assert set(workload.blocked) == {"low on disk"}, workload.blocked
            assert "disk alarm cleared" in self.log(), "publishers were let go, and nothing is said of it"
        code = self.broker.terminate()
        assert code == (1 if "has failed" in self.log() else 0), f"the stop ended with {code}"
        return GOES_ON

    def look(self):
        """Started without faults: what is in the queues."""
        self.broker.environment = {}
        self.log_from = (self.broker.directory / "log").stat().st_size
        self.broker.start()
        # The copy of a head that a failed sync was for is lost with it; that is why there are two.
        damaged = [line for line in self.log().splitlines() if "damaged" in line and "one copy of its head" not in line]
        assert not damaged, "damage where nothing was promised"
        channel = pika.BlockingConnection(pika.URLParameters(self.broker.url)).channel()
        contents = {queue: [] for queue in ("old", "new", "long")}
        for queue, labels in contents.items():
            while True:
                method, _, octets = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    break
                labels.append(label_of(octets))
        channel.connection.close()
        assert self.broker.terminate() == 0
        return contents


class FaultyDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sites = queues.SimpleQueue()
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for made in [pool.submit(Site) for _ in range(WORKERS)]:
                cls.sites.put(made.result())
        site = cls.sites.get()
        cls.sound, counts = site.run()
        cls.counts = dict(zip(KINDS, counts))
        cls.sites.put(site)

    @classmethod
    def tearDownClass(cls):
        for _ in range(WORKERS):
            cls.sites.get().close()

    def one(self, fault):
        site = self.sites.get()
        try:
            outcome, counts = site.run(**fault)
            return outcome, counts[STRUCK]
        except BaseException as error:
            site.broker.process.kill()  # or the next one finds it at its address
            site.broker.process.wait()
            kept = site.folder.with_name(f"{site.folder.name}-failed-{fault['kind']}-{fault['number']}")
            shutil.copytree(site.data, kept, dirs_exist_ok=True)
            raise AssertionError(f"{fault}: {error!r}; the data directory is kept in {kept}\n{site.log()}") from error
        finally:
            self.sites.put(site)

    def strike(self, kind, what, may, numbers=None, **how):
        """The same fault at each of these calls; the outcome is one of `may`. How often each was seen."""
        faults = [dict(kind=kind, number=number, what=what, **how) for number in numbers or sampled(self.counts[kind], SAMPLES)]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            results = list(pool.map(self.one, faults))
        seen = collections.Counter()
        for fault, (outcome, struck) in zip(faults, results):
            self.assertIn(outcome, may if struck else [GOES_ON], fault)
            if struck:
                seen[outcome] += 1
        print(f"{kind} {what}: {dict(seen)} of {len(faults)}", flush=True)
        self.assertGreaterEqual(sum(seen.values()), (len(faults) + 1) // 2, "the fault has hardly struck")
        return seen

    def test_the_workload_makes_the_calls(self):
        print(self.counts)
        self.assertEqual(GOES_ON, self.sound)
        for kind, least in {"create": 3, "open": 8, "allocate": 3, "fill": 68, "write": 20, "fill-sync": 68, "sync": 12,
                            "sync-directory": 4, "rename": 1, "unlink": 3, "read": 5}.items():
            self.assertGreaterEqual(self.counts[kind], least, kind)

    def test_what_is_short_is_gone_on_with(self):
        for kind in ("write", "fill", "read"):
            self.strike(kind, "short", [GOES_ON])

    def test_what_is_interrupted_is_done_again(self):
        for kind in ("write", "fill", "allocate", "read"):
            self.strike(kind, "EINTR", [GOES_ON], numbers=sampled(self.counts[kind], 4))

    def test_room_that_comes_back_is_waited_for(self):
        for kind in ("create", "allocate", "fill", "fill-sync", "rename"):
            self.strike(kind, "ENOSPC", [GOES_ON], numbers=sampled(self.counts[kind], 5), lasting=True)

    def test_a_failed_write_ends_the_broker(self):
        for what, samples in (("EIO", 12), ("ENOSPC", 5)):
            self.strike("write", what, [ENDS], numbers=sampled(self.counts["write"], samples))

    def test_a_failed_sync_ends_the_broker(self):
        for what, samples in (("EIO", 12), ("ENOSPC", 5), ("EINTR", 5)):
            seen = self.strike("sync", what, [ENDS, NO_START], numbers=sampled(self.counts["sync"], samples))
            self.assertTrue(seen[ENDS] and seen[NO_START])
        self.assertTrue(self.strike("sync-directory", "EIO", [ENDS, NO_START])[ENDS])

    def test_names_and_files_that_fail_end_the_broker(self):
        for kind, what in (("rename", "EIO"), ("unlink", "EIO"), ("read", "EIO")):
            self.strike(kind, what, [ENDS, NO_START])

    def test_a_descriptor_or_memory_that_comes_back_is_waited_for(self):
        for what in ("EMFILE", "ENOMEM"):
            self.assertTrue(self.strike("open", what, [NO_START, GOES_ON])[GOES_ON])
            self.strike("create", what, [GOES_ON], numbers=sampled(self.counts["create"], 5), lasting=True)

    def test_a_segment_that_cannot_be_made_ahead_is_not_missed(self):
        """One that is needed at once ends the broker."""
        for kind in ("create", "allocate", "fill", "fill-sync"):
            self.strike(kind, "EIO", [ENDS, GOES_ON])

    def test_segments_that_go_round(self):
        """Used up, made a spare, used again; what lives in one is read to be copied."""
        self.strike("rename", "EIO", [ENDS], numbers=[2, 3], long=True)
        self.strike("rename", "ENOSPC", [GOES_ON], numbers=[2, 3], lasting=True, long=True)
        copied = self.counts["read"] + 1  # after those of the start
        self.strike("read", "short", [GOES_ON], numbers=[copied], long=True)
        self.strike("read", "EIO", [ENDS], numbers=[copied], long=True)


class Waiting(unittest.TestCase):
    """The disk has no room, so that everybody waits; then it fails."""

    def setUp(self):
        self.site = Site(threads=2)
        self.addCleanup(self.site.close)
        self.site.begin("allocate:1:", "ENOSPC")
        self.site.broker.start()
        self.ends = {}

    def client(self, name, work):
        def run():
            try:
                connection = pika.BlockingConnection(pika.URLParameters(self.site.broker.url))
                work(connection.channel())
                self.ends[name] = "it came to its end"
            except pika.exceptions.ConnectionClosedByBroker as closed:
                self.ends[name] = closed.args
            except Exception as error:
                self.ends[name] = repr(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def confirm(self, channel):
        channel.confirm_delivery()
        channel.basic_publish("", "new", body("confirm"), PERSISTENT)

    def commit(self, channel):
        channel.tx_select()
        channel.basic_publish("", "new", body("commit"), PERSISTENT)
        channel.tx_commit()

    def flood(self, channel):
        for number in range(60):
            channel.basic_publish("", "new", body(f"flood-{number}*100000"), PERSISTENT)
        while True:
            channel.connection.process_data_events(1)

    def idle(self, channel):
        channel.basic_consume("long", lambda *_: None)
        channel.start_consuming()

    def test_everybody_is_told_and_the_process_ends(self):
        clients = {"confirm 1": self.confirm, "confirm 2": self.confirm, "commit 1": self.commit, "commit 2": self.commit,
                   "flood 1": self.flood, "flood 2": self.flood, "idle 1": self.idle, "idle 2": self.idle}
        threads = [self.client(name, work) for name, work in clients.items()]
        deaf = socket.create_connection(self.site.broker.address)  # says nothing at all
        self.addCleanup(deaf.close)
        until(lambda: "disk alarm: " in self.site.log(), "publishers are blocked")
        time.sleep(1)
        self.assertEqual({}, self.ends)
        sick = self.site.folder / "sick"
        sick.write_text("EIO")
        since = time.monotonic()
        sick.replace(self.site.faults.lasting)
        self.assertEqual(1, self.site.broker.process.wait(2 * PROMPT))
        print(f"ended in {time.monotonic() - since:.2f} s", flush=True)
        for thread in threads:
            thread.join(20)
        self.assertEqual({name: FAILED for name in clients}, self.ends)
        self.assertLess(time.monotonic() - since, PROMPT)
        contents = self.site.look()
        self.assertEqual(self.site.before, contents["old"])
        self.assertEqual([], contents["new"])

    def test_a_stop_that_waits_for_a_commit_ends_too(self):
        commit = self.client("commit", self.commit)
        until(lambda: self.site.faults.struck(), "the commit waits for the disk")
        self.site.faults.lasting.write_text("EIO")
        self.site.broker.process.send_signal(signal.SIGTERM)
        self.assertEqual(1, self.site.broker.process.wait(2 * PROMPT))
        commit.join(20)
        self.assertIn(self.ends["commit"][0], (320, 541))


if __name__ == "__main__":
    PROGRAM, FAULTS = sys.argv.pop(1), os.path.realpath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
