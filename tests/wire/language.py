# SPDX-License-Identifier: Apache-2.0
"""Reads wire cases. The language is described in README.md beside this file."""
import dataclasses
import pathlib
import re


@dataclasses.dataclass
class Line:
    number: int
    text: str


@dataclasses.dataclass
class Case:
    path: pathlib.Path
    number: int
    title: str
    tags: frozenset
    lines: list

    @property
    def where(self):
        return f"{self.path.name}:{self.number}"


def read(path):
    cases = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        text = text.strip()
        if text.startswith("=="):
            title, tags = re.fullmatch(r"==\s*(.*?)\s*(?:\[([\w ]+)\])?", text).groups()
            cases.append(Case(path, number, title, frozenset((tags or "").split()), []))
        elif text and not text.startswith("#"):
            if not cases:
                raise SyntaxError(f"{path.name}:{number}: a case begins with ==")
            cases[-1].lines.append(Line(number, text))
    return cases


class Any:
    """Stands for any value; with a name the value is kept under it."""

    def __init__(self, name=None):
        self.name = name


class Pattern:
    def __init__(self, text):
        self.regex = re.compile(text.encode(), re.DOTALL)


class Subset:
    """A table of which only these fields are looked at."""

    def __init__(self, fields):
        self.fields = fields


class Scanner:
    """Words, name=value pairs and values of one line."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def blank(self):
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def peek(self):
        self.blank()
        return self.text[self.at] if self.at < len(self.text) else ""

    def match(self, regex):
        self.blank()
        found = re.compile(regex).match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def word(self):
        return self.match(r"[^\s=,\]}{\[\"]+").group()

    def rest(self):
        self.blank()
        rest, self.at = self.text[self.at:], len(self.text)
        return rest

    def string(self):
        """ "text", or "text"*N for N times the text."""
        text = unescape(self.match(r'"((?:[^"\\]|\\.)*)"').group(1))
        times = self.match(r"\*(\d+)")
        return text * int(times.group(1)) if times else text

    def items(self):
        """What is left of the line: (name, value) for name=value, (None, value) for a string, a number or a bare word."""
        while self.peek():
            name = self.match(r"([a-z][a-z0-9-]*)=")
            yield (name.group(1), self.value()) if name else (None, self.value())

    def value(self):
        first = self.peek()
        if first == '"':
            return self.string()
        if first == "~":
            return Pattern(self.match(r'~"((?:[^"\\]|\\.)*)"').group(1))
        if first == "?":
            return Any(self.match(r"\?(\w*)").group(1) or None)
        if first == "{":
            return self.table()
        if first == "[":
            return self.array()
        number = self.match(r"-?\d+(?![\w.:-])")
        if number:
            return int(number.group())
        word = self.word()
        return {"true": 1, "false": 0}.get(word, word.encode())

    def table(self):
        self.match(r"\{")
        fields, subset = [], False
        while not self.match(r"\}"):
            if self.match(r"\.\.\."):
                subset = True
                continue
            name = self.string() if self.peek() == '"' else self.match(r"[\w.-]+").group().encode()
            self.match(":")
            fields.append((name, self.typed()))
            self.match(",")
        return Subset(fields) if subset else fields

    def array(self):
        self.match(r"\[")
        items = []
        while not self.match(r"\]"):
            items.append(self.typed())
            self.match(",")
        return items

    def typed(self):
        letter = self.match(r"([a-zA-Z]):")
        letter = letter.group(1) if letter else ""
        if letter == "V" or (letter and self.peek() in ",}]"):
            return letter, None
        if self.match(r"V(?=\s*[,}\]])"):
            return "V", None
        braces = self.peek() == "{"
        value = self.value()
        if letter == "D":
            return letter, (value, self.value())
        if letter:
            return letter, float(value) if letter in "fd" else value
        if isinstance(value, list):
            return ("F" if braces else "A"), value
        if isinstance(value, Subset):
            return "F", value
        return ("I", value) if isinstance(value, int) else ("S", value)


def unescape(text):
    """Python's escapes; what is not ASCII is sent as UTF-8."""
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode()
            at += 1
        elif text[at + 1] == "x":
            out.append(int(text[at + 2:at + 4], 16))
            at += 4
        else:
            out += {"n": b"\n", "r": b"\r", "0": b"\0"}.get(text[at + 1], text[at + 1].encode())
            at += 2
    return bytes(out)
