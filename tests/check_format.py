#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C++ source and header is formatted as .clang-format says.

Versions of clang-format differ in what they make of it, so only the one that the tree is formatted with can judge:
without it the check is skipped, and says so.
"""
import pathlib
import re
import shutil
import subprocess
import sys

VERSION = 14
SKIPPED = 77


def formatter():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path is None:
            continue
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
        if re.search(rf"version {VERSION}\.", told):
            return path
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    path = formatter()
    if path is None:
        print(f"clang-format {VERSION} is not here: formatting is not checked")
        return SKIPPED
    sources = sorted(str(source) for ending in ("*.cpp", "*.hpp") for source in root.rglob(ending)
                     if not any(part.startswith(("build", ".")) for part in source.relative_to(root).parts))
    if not sources:
        print("no sources are found")
        return 1
    done = subprocess.run([path, "--dry-run", "--Werror", *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(*sorted({line for line in done.stderr.splitlines() if " error: " in line}), sep="\n")
        print(f"format them: {path} -i FILE")
        return 1
    print(f"{len(sources)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
