#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whose the broker's files are.  data_directory.py BROKER"""
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from started_broker import StartedBroker, free_port

PROGRAM = ""


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class DataDirectory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="trilby-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "data"

    def refused(self):
        """The sentence with which the broker does not start."""
        done = subprocess.run([PROGRAM, "serve", "--listen", f"127.0.0.1:{free_port()}", "--data-dir", str(self.data)],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def start(self):
        broker = StartedBroker(PROGRAM, data=self.data)
        self.addCleanup(broker.stop)
        return broker

    def export(self, path):
        return subprocess.run([PROGRAM, "definitions", "export", str(path), "--data-dir", str(self.data)],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)

    def test_what_it_makes_is_its_own(self):
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        self.start().stop()
        self.assertEqual(mode(self.data), 0o700)
        for path in self.data.rglob("*"):
            self.assertEqual(mode(path) & 0o077, 0, path)

    def test_one_that_others_may_write_is_refused(self):
        for wrong in (0o777, 0o770, 0o722):
            self.data.mkdir(exist_ok=True)
            self.data.chmod(wrong)
            text = self.refused()
            self.assertIn("others may write to the data directory", text)
            self.assertIn(f"mode {wrong:04o}", text)
            self.assertEqual(list(self.data.iterdir()), [])

    def test_one_that_others_may_read_is_not(self):
        self.data.mkdir()
        self.data.chmod(0o755)
        self.start().stop()

    @unittest.skipIf(os.geteuid() != 0, "only root can give a folder away")
    def test_somebody_elses_is_refused(self):
        self.data.mkdir(mode=0o700)
        os.chown(self.data, 12345, 12345)
        self.assertIn("belongs to the user with id 12345", self.refused())

    def test_links_in_it_are_not_followed(self):
        precious = self.folder / "precious"
        for name in ("trilby.pid", "catalog.sqlite"):
            for link in (os.symlink, os.link):
                self.data.mkdir(mode=0o700, exist_ok=True)
                precious.write_text("precious")
                link(precious, self.data / name)
                text = self.refused()
                self.assertIn(name, text)
                self.assertIn("link", text)
                self.assertEqual(precious.read_text(), "precious")
                (self.data / name).unlink()

    def test_a_journal_that_others_may_write_is_refused(self):
        self.start().stop()
        (self.data / "journal").chmod(0o777)
        self.assertIn("journal", self.refused())

    def test_an_export_is_for_its_owner(self):
        self.start().stop()
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        out = self.folder / "definitions.json"
        out.write_text("old")
        out.chmod(0o644)
        self.assertEqual(self.export(out).returncode, 0)
        self.assertEqual(mode(out), 0o600)
        self.assertIn("password_hash", out.read_text())
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith("definitions")],
                         ["definitions.json"])

    def test_an_export_does_not_follow_links(self):
        self.start().stop()
        precious = self.folder / "precious"
        precious.write_text("precious")
        out = self.folder / "link"
        out.symlink_to(precious)
        done = self.export(out)
        self.assertEqual(done.returncode, 1)
        self.assertIn("symbolic link", done.stderr)
        self.assertEqual(precious.read_text(), "precious")

    def test_an_export_goes_into_a_pipe(self):
        self.start().stop()
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
            self.assertEqual(self.export(pipe).returncode, 0)
            self.assertIn("password_hash", reader.communicate(timeout=30)[0])
        self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
