#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a source uses what it does not include.  check_includes.py [ROOT]

Sources are compiled behind a precompiled header and in groups, and both hide it. Looked for are the names of outside
headers, found by their text; what a source's own project headers include counts as included.
"""
import pathlib
import re
import sys

FOLDERS = ("protocol", "json", "routing", "auth", "client", "broker", "program", "bench", "tests")
STANDARD = {
    "algorithm": "all_of any_of copy_n count_if equal_range find_if for_each lower_bound max_element min_element none_of "
                 "partition ranges::sort replace sort stable_sort upper_bound",
    "array": "array",
    "atomic": "atomic atomic_thread_fence",
    "charconv": "from_chars to_chars",
    "condition_variable": "condition_variable",
    "deque": "deque",
    "expected": "expected unexpected",
    "filesystem": "filesystem",
    "fstream": "ifstream ofstream",
    "functional": "function move_only_function",
    "latch": "latch",
    "map": "map multimap",
    "memory": "enable_shared_from_this make_shared make_unique shared_ptr unique_ptr weak_ptr",
    "mutex": "lock_guard mutex scoped_lock unique_lock",
    "optional": "nullopt optional",
    "random": "mt19937 mt19937_64 random_device",
    "set": "set",
    "span": "span",
    "sstream": "istringstream ostringstream",
    "thread": "jthread thread",
    "tuple": "tie tuple",
    "unordered_map": "unordered_map",
    "unordered_set": "unordered_set",
    "variant": "get_if holds_alternative monostate variant visit",
    "vector": "vector",
}
# A name, and where it may come from.
NEEDED = [(re.compile(r"\bstd::(?:%s)\b(?!::this)" % "|".join(names.split())), re.compile(header))
          for header, names in STANDARD.items()]
NEEDED += [(re.compile(r"\b%s::" % namespace), re.compile(header)) for namespace, header in {
    "fmt": "fmt/.*", "spdlog": "spdlog/.*", "simdjson": r"simdjson\.h", "toml": r"toml\+\+/.*", "CLI": "CLI/.*",
    "re2": "re2/.*", "asio": "boost/asio.*"}.items()]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


class Includes:
    def __init__(self, root):
        self.root = root
        self.known = {}

    def of(self, path):
        """Outside headers that a file includes, also by way of our own."""
        if path not in self.known:
            self.known[path] = found = set()
            for quote, header in INCLUDE.findall(path.read_text()):
                ours = next((base / header for base in (self.root, path.parent) if (base / header).is_file()), None)
                found |= self.of(ours) if ours else {header}
        return self.known[path]


def missing(root):
    includes = Includes(root)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            code = NOT_CODE.sub('""', INCLUDE.sub("", path.read_text()))
            for name, header in NEEDED:
                used = name.search(code)
                if used and not any(header.fullmatch(included) for included in includes.of(path)):
                    yield f"{path.relative_to(root)}: {used.group()} needs <{header.pattern}>"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
    problems = list(missing(root))
    print(*problems, sep="\n")
    if problems:
        sys.exit(f"{len(problems)} includes are missing")


if __name__ == "__main__":
    main()
