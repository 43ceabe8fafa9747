#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A delete that wants an empty queue, against mandatory publishes from other shards: whatever was confirmed was returned, or
the delete was refused.  queue_ends.py BROKER"""
import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from broker_url import client
from started_broker import StartedBroker

pika = client("pika")
ROUNDS = 150


def connect(broker):
    host, port = broker.address
    return pika.BlockingConnection(pika.ConnectionParameters(host, port)).channel()


def main(program):
    # One connection a shard, so that the publishers are far from the queue.
    broker = StartedBroker(program, config="connections_together = 1\n", arguments=["--threads", "3"])
    try:
        owner = connect(broker)
        publishers = [connect(broker) for _ in range(2)]
        for publisher in publishers:
            publisher.confirm_delivery()
        lost = kept = 0
        for _ in range(ROUNDS):
            owner.queue_declare("q", durable=True)
            confirmed = []

            def publish(publisher):
                try:
                    publisher.basic_publish("", "q", b"x", pika.BasicProperties(delivery_mode=2), mandatory=True)
                    confirmed.append(publisher)
                except pika.exceptions.UnroutableError:
                    pass
            threads = [threading.Thread(target=publish, args=(publisher,)) for publisher in publishers]
            for thread in threads:
                thread.start()
            try:
                owner.queue_delete("q", if_empty=True)
                deleted = True
            except pika.exceptions.ChannelClosedByBroker as error:
                assert error.reply_code == 406, error
                deleted = False
            for thread in threads:
                thread.join()
            lost += len(confirmed) if deleted else 0
            if not deleted:
                owner = connect(broker)
                kept += 1
                assert owner.queue_delete("q").method.message_count == len(confirmed)
        print(f"{ROUNDS} queues, {kept} of them not deleted because of a message; confirmed and lost: {lost}")
        if lost:
            sys.exit(1)
    finally:
        broker.stop()


main(sys.argv[1])
