#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts a broker on a free port with a data directory of its own, runs a test against it, and stops it.

  run.py BROKER COMMAND…    COMMAND finds the address in AMQP_URL and its parts in AMQP_HOST and AMQP_PORT

The users of tests/wire/definitions.json exist, each with its name as password. Without a broker of one's own any test
runs by itself: AMQP_URL=amqp://guest:guest@localhost:5672/%2F tests/e2e/pika_behaviour.py
"""
import os
import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
from started_broker import StartedBroker


def main():
    program, command = sys.argv[1], sys.argv[2:]
    with StartedBroker(program, definitions=TESTS / "wire/definitions.json") as broker:
        host, port = broker.address
        environment = dict(os.environ, AMQP_URL=broker.url, AMQP_HOST=host, AMQP_PORT=str(port))
        code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode
        if code not in (0, 77):
            print(broker.log_tail(), file=sys.stderr)
    sys.exit(code)


main()
