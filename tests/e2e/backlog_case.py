# SPDX-License-Identifier: Apache-2.0
"""What tests of long queues have in common: filling and emptying one, and what the broker takes for it."""
import functools
import json
import pathlib
import re
import stat
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client
from started_broker import StartedBroker

pika = client("pika")
MIB = 1 << 20
COUNT, SIZE = 60_000, 1024  # several times what stays in memory
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def allowed(messages):
    """Resident octets over an idle broker: 48 MiB for a million messages, and 24 for each one more or less."""
    return 48 * MIB + 24 * (messages - 1_000_000)


def body(number, size=SIZE):
    """What the load tool's first producer publishes."""
    check = (number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32
    return struct.pack("=IIQ", 0, check, number).ljust(size, b"x")


def number_of(octets):
    number = struct.unpack_from("=Q", octets, 8)[0]
    assert octets == body(number, len(octets)), f"the body of {number} has changed"
    return number


def resident(broker):
    """The broker's resident octets, once they have stopped falling."""
    def now():
        status = pathlib.Path(f"/proc/{broker.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
    lowest, since = now(), time.monotonic()
    deadline = since + 5
    while time.monotonic() < min(since + 1, deadline):
        time.sleep(0.1)
        if (size := now()) < lowest - MIB // 4:
            lowest, since = size, time.monotonic()
    return now()


def visible(broker):
    """Octets on the disk of each file in the data directory."""
    data = broker.directory / "data"
    sizes = {}
    for path in data.rglob("*"):
        try:
            sizes[str(path.relative_to(data))] = path.stat().st_blocks * 512
        except FileNotFoundError:
            pass  # a segment may go meanwhile
    return sizes


def hidden(broker):
    """Octets on the disk of the files that the broker alone still holds."""
    total = 0
    for descriptor in pathlib.Path(f"/proc/{broker.pid}/fd").iterdir():
        try:
            status = descriptor.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
            total += status.st_blocks * 512
    return total


def connect(broker):
    return pika.BlockingConnection(pika.URLParameters(broker.url))


def ready(broker, queue):
    with connect(broker) as connection:
        return connection.channel().queue_declare(queue, passive=True).method.message_count


def listen(channel, condition, what):
    """Handles what comes until the condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"in a minute not: {what}"
        channel.connection.process_data_events(0.05)


def take(channel, queue, count):
    """Exactly so many deliveries, none acknowledged, and no consumer afterwards: [(method, properties, body)]."""
    got = []
    channel.basic_qos(prefetch_count=count)
    tag = channel.basic_consume(queue, lambda _, *delivery: got.append(delivery))
    listen(channel, lambda: len(got) == count, f"{count} messages")
    channel.basic_cancel(tag)
    return got


def labels(deliveries):
    """Number and redelivered of each."""
    return [(number_of(octets), method.redelivered) for method, _, octets in deliveries]


def gets(channel, queue, count, auto_ack=False):
    return [channel.basic_get(queue, auto_ack) for _ in range(count)]


def ack(channel, deliveries):
    channel.basic_ack(deliveries[-1][0].delivery_tag, multiple=True)


def numbers(first, end, redelivered=False):
    return [(number, redelivered) for number in range(first, end)]


def both_kinds(test):
    """The test with a durable queue and persistent messages, and with neither."""
    @functools.wraps(test)
    def run(self):
        for durable in (True, False):
            with self.subTest(durable=durable):
                test(self, durable)
    return run


class Case(unittest.TestCase):
    program = load_tool = ""

    def start(self, config=None):
        broker = StartedBroker(self.program, config=config)
        self.addCleanup(broker.stop)
        return broker

    def load(self, broker, *options, size=SIZE, messages=COUNT):
        """Runs the load tool, which checks that every message comes once, whole and in order; its figures."""
        command = [self.load_tool, "--url", broker.url, "--pid", str(broker.pid), "--size", str(size), "--messages", str(messages),
                   "--warmup", "0", "--patience", "60", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120 + messages / 10_000)
        self.assertEqual(0, done.returncode, f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def fill(self, broker, queue, durable, *options, **what):
        """A new queue with messages that are all in it when this returns."""
        return self.load(broker, "--only", "producers", "--queue", queue, "--confirm", "10000", *(["--persistent"] if durable else []),
                         *options, **what)

    def drain(self, broker, queue, *options, taken=0, **what):
        """Takes all that is left of what fill() put there, and checks that there was no more."""
        figures = self.load(broker, "--only", "consumers", "--queue", queue, "--taken", str(taken), "--ack", "100", "--prefetch",
                            "1000", *options, **what)
        self.assertEqual(0, ready(broker, queue))
        return figures

    def assert_resident(self, broker, idle, messages):
        over = resident(broker) - idle
        print(f"  {messages} messages queued: {over / MIB:.1f} MiB over idle, {allowed(messages) / MIB:.1f} allowed", flush=True)
        self.assertLessEqual(over / MIB, allowed(messages) / MIB, "MiB of resident memory over an idle broker")


def main():
    """Runs the tests of the script: SCRIPT BROKER LOAD_TOOL [TEST…]"""
    Case.program, Case.load_tool = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
