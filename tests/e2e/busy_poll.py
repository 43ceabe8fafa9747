# SPDX-License-Identifier: Apache-2.0
"""busy_poll: shards look for more before they sleep where something soon comes, and hardly ever where nothing does.

  busy_poll.py BROKER LOAD_TOOL
"""
import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from started_broker import StartedBroker

BROKER, LOAD_TOOL = sys.argv[1:3]


class BusyPoll(unittest.TestCase):
    def setUp(self):
        # Producer and consumer on different shards, so that mail is looked for too.
        self.broker = StartedBroker(BROKER, config='busy_poll = "5ms"\nthreads = 2\nconnections_together = 1\n')
        self.addCleanup(self.broker.stop)

    def load(self, *options):
        done = subprocess.run([LOAD_TOOL, "--url", self.broker.url, "--pid", str(self.broker.pid), "--warmup", "0.5", *options],
                              capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    def test_a_message_in_flight_finds_both_shards_awake(self):
        result = self.load("--ping-pong", "--seconds", "1")
        self.assertTrue(result["check"]["good"])
        self.assertGreater(result["broker"]["cpu_seconds"], 0.5)  # at least one shard hardly ever slept
        self.assertEqual(0, self.broker.terminate())

    def test_messages_far_apart_are_slept_for(self):
        # 10 ms apart: to look for 5 of them each time would be half of the time, and on two shards.
        result = self.load("--size", "24", "--rate", "100", "--seconds", "4")
        self.assertTrue(result["check"]["good"])
        self.assertLess(result["broker"]["cpu_seconds"], 0.4)


unittest.main(argv=sys.argv[:1])
