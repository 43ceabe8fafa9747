#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The catalog and the journal of a data directory: a pair that does not belong together, or of which a part is
missing, is refused with what to do, and nothing is deleted.

  belong_together.py BROKER
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from broker_url import client
from started_broker import StartedBroker

pika = client("pika")
PERSISTENT = pika.BasicProperties(delivery_mode=2)
MESSAGES = 300


def channel_of(broker):
    channel = pika.BlockingConnection(pika.URLParameters(broker.url)).channel()
    channel.confirm_delivery()
    return channel


def fill(broker, queue="q", count=MESSAGES):
    channel = channel_of(broker)
    channel.queue_declare(queue, durable=True)
    for _ in range(count):
        channel.basic_publish("", queue, b"x" * 1000, PERSISTENT)
    channel.connection.close()


def ready(broker, queue="q"):
    channel = channel_of(broker)
    count = channel.queue_declare(queue, durable=True).method.message_count
    channel.connection.close()
    return count


class Data:
    """A broker whose queue `q` holds messages, ended as is said."""

    def __init__(self, program, how=signal.SIGTERM):
        self.program = program
        self.broker = StartedBroker(program)
        self.folder = self.broker.directory / "data"
        self.plain = list(self.broker.command)
        fill(self.broker)
        self.broker.terminate(how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(RuntimeError):  # one that was refused has ended with 1
            self.broker.stop()

    def segments(self):
        return sorted((self.folder / "journal").glob("*.seg"))

    def start(self, *arguments):
        self.broker.command = [*self.plain, *arguments]
        self.broker.start()

    def refused(self, *words):
        """By a start, strict or not, and by `journal check`; nothing is changed. Returns what was said."""
        before = {path.name: path.read_bytes() for path in self.folder.rglob("*")
                  if path.is_file() and path.name != "trilby.pid"}
        for arguments in ([], ["--strict"]):
            done = subprocess.run([*self.plain, *arguments], capture_output=True, text=True, timeout=60)
            assert done.returncode == 1, f"started: {done.stderr}"
            for word in (*words, "--accept-loss"):
                assert word in done.stderr, f"'{word}' is not in: {done.stderr}"
        after = {path.name: path.read_bytes() for path in self.folder.rglob("*")
                 if path.is_file() and path.name != "trilby.pid"}
        for name, octets in before.items():
            assert name.startswith("catalog") or after.get(name) == octets, f"{name} was changed"
        check = subprocess.run([self.program, "journal", "check", "--data-dir", str(self.folder)], capture_output=True, text=True,
                               timeout=60)
        assert check.returncode != 0, check.stdout
        for word in words:
            assert word in check.stdout, f"'{word}' is not in: {check.stdout}"

    def stop(self):
        assert self.broker.terminate() == 0, self.broker.log_tail()


def lost_catalog(program):
    for empty in (True, False):
        with Data(program) as data:
            catalog = data.folder / "catalog.sqlite"
            kept = catalog.read_bytes()
            catalog.write_bytes(b"") if empty else catalog.unlink()
            data.refused("empty" if empty else "missing")
            # `definitions export` and `import` do not make one either.
            document = data.folder.parent / "definitions.json"
            document.write_text(json.dumps({"vhosts": [{"name": "/"}]}))
            for command in ("export", "import") if empty else ("import",):
                done = subprocess.run([program, "definitions", command, str(document), "--data-dir", str(data.folder)],
                                      capture_output=True, text=True, timeout=60)
                assert done.returncode == 1 and "--accept-loss" in done.stderr, done.stderr
            catalog.write_bytes(kept)
            data.start()
            assert ready(data.broker) == MESSAGES
            data.stop()
            # Accepted: the journal is there for whoever wants to look, and a new one is begun.
            catalog.unlink()
            data.start("--accept-loss")
            assert ready(data.broker) == 0
            fill(data.broker, count=5)
            data.stop()
            assert list((data.folder / "journal.aside").glob("*.seg"))
            data.start()
            assert ready(data.broker) == 5
            data.stop()


def older_catalog(program):
    with Data(program) as data:
        older = data.folder.parent / "older.sqlite"
        shutil.copy(data.folder / "catalog.sqlite", older)
        data.start()
        fill(data.broker, "later")
        data.stop()
        shutil.copy(older, data.folder / "catalog.sqlite")
        data.refused("older than the journal")
        data.start("--accept-loss")
        assert ready(data.broker) == MESSAGES
        # A new queue does not get what another one of its number had.
        assert ready(data.broker, "new") == 0
        fill(data.broker, "new", 3)
        data.stop()
        data.start("--strict")
        assert (ready(data.broker), ready(data.broker, "new")) == (MESSAGES, 3)
        data.stop()
        assert list((data.folder / "journal").glob("*.aside")), "what had no queue any more was deleted"


def other_catalog(program):
    with Data(program) as data, Data(program) as other:
        shutil.copy(other.folder / "catalog.sqlite", data.folder / "catalog.sqlite")
        data.refused("journal is")
        data.start("--accept-loss")
        assert ready(data.broker) == 0, "messages of another broker's queue"
        data.stop()
        data.start()
        data.stop()


def missing_journal(program):
    for all_of_it in (True, False):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with Data(program, how) as data:
                if how == signal.SIGKILL:  # the catalog is told within moments, and here for sure
                    data.start()
                    data.stop()
                for segment in data.segments() if all_of_it else data.segments()[-1:]:
                    segment.unlink()
                data.refused("missing")
                data.start("--accept-loss")
                fill(data.broker, count=2)
                assert ready(data.broker) >= 2
                data.stop()
                data.start("--strict")
                data.stop()


def damaged_head(program):
    with Data(program, signal.SIGKILL) as data:
        newest = data.segments()[-1]
        with open(newest, "r+b") as file:
            file.seek(3)
            octet = file.read(1)[0] ^ 64
            file.seek(3)
            file.write(bytes([octet]))
        done = subprocess.run([*data.plain, "--strict"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and f"{newest.name}: 576 octets at 0 are damaged" in done.stdout + done.stderr, done
        assert newest.exists()
        data.start()
        assert ready(data.broker) == MESSAGES
        data.stop()
        assert newest.with_name(newest.name + ".aside").exists()
        data.start("--strict")
        assert ready(data.broker) == MESSAGES
        data.stop()


def deleted_queue(program):
    """Killed between the catalog's word and the journal's, which is written at once: it takes some tries."""
    for _ in range(20):
        with Data(program) as data:
            data.start()
            channel = channel_of(data.broker)
            channel.queue_declare("other", durable=True)
            channel.basic_publish("", "other", b"x", PERSISTENT)
            channel.queue_delete("q")
            data.broker.terminate(signal.SIGKILL)
            data.start("--strict")
            assert ready(data.broker, "other") == 1
            said = f"{MESSAGES} messages of 1 deleted queues are forgotten" in data.broker.log_tail()
            data.stop()
            if said:
                return
    raise AssertionError("no kill came between, or what was left was forgotten without a word")


def empty_folder(program):
    folder = pathlib.Path(os.path.realpath("."))
    broker = StartedBroker(program)
    try:
        assert broker.terminate() == 0
        folder = broker.directory / "fresh"
        document = broker.directory / "definitions.json"
        document.write_text(json.dumps({"vhosts": [{"name": "/"}], "queues": [
            {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}]}))
        subprocess.run([program, "definitions", "import", str(document), "--data-dir", str(folder)], check=True,
                       timeout=60)
        broker.command[broker.command.index("--data-dir") + 1] = str(folder)
        for _ in range(2):
            broker.start()
            assert broker.terminate() == 0
    finally:
        broker.stop()


def main(program):
    for case in (empty_folder, damaged_head, lost_catalog, older_catalog, other_catalog, missing_journal,
                 deleted_queue):
        case(program)
        print(case.__name__, "ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
