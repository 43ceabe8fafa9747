#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords are looked at ever more slowly, and nobody else notices.  logins.py BROKER"""
import concurrent.futures
import pathlib
import socket
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/wire")]  # before the library of that name
import amqp
from started_broker import StartedBroker

ATTEMPTS = 300


def log_in(broker, user, password, source="127.0.0.1"):
    """(the method that answers start-ok, seconds until it came)"""
    with socket.create_connection(broker.address, 20, (source, 0)) as connection:
        stream = connection.makefile("rb")

        def method():
            kind, _, size = struct.unpack(">BHI", stream.read(7))
            assert kind == amqp.METHOD
            payload = stream.read(size + 1)[:-1]
            return amqp.decode_method(payload)
        connection.sendall(b"AMQP\0\0\x09\x01")
        assert method()[0] == "connection.start"
        began = time.monotonic()
        connection.sendall(amqp.method(0, "connection.start-ok", {
            "client-properties": [(b"capabilities", ("F", [(b"authentication_failure_close", ("t", 1))]))],
            "mechanism": b"PLAIN", "response": b"\0" + user + b"\0" + password, "locale": b"en_US"}))
        name, values = method()
        if name == "connection.close":
            assert values["reply-code"] == 403 and b"Login was refused" in values["reply-text"], values
        return name, time.monotonic() - began


def main(program):
    broker = StartedBroker(program, definitions=ROOT / "tests/wire/definitions.json", arguments=["--threads", "1"])
    try:
        with concurrent.futures.ThreadPoolExecutor(30) as pool:
            began = time.monotonic()
            guesses = [pool.submit(log_in, broker, b"guest", b"wrong%d" % i) for i in range(ATTEMPTS)]
            while sum(guess.done() for guess in guesses) < 20:
                time.sleep(0.01)
            # In the middle of it: another user there, and the same one from elsewhere.
            for user, source in ((b"topical", "127.0.0.1"), (b"guest", "127.0.0.2")):
                name, seconds = log_in(broker, user, user, source)
                assert name == "connection.tune", name
                assert seconds < 2, seconds
            assert all(guess.result()[0] == "connection.close" for guess in guesses)
        # Those that were looked at waited; the others were refused unseen, so it is over soon.
        looked_at = [seconds for _, seconds in (guess.result() for guess in guesses) if seconds > 0.09]
        assert looked_at, "no attempt waited"
        name, seconds = log_in(broker, b"guest", b"guest")
        print(f"{ATTEMPTS} wrong passwords in {time.monotonic() - began:.1f} s, {len(looked_at)} waited up to {max(looked_at):.1f} s; "
              f"then the right one: {name} after {seconds:.1f} s")
        log = (broker.directory / "log").read_text(errors="replace")
        lines = [line for line in log.splitlines() if "login refused" in line and "guest" in line]
        assert 5 <= len(lines) < 20, f"{len(lines)} lines"
    finally:
        broker.stop()


main(sys.argv[1])
