#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What scripts/ say to a newcomer, with stand-ins for the package manager, the compilers and the broker."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


class Scripts(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        shutil.copytree(SCRIPTS, self.root / "scripts")
        (self.root / "bin").mkdir()
        (self.root / "build").mkdir()
        (self.root / "build/build.ninja").touch()
        self.stand_in("apt-get", 'echo "apt-get $*" >>$0.called')
        self.stand_in("apt-cache", "echo 'Package: g++\nSize: 3000000\nInstalled-Size: 9000'")
        self.stand_in("dpkg-query", "printf installed")
        self.stand_in("meson", "echo 'Configuring nobody_wants_to_know.hpp'")
        self.stand_in("ninja", """case "$*" in *build.ninja*) exit 0;; esac
                                  for n in 1 2 3 4; do echo "[$n/4] Compiling C++ object $n"; done""")
        self.stand_in("../build/trilby", 'echo "serving with $*"')

    def stand_in(self, name, text):
        path = self.root / "bin" / name
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(0o755)

    def run_script(self, name, *arguments):
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run([self.root / "scripts" / name, *arguments], cwd=self.root, env=environment, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60)

    def busy_port(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        return listener.getsockname()[1]

    def free_port(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            return listener.getsockname()[1]

    def test_a_busy_port_is_found_before_anything_is_built(self):
        port = self.busy_port()
        config = self.root / "trilby.toml"
        config.write_text(f'# listeners = ["127.0.0.1:1"]\nlisteners = [\n    "127.0.0.1:{port}",  # here\n]\n')
        for arguments in (("--listen", f"127.0.0.1:{port}"), (f"--listen=0.0.0.0:{port}",), ("--config", str(config))):
            done = self.run_script("run", *arguments)
            self.assertEqual((1, ""), (done.returncode, done.stdout), done.stderr)
            self.assertRegex(done.stderr, f":{port} already")
            self.assertIn(f"scripts/run --listen 127.0.0.1:{port + 1}", done.stderr)

    def test_the_banner_names_what_is_started(self):
        port = self.free_port()
        done = self.run_script("run", "--listen", f"127.0.0.1:{port}", "--threads", "1")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(f"Trilby on 127.0.0.1:{port}", done.stdout)
        self.assertIn(f"publish --url amqp://guest:guest@127.0.0.1:{port}/", done.stdout)
        self.assertNotIn("5672", done.stdout)
        self.assertIn(f"serving with serve --listen 127.0.0.1:{port} --threads 1", done.stdout)

    def test_how_long_it_takes_is_said_beforehand(self):
        (self.root / "build/trilby").unlink()
        self.stand_in("ninja", f"cp {self.root}/bin/apt-cache {self.root}/build/trilby")
        done = self.run_script("run", "--listen", f"127.0.0.1:{self.free_port()}")
        self.assertRegex(done.stdout.splitlines()[0], r"about \d+ min .* \d+ MB")

    def test_progress_is_a_few_lines_and_failures_are_whole(self):
        done = self.run_script("build")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual("building: 4 of 4, 100 %", done.stdout.splitlines()[-1])
        self.assertNotIn("Compiling", done.stdout)
        self.stand_in("ninja", """case "$*" in *build.ninja*) exit 0;; esac
                                  echo '[1/4] Compiling'; echo 'FAILED: it.o'; echo 'error: no such thing'; exit 1""")
        done = self.run_script("build")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("error: no such thing", done.stdout)

    def test_configuring_says_nothing_unless_it_fails(self):
        (self.root / "build/build.ninja").unlink()
        self.assertNotIn("Configuring", self.run_script("build").stdout)
        self.stand_in("meson", "echo 'no compiler'; exit 1")
        done = self.run_script("build")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("no compiler", done.stderr)

    def test_who_is_not_root_gets_the_command_for_root(self):
        if not shutil.which("apt-get"):
            self.skipTest("for apt")
        self.stand_in("id", "echo 1000")
        self.stand_in("sudo", "exit 1")
        self.stand_in("dpkg-query", 'case "$*" in *meson*) printf not-installed;; *) printf installed;; esac')
        done = self.run_script("dependencies")
        self.assertEqual(1, done.returncode)
        self.assertIn("  apt-get update && apt-get install -y --no-install-recommends meson\n", done.stderr)
        self.assertFalse((self.root / "bin/apt-get.called").exists())

    def test_how_much_is_installed_is_said_beforehand(self):
        self.stand_in("id", "echo 0")
        self.stand_in("dpkg-query", 'case "$*" in *meson*) printf not-installed;; *) printf installed;; esac')
        done = self.run_script("dependencies")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("1 packages with what they need, 3 MB to fetch, 9 MB on the disk", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
