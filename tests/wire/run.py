#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the wire cases: bytes in, bytes out.

  run.py --broker build/trilby [FILE…]              starts a broker of its own
  run.py --at HOST:PORT [--skip rec] [FILE…]        plays against a running one (RabbitMQ: --skip rec)
  … --expect-failure unserved   cases with this tag must not pass
  … --split     every byte in a write of its own
  … --cut       every stream also cut short at every byte; the broker must live, answer, and keep no descriptor
"""
import argparse
import concurrent.futures
import os
import pathlib
import socket
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import language
import player
from started_broker import StartedBroker


def play(address, case, bytewise=False, patience=player.PATIENCE):
    """None when the case passed, else what to print. The player is kept for its streams."""
    one = player.Player(address, case, bytewise, patience)
    try:
        one.play()
        problem = None
    except (player.Failure, OSError) as error:
        problem = [f"line {one.here.number if one.here else case.number}: {one.here.text if one.here else ''}", f"  {error}"]
    except Exception:
        problem = [f"line {one.here.number if one.here else case.number}", traceback.format_exc()]
    if one.owned:
        try:
            player.remove(address, one.owned.values())
        except (player.Failure, OSError) as error:
            problem = problem or [f"afterwards, removing {', '.join(one.owned.values())}: {error}"]
    if problem:
        problem += ["  " + line for line in one.report()]
    return problem, one


def cut(address, stream, at):
    """Sends the first bytes of a stream and hangs up."""
    # From an address of their own: refused logins slow down who comes from the same one.
    source = ("127.0.0.2", 0) if address[0] == "127.0.0.1" else None
    connection = socket.create_connection(address, player.PATIENCE, source)
    try:
        connection.sendall(stream[:at])
    except OSError:
        pass
    connection.close()


def cut_everywhere(address, streams, pool):
    """Each stream at each byte after the handshake; the handshake itself once."""
    cuts = []
    handshake_done = False
    for stream, handshake in streams:
        begin = handshake if handshake and handshake_done else 0
        handshake_done = handshake_done or bool(handshake)
        cuts += [(stream, at) for at in range(begin, len(stream) + 1)]
    for done in concurrent.futures.as_completed([pool.submit(cut, address, *one) for one in cuts]):
        done.result()
    return len(cuts)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def settles(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--broker", help="the program to start")
    parser.add_argument("--config", help="its configuration")
    parser.add_argument("--at", help="HOST:PORT of a running broker")
    parser.add_argument("--skip", action="append", default=[], help="leave out cases with this tag")
    parser.add_argument("--expect-failure", metavar="TAG", help="a case with this tag that passes is a failure")
    parser.add_argument("--only", help="cases whose title has these words")
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--cut", action="store_true")
    parser.add_argument("--jobs", type=int, default=16, help="cases at once; most of the time they wait")
    return parser.parse_args()


def main():
    options = arguments()
    cases = [case for path in options.files or sorted(HERE.glob("cases/*.txt")) for case in language.read(path)
             if not options.only or options.only in case.title]
    skipped = [case for case in cases if case.tags & set(options.skip)]
    cases = [case for case in cases if case not in skipped]
    if skipped:
        print(f"{len(skipped)} cases are left out: {', '.join(sorted(options.skip))}")
    if not cases:
        sys.exit("no case to play")
    broker = None
    if options.at:
        host, _, port = options.at.rpartition(":")
        address = (host, int(port))
    else:
        config = pathlib.Path(options.config).read_text() if options.config else None
        broker = StartedBroker(options.broker, definitions=HERE / "definitions.json", config=config)
        address = broker.address
    try:
        failed = run(options, cases, address, broker)
    finally:
        if broker:
            broker.stop()
    if failed:
        if broker:
            print(broker.log_tail(), file=sys.stderr)
        sys.exit(1)


# Enough for what is served; most cases that are not wait for what does not come.
PATIENCE_WITH_UNSERVED = 3.0


def pass_unexpectedly(options, cases, address, pool):
    """How many of the cases that are expected to fail do not."""
    running = {pool.submit(play, address, case, options.split, PATIENCE_WITH_UNSERVED): case for case in cases}
    passed = 0
    for done in concurrent.futures.as_completed(running):
        if not done.result()[0]:
            passed += 1
            case = running[done]
            print(f"FAILED {case.where} {case.title}", f"it passes now: its tag '{options.expect_failure}' has to go", sep="\n  ",
                  flush=True)
    print(f"{len(cases) - passed} of {len(cases)} cases failed as expected: {options.expect_failure}", flush=True)
    return passed


def run(options, cases, address, broker):
    failed = 0
    streams, names = [], []
    doomed = [case for case in cases if options.expect_failure in case.tags]
    cases = [case for case in cases if case not in doomed]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(play, address, case, options.split): case
                   for case in sorted(cases, key=lambda case: "slow" not in case.tags)}
        for done in concurrent.futures.as_completed(running):
            problem, one = done.result()
            names += one.owned.values()
            streams += [(connection.sent, connection.handshake_size) for connection in one.connections.values()]
            if problem:
                failed += 1
                case = running[done]
                print(f"FAILED {case.where} {case.title}", *problem, sep="\n  ", flush=True)
        print(f"{len(cases) - failed} of {len(cases)} cases passed", flush=True)
        if doomed:
            failed += pass_unexpectedly(options, doomed, address, pool)
        if options.cut:
            play(address, cases[0])
            before = descriptors(broker.pid) if broker else 0
            count = cut_everywhere(address, sorted(set(streams)), pool)
            print(f"{count} cuts made", flush=True)
            probe = language.Case(HERE / "run.py", 0, "the broker answers", frozenset(), [language.Line(0, "sync")])
            problem, _ = play(address, probe)
            player.remove(address, names)
            if problem:
                failed += 1
                print("FAILED after the cuts the broker does not answer", *problem, sep="\n  ")
            elif broker and not settles(lambda: descriptors(broker.pid) <= before):
                failed += 1
                print(f"FAILED after the cuts {descriptors(broker.pid)} descriptors are open, {before} were before")
    return failed


main()
