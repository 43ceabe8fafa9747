#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A file system of 64 MiB, filled in full flow: publishers are blocked, what was confirmed stays.  full_disk.py BROKER"""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import SKIP, client, until
from started_broker import StartedBroker

pika = client("pika")
from held_publisher import Publisher

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect(broker):
    return pika.BlockingConnection(pika.URLParameters(broker.url)).channel()


def take(channel, count=None):
    """So many messages, or all, acknowledged; their numbers."""
    numbers = []
    while count is None or len(numbers) < count:
        method, _, body = channel.basic_get("full")
        if method is None:
            break
        assert len(body) == Publisher.SIZE, "a body has changed"
        numbers.append(int(body[:9]))
        channel.basic_ack(method.delivery_tag)
    return numbers


def standstill(publisher):
    """So many messages were confirmed when no more come."""
    before = -1
    while before != len(publisher.confirmed()):
        before = len(publisher.confirmed())
        time.sleep(1)
    return before


def fill_and_drain(broker):
    connect(broker).queue_declare("full", durable=True)
    first = Publisher(broker.url, "full", PERSISTENT)
    first.start()
    until(first.blocked.is_set, "the first publisher is blocked")
    assert first.reason == "low on disk", first.reason
    before = standstill(first)
    assert before > 100, f"only {before} messages of 100 kB went into 64 MiB"

    # Killed while it is full, and started again.
    broker.terminate(signal.SIGKILL)
    first.join(20)
    broker.start()
    channel = connect(broker)
    count = channel.queue_declare("full", passive=True).method.message_count
    assert before <= count <= before + 10, f"{before} messages were confirmed, {count} are there"

    # It is still full: who publishes now is told, and let go when consumers have made room.
    second = Publisher(broker.url, "full", PERSISTENT, 1001)
    second.start()
    until(second.blocked.is_set, "the second publisher is blocked")
    so_far = standstill(second)  # it goes on as soon as there is room, while the queue is still being emptied
    taken = take(channel, before - 10)
    assert taken == list(range(1, before - 9)), "what was confirmed is lost, or out of order"
    until(second.unblocked.is_set, "the second publisher is let go")
    until(lambda: len(second.confirmed()) > so_far + 20, "the second publisher goes on")
    broker.terminate(signal.SIGKILL)
    second.join(20)
    broker.start()
    rest = set(take(connect(broker)))
    missing = [number for number in [*range(before - 9, before + 1), *second.confirmed()] if number not in rest]
    assert not missing, f"confirmed and lost: {missing[:5]}"
    print(f"{before} and {len(second.confirmed())} messages confirmed, none lost")


def main(program):
    folder = tempfile.mkdtemp(prefix="trilby-full-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], capture_output=True).returncode:
        print("SKIPPED: a small file system can only be mounted by root")
        sys.exit(SKIP)
    try:
        with StartedBroker(program, config="disk_watermark = 0\n", data=folder + "/data") as broker:
            fill_and_drain(broker)
    finally:
        subprocess.run(["umount", folder], check=False)


if __name__ == "__main__":
    main(sys.argv[1])
