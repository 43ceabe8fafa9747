#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A broker that may not have more memory, and a client that asks for more than there is.  lacking_memory.py BROKER"""
import pathlib
import sys
import unittest

tests = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(tests), str(tests / "wire"), str(tests / "e2e")]
import amqp
import unwilling_peers
from broker_url import until
from started_broker import StartedBroker
from unwilling_peers import MIB, Peer, publish

CONFIG = 'threads = 1\nmax_message_size = "512MiB"\nmemory_watermark = "64GiB"\n'


class LackingMemory(unittest.TestCase):
    def test_a_body_that_is_too_large_for_the_machine_ends_its_own_connection(self):
        with StartedBroker(unwilling_peers.PROGRAM, config=CONFIG, prefix=("prlimit", f"--as={800 * MIB}")) as broker:
            other = Peer(broker)
            other.call(1, "queue.declare", "queue.declare-ok", queue=b"q")
            for _ in range(3):
                greedy = Peer(broker)
                greedy.send(amqp.method(1, "basic.publish", {"routing-key": b"q"}) + amqp.header(1, 512 * MIB, {}))
                part = amqp.frame(amqp.BODY, 1, b"x" * (128 * 1024 - 8))
                try:
                    for _ in range(4097):
                        greedy.send(part)
                except OSError:  # it was closed
                    pass
                other.send(publish(b"q", b"still here"))
                self.assertEqual(1, other.call(1, "queue.purge", "queue.purge-ok", queue=b"q")["message-count"])
                greedy.socket.close()
            until(lambda: "cannot be served: std::bad_alloc" in broker.log_tail(), "a line in the log")


if __name__ == "__main__":
    unwilling_peers.PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2, warnings="ignore")
