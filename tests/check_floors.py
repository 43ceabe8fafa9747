#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a folder includes what stands above it. The arrows are drawn in docs/architecture.md."""
import pathlib
import re
import sys

# Which of our folders each folder may include. A name with a slash is one header.
VALUES = ("protocol/field_table.hpp", "protocol/shared_table.hpp", "protocol/properties.hpp", "protocol/reply.hpp",
          "protocol/erlang_text.hpp")
OURS = {
    "protocol": ("protocol",),
    "json": ("json", "protocol"),
    "routing": ("routing", *VALUES),
    "auth": ("auth", *VALUES),
    "client": ("client", "json", "protocol"),
    "broker": ("broker", "auth", "routing", "client", "json", "protocol"),
}
FOLDERS = (*OURS, "tests", "bench")

# Outside headers that would give a pure folder a socket, a clock, a thread, a log or a file. arpa/inet.h makes text of
# addresses and addresses of text.
SOCKETS = r"boost/asio|asio|sys/socket|sys/epoll|netinet/|netdb|openssl/ssl"
IMPURE = SOCKETS + r"|arpa/|spdlog|thread|mutex|condition_variable|iostream|fstream|filesystem|unistd|fcntl|time\.h|ctime|sqlite3"
FORBIDDEN = {"protocol": IMPURE, "json": IMPURE, "routing": IMPURE, "auth": SOCKETS}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def wrong_arrows(root):
    for folder, allowed in OURS.items():
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                quote, header = found.groups()
                where = f"{path.relative_to(root)}:{number}: {header}"
                top = header.split("/")[0]
                if top in FOLDERS and "/" in header:
                    if quote == "<":
                        yield f"{where}: our own headers are included with quotes"
                    elif not (root / header).exists():
                        yield f"{where}: no such header"
                    elif top not in allowed and header not in allowed:
                        yield f"{where}: {folder}/ may not use it"
                elif quote == '"':
                    yield f"{where}: name it from the root of the tree, as in \"protocol/frame.hpp\""
                elif folder in FORBIDDEN and re.match(FORBIDDEN[folder], header):
                    yield f"{where}: {folder}/ stays free of it"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    problems = list(wrong_arrows(root))
    print(*problems, sep="\n")
    if problems:
        sys.exit(f"{len(problems)} wrong arrows")


main()
