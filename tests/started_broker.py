# SPDX-License-Identifier: Apache-2.0
"""A broker process with a free port and a data directory of its own, for tests in Python."""
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    """One that the system gives to no client meanwhile: below those that it chooses from."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class StartedBroker:
    def __init__(self, program, definitions=None, config=None, arguments=(), data=None, prefix=(),
                 environment=None, stdin=subprocess.DEVNULL, stderr=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="trilby-test-"))
        self.address = ("127.0.0.1", free_port())
        self.program = program
        self.command = [*prefix, str(program), "serve", "--listen", "%s:%d" % self.address,
                        "--data-dir", str(data or self.directory / "data"), *arguments]
        if definitions:
            self.command += ["--definitions", str(definitions)]
        if config:
            path = self.directory / "trilby.toml"
            path.write_text(config)
            self.command += ["--config", str(path)]
        self.environment = environment or {}  # besides that of the test
        self.stdin = stdin
        self.log = open(self.directory / "log", "ab")
        self.stderr = self.log if stderr is None else stderr
        self.process = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        return "amqp://guest:guest@%s:%d/%%2F" % self.address

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=self.stdin, stdout=self.log, stderr=self.stderr,
                                        env={**os.environ, **self.environment})
        deadline = time.monotonic() + 60
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{' '.join(self.command)} ended with {self.process.returncode}\n{self.log_tail()}")
            try:
                socket.create_connection(self.address, 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"the broker does not listen\n{self.log_tail()}") from None
                time.sleep(0.02)

    def terminate(self, how=signal.SIGTERM):
        """Ends the process and keeps the data; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError(f"the broker did not stop in 30 s\n{self.log_tail()}") from None
        return self.process.returncode

    def stop(self):
        try:
            code = self.terminate()
        finally:
            self.log.close()
            tail = self.log_tail()
            shutil.rmtree(self.directory, ignore_errors=True)
        # A sanitizer's findings and a crash show in the exit code.
        if code not in (0, -signal.SIGTERM, -signal.SIGKILL):
            raise RuntimeError(f"the broker ended with {code}\n{tail}")

    def log_tail(self):
        try:
            return (self.directory / "log").read_text(errors="replace")[-6000:]
        except OSError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
