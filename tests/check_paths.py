#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when README.md, CHANGELOG.md, docs/ or a folder's README name a path of the tree that is not there."""
import pathlib
import re
import sys

TREE = "protocol json routing auth client broker program tests bench scripts docs packaging subprojects .ci".split()
NAMED = re.compile(r"`((?:%s)/[\w./-]*)`" % "|".join(re.escape(folder) for folder in TREE))
LINKED = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def missing(root):
    pages = [*root.glob("*.md"), *(page for folder in TREE for page in (root / folder).rglob("*.md"))]
    for page in sorted(page for page in pages if "node_modules" not in page.parts):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            named = [(root, path) for path in NAMED.findall(line)]
            linked = [(page.parent, path) for path in LINKED.findall(line)]
            for base, path in named + linked:
                if not (base / path).exists():
                    yield f"{page.relative_to(root)}:{number}: {path} is not there"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    problems = list(missing(root))
    print(*problems, sep="\n")
    if problems:
        sys.exit(f"{len(problems)} paths are named but not there")


main()
