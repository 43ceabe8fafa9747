#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the broker in the middle of everything, restarts it, and compares with what it had promised.

  crash.py BROKER [KILLS [SEED]]

Publishers with confirms (to one queue and to a fanout of two), a consumer that acknowledges, a consumer that moves
messages from one queue to another in transactions, and declarations run until SIGKILL comes. Afterwards: no confirmed
message is lost, none is invented or changed, each publisher's order is kept, transactions are whole, what was
acknowledged long before stays away, and everything that was declared is there.
"""
import hashlib
import pathlib
import random
import shutil
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client
from started_broker import StartedBroker

pika = client("pika")
PERSISTENT = pika.BasicProperties(delivery_mode=2)
OVERTAKEN = 0.2  # seconds by which one connection's octets may be behind another's


def body(label):
    """The label, and octets that follow from it."""
    size = int(hashlib.md5(label.encode()).hexdigest()[:4], 16) % 700
    return (label + "|" + hashlib.sha256(label.encode()).hexdigest() * 11)[: len(label) + 1 + size].encode()


def label_of(octets):
    label = octets.decode().split("|")[0]
    assert octets == body(label), f"the body of {label} has changed"
    return label


class Record:
    """What this side knows, kept outside the broker."""

    def __init__(self, number, before):
        self.before = before  # label -> what became of it in an earlier life of the broker
        self.sent = {}        # label -> queues, before the publish
        self.confirmed = set()
        self.rounds = []      # when publishes of one publisher were sent that were confirmed, one after the other
        self.acked = {}       # (label, queue) -> when the ack was sent
        self.moves = {}       # label -> True when commit-ok came, None before
        self.queues = set()   # declared and bound, both answered
        self.number = number
        self.lock = threading.Lock()

    def next(self, who):
        with self.lock:
            self.number += 1
            return f"{who}-{self.number:09}"


class Worker(threading.Thread):
    def __init__(self, broker, record, work):
        super().__init__(daemon=True)
        self.broker, self.record, self.work = broker, record, work
        self.failure = None

    def run(self):
        try:
            connection = pika.BlockingConnection(pika.URLParameters(self.broker.url))
            self.work(connection.channel(), self.record)
        except (pika.exceptions.AMQPError, OSError):
            pass  # the kill
        except Exception as error:  # shown by the main thread
            self.failure = error


def publish_to(queue, who):
    def work(channel, record):
        channel.confirm_delivery()
        while True:
            label = record.next(who)
            record.sent[label] = [queue]
            sent = time.monotonic()
            channel.basic_publish("", queue, body(label), PERSISTENT)
            record.confirmed.add(label)
            if who == "one":
                record.rounds.append(sent)
    return work


def publish_to_fanout(channel, record):
    channel.confirm_delivery()
    while True:
        label = record.next("fan")
        record.sent[label] = ["fan-a", "fan-b"]
        channel.basic_publish("fan", "", body(label), PERSISTENT)
        record.confirmed.add(label)


def consume(queue):
    def work(channel, record):
        channel.basic_qos(prefetch_count=20)
        for method, _, octets in channel.consume(queue):
            # Some stay unacknowledged for a while, and are behind those that come later.
            if random.random() < 0.7:
                record.acked[label_of(octets), queue] = time.monotonic()
                channel.basic_ack(method.delivery_tag)
            elif random.random() < 0.3:
                channel.basic_nack(method.delivery_tag, requeue=True)
    return work


def move(channel, record):
    """Takes from one queue and puts into another, three at a time, as a whole."""
    channel.tx_select()
    while True:
        label = None
        for _ in range(3):
            method, _, octets = channel.basic_get("moving-from")
            if method is None:
                time.sleep(0.002)
                continue
            label = label_of(octets)
            record.moves.setdefault(label, None)
            channel.basic_ack(method.delivery_tag)
            channel.basic_publish("", "moving-to", octets, PERSISTENT)
        if label is None:
            continue
        moved = [one for one, done in record.moves.items() if done is None]
        channel.tx_commit()
        for one in moved:
            record.moves[one] = True


def declare(channel, record):
    while True:
        queue = record.next("declared")
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, "bound", queue)
        record.queues.add(queue)
        time.sleep(0.01)


def drain(channel, queue):
    got = []
    while True:
        method, _, octets = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return got
        got.append((label_of(octets), method.redelivered))


def check(broker, record):
    # What was acknowledged before the last two of these is written, however slow the disk is.
    written = record.rounds[-2] - OVERTAKEN if len(record.rounds) > 1 else 0
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    contents = {queue: drain(channel, queue) for queue in
                ("plain", "consumed", "fan-a", "fan-b", "moving-from", "moving-to")}
    there = {queue: [label for label, _ in got] for queue, got in contents.items()}
    for queue, labels in there.items():
        assert len(labels) == len(set(labels)), f"{queue} holds a message twice"
        for label in labels:
            assert label in record.sent, f"{queue} holds {label}: {record.before.get(label, 'nobody sent it')}"
        # Labels count up, by publisher.
        if queue != "moving-to":
            for who in {label.rsplit("-", 1)[0] for label in labels}:
                mine = [label for label in labels if label.rsplit("-", 1)[0] == who]
                assert mine == sorted(mine), f"{queue} lost the order of {who}"
    for label, queues in record.sent.items():
        if label not in record.confirmed:
            continue
        for queue in queues:
            if queue == "moving-from":
                in_from, in_to = label in there["moving-from"], label in there["moving-to"]
                assert in_from != in_to, f"the transaction of {label} is halved: {in_from}, {in_to}"
                if record.moves.get(label):
                    assert in_to, f"the committed transaction of {label} is undone"
            elif label in there[queue]:
                acked = record.acked.get((label, queue))
                assert acked is None or acked > written, f"{label} was acknowledged, and is back"
            else:
                assert (label, queue) in record.acked, f"{label} in {queue} was confirmed and is lost"
    channel.confirm_delivery()
    for queue in record.queues:
        channel.queue_declare(queue, passive=True)
        channel.basic_publish("bound", queue, b"x", mandatory=True)
        channel.queue_delete(queue)
    # The first confirm's round may have looked at the acknowledgements too early; the second one's has them.
    for _ in range(2):
        channel.basic_publish("", "barrier", b"x", PERSISTENT)
    connection.close()
    return sum(map(len, there.values()))


def main(program, kills, seed):
    random.seed(seed)
    print(f"seed {seed}")
    confirmed = found = 0
    with StartedBroker(program, arguments=("--threads", "2")) as broker:
        channel = pika.BlockingConnection(pika.URLParameters(broker.url)).channel()
        channel.exchange_declare("fan", "fanout", durable=True)
        channel.exchange_declare("bound", "direct", durable=True)
        for queue in ("plain", "consumed", "fan-a", "fan-b", "moving-from", "moving-to", "barrier"):
            channel.queue_declare(queue, durable=True)
        for queue in ("fan-a", "fan-b"):
            channel.queue_bind(queue, "fan")
        record = Record(0, {})
        for kill in range(1, kills + 1):
            before = record.before | {label: f"sent before kill {kill - 1}, confirmed {label in record.confirmed}"
                                      for label in record.sent}
            record = Record(record.number, before)
            workers = [Worker(broker, record, work) for work in
                       (publish_to("plain", "one"), publish_to("consumed", "two"), publish_to("consumed", "three"),
                        publish_to("moving-from", "four"), publish_to_fanout, consume("consumed"), consume("fan-a"), move, declare)]
            for worker in workers:
                worker.start()
            time.sleep(random.choice((0.05, 0.3, 0.6, 2.5)) * random.random() + 0.15)
            broker.terminate(signal.SIGKILL)
            for worker in workers:
                worker.join(20)
                assert not worker.is_alive(), "a client does not notice that the broker is gone"
                if worker.failure:
                    raise worker.failure
            broker.start()
            # Killed again while it recovers, or just after.
            if random.random() < 0.2:
                time.sleep(random.random() * 0.05)
                broker.terminate(signal.SIGKILL)
                broker.start()
            try:
                found += check(broker, record)
            except AssertionError:
                kept = broker.directory.with_name(broker.directory.name + "-failed")
                shutil.copytree(broker.directory, kept)
                print(f"after {kill} kills; the data directory is kept in {kept}", flush=True)
                raise
            confirmed += len(record.confirmed)
            if kill % 10 == 0 or kill == kills:
                print(f"{kill} kills, {confirmed} messages confirmed, {found} found again", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 25,
         int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 31))
