#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a folder includes what stands above it, or folders include each other in a circle. docs/architecture.md and
broker/README.md say why."""
import pathlib
import re
import sys

# Which of our folders each folder may include, besides itself. A name with .hpp is one header.
VALUES = ("protocol/field_table.hpp", "protocol/shared_table.hpp", "protocol/properties.hpp", "protocol/reply.hpp",
          "protocol/erlang_text.hpp", "protocol/room.hpp", "protocol/base64.hpp")
ROOMS = {
    "log": ("protocol",),
    "ids": (),
    "message": ("protocol", "ids"),
    "journal": ("protocol/quoted.hpp", "ids", "message"),
    "storage": ("protocol/quoted.hpp", "ids", "message", "journal"),
    "asking": ("ids", "message"),
    "queue": ("protocol/room.hpp", "ids", "message", "journal", "storage", "asking"),
    "arguments": ("protocol",),
    "definitions": ("protocol", "routing", "auth", "json", "arguments"),
    "catalog": ("protocol", "routing", "auth", "ids", "asking", "arguments", "definitions", "journal/remembered.hpp"),
    "operations": ("protocol", "routing", "auth", "ids", "message", "asking", "arguments", "catalog"),
    "shard": ("protocol", "routing", "auth", "ids", "message", "journal", "storage", "asking", "queue", "arguments",
              "catalog"),
    "session": ("protocol", "routing", "auth", "log", "ids", "message", "asking", "queue", "arguments", "catalog", "operations",
                "shard"),
    "net": ("protocol/room.hpp", "ids", "shard", "session"),
    "server": ("protocol", "routing", "auth", "json", "log", "ids", "message", "journal", "storage", "asking", "queue",
               "arguments", "definitions", "catalog", "operations", "shard", "session", "net"),
    "precompiled": ("protocol",),
}
OURS = {
    "protocol": (),
    "json": ("protocol",),
    "routing": VALUES,
    "auth": VALUES,
    "client": ("json", "protocol"),
    **{f"broker/{room}": tuple(f"broker/{name}" if name.split("/")[0] in ROOMS else name for name in names)
       for room, names in ROOMS.items()},
    "program": ("broker", "client", "json", "protocol"),
}
FOLDERS = ("protocol", "json", "routing", "auth", "client", "broker", "program", "tests", "bench")

# Outside headers that would give a pure folder a socket, a clock, a thread, a log or a file. arpa/inet.h makes text of
# addresses and addresses of text.
SOCKETS = r"boost/asio|asio|sys/socket|sys/epoll|netinet/|netdb|openssl/ssl"
IMPURE = SOCKETS + r"|arpa/|spdlog|thread|mutex|condition_variable|iostream|fstream|filesystem|unistd|fcntl|time\.h|ctime|sqlite3"
FORBIDDEN = {"protocol": IMPURE, "json": IMPURE, "routing": IMPURE, "auth": SOCKETS,
             **{f"broker/{room}": IMPURE for room in ("ids", "message", "asking", "queue", "arguments")},
             **{f"broker/{room}": SOCKETS for room in ROOMS if room not in ("net", "server")}}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2 if parts[0] == "broker" else 1])


def may_include(folder, header):
    target = folder_of(header)
    names = OURS[folder]
    return (target == folder or target in names or target.split("/")[0] in names or header in names)


class Arrows:
    def __init__(self, root):
        self.root = root
        self.between = {folder: set() for folder in OURS}  # what each includes, as it stands

    def wrong(self):
        for top in sorted({folder.split("/")[0] for folder in OURS}):
            for path in sorted((self.root / top).rglob("*.[ch]pp")):
                folder = folder_of(str(path.relative_to(self.root)))
                if folder not in OURS:
                    yield f"{path.relative_to(self.root)}: {folder} has no row in this test"
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    found = INCLUDE.match(line)
                    problem = found and self.problem(folder, *found.groups())
                    if problem:
                        yield f"{path.relative_to(self.root)}:{number}: {found[2]}: {problem}"

    def problem(self, folder, quote, header):
        if "/" in header and header.split("/")[0] in FOLDERS:
            if quote == "<":
                return "our own headers are included with quotes"
            if not (self.root / header).exists():
                return "no such header"
            if not may_include(folder, header):
                return f"{folder}/ may not use it"
            if folder_of(header) != folder:
                self.between[folder].add(folder_of(header))
        elif quote == '"':
            return "name it from the root of the tree, as in \"protocol/frame.hpp\""
        elif folder in FORBIDDEN and re.match(FORBIDDEN[folder], header):
            return f"{folder}/ stays free of it"
        return None

    def circles(self):
        """Takes away who includes nobody that is left, until nothing changes: what remains goes round."""
        left = {folder: set(targets) for folder, targets in self.between.items()}
        while True:
            ends = [folder for folder, targets in left.items() if not targets & left.keys()]
            if not ends:
                break
            for folder in ends:
                del left[folder]
        for folder, targets in sorted(left.items()):
            yield f"{folder}/ is in a circle, or above one: it includes {', '.join(sorted(targets & left.keys()))}"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    arrows = Arrows(root)
    problems = [*arrows.wrong(), *arrows.circles()]
    print(*problems, sep="\n")
    if problems:
        sys.exit(f"{len(problems)} wrong arrows")


main()
