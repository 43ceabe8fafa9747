#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has Spin look at every state of the journal's model, journal.pml, and at its mutants.

  check.py            the model never breaks a promise, and each mutant breaks the one that it is here for
  check.py MUTANT…    the shortest way to that, step by step
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

MODEL = pathlib.Path(__file__).resolve().parent / "journal.pml"
MUTANTS = {
    "PUBLISHES_LOOKED_AT_FIRST": "RETURNED",
    "LOOKED_AT_SHARD_BY_SHARD": "RETURNED",
    "SHOWN_BEFORE_HANDED_OVER": "RETURNED",
    "SETTLES_WRITTEN_FIRST": "RETURNED",
    "SETTLES_LEFT_UNCHECKED": "RETURNED",
    "CONFIRM_BEFORE_SYNC": "LOST",
    "REMOVE_BEFORE_SYNC": "LOST",
    "REMOVE_BEFORE_SETTLES_ARE_SYNCED": "GONE",
    "NO_DIRECTORY_SYNC": "RETURNED",
}
MEGABYTES = 800
SECONDS = 120
DEPTH = 1000000  # more than the longest way without a state seen before
SKIP = 77


class Unexpected(Exception):
    pass


def run(directory, *command):
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    if done.returncode != 0:
        raise Unexpected(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def defines(mutant):
    return [f"-D{mutant}", f"-DCOMPARED={MUTANTS[mutant]}"] if mutant else []


def search(directory, mutant=None):
    """What the verifier says; of a mutant, breadth first, so that its way is the shortest."""
    said = run(directory, "spin", "-a", *defines(mutant), str(MODEL))
    said += run(directory, "gcc", "-w", "-DSAFETY", f"-DMEMLIM={MEGABYTES}", *(["-DBFS"] if mutant else []),
                "-o", "pan", "pan.c")
    if said:
        raise Unexpected(f"spin or gcc is not content:\n{said}")
    return run(directory, "./pan", f"-m{DEPTH}")


def number(pattern, report):
    found = re.search(pattern, report)
    if not found:
        raise Unexpected(f"no {pattern!r} in the report:\n{report}")
    return int(found[1])


def check(directory, mutant=None):
    started = time.monotonic()
    report = search(directory, mutant)
    errors = number(r"errors: (\d+)\n", report)
    if mutant:
        if errors != 1 or "assertion violated" not in report:
            raise Unexpected(f"{mutant} is not found:\n{report}")
    else:
        whole = "Full statespace search for:" in report and "assertion violations\t+" in report
        if errors or not whole or re.search(r"warning|error:|not completed|too small|MEMLIM", report, re.IGNORECASE):
            raise Unexpected(f"the model breaks a promise, or was not searched to the end:\n{report}")
        # A model that does not come to some step proves nothing of it; only that its loops end is not expected.
        idle = [line for line in re.findall(r", state \d+, (.*)", report) if line != '"-end-"']
        if idle or report.count("unreached in") != 5:
            raise Unexpected(f"steps that are never made:\n{report}")
    states, steps = number(r"(\d+) states, stored", report), number(r"depth reached (\d+)", report)
    print(f"{mutant or 'the model':34} {MUTANTS.get(mutant, 'holds'):9} {states:8} states, {steps:6} deep, "
          f"{time.monotonic() - started:5.1f} s", flush=True)


def way(directory, mutant):
    """Prints the trail that the search has left, with the model's lines; of a d_step the first."""
    trail = run(directory, "spin", "-p", "-k", f"{MODEL.name}.trail", *defines(mutant), str(MODEL))
    statement = re.compile(r"^ *(\d+):\tproc +(\d+ \(\w+):\d+\) .*?:(\d+) \(.*?\)\t\[(.*)\]$", re.MULTILINE)
    last = None
    for step, process, line, text in statement.findall(trail):
        if step != last and not text.startswith("(run"):
            print(f"{process + ')':14} line {line:4} {text}")
        last = step


def main():
    if not set(sys.argv[1:]) <= set(MUTANTS):
        sys.exit(__doc__)
    for program in ("spin", "gcc"):
        if not shutil.which(program):
            print(f"SKIPPED: {program} is not installed; scripts/dependencies test installs it where it is packaged")
            sys.exit(SKIP)
    named = set(re.findall(r"defined (\w+)", MODEL.read_text()))
    if named != set(MUTANTS):
        sys.exit(f"mutants here and in {MODEL.name} differ: {' '.join(sorted(named ^ set(MUTANTS)))}")
    with tempfile.TemporaryDirectory(prefix="trilby-model-") as directory:
        try:
            for mutant in sys.argv[1:] or (None, *MUTANTS):
                check(directory, mutant)
                if len(sys.argv) > 1:
                    way(directory, mutant)
        except (Unexpected, subprocess.TimeoutExpired) as problem:
            sys.exit(f"{mutant or 'the model'}: {problem}")


main()
