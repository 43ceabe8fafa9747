# SPDX-License-Identifier: Apache-2.0
"""Plays one wire case against a broker."""
import re
import secrets
import socket
import struct
import time

import amqp
from language import Any, Pattern, Scanner, Subset

PATIENCE = 20.0  # seconds to wait for what must come
CLIENT_CAPABILITIES = ("authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
                       "publisher_confirms")


class Failure(Exception):
    pass


class Connection:
    """One TCP connection; what it sent and saw is kept for the report and for the cut runs."""

    def __init__(self, address, name, bytewise, patience):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name, self.bytewise, self.patience = name, bytewise, patience
        self.buffer = b""
        self.sent = b""
        self.handshake_size = 0
        self.transcript = []
        self.last_byte = time.monotonic()

    def send(self, data):
        self.sent += data
        self.last_byte = time.monotonic()
        try:
            if self.bytewise:
                for at in range(len(data)):
                    self.socket.sendall(data[at:at + 1])
            else:
                self.socket.sendall(data)
        except OSError as error:
            self.transcript.append(f"  (sending failed: {error})")

    def fill(self, size, patience):
        """Makes at least `size` bytes available; False at the end of the stream."""
        deadline = time.monotonic() + patience
        while len(self.buffer) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure("nothing came in time")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, socket.timeout):
                raise Failure("nothing came in time") from None
            except ConnectionError:
                data = b""
            if not data:
                return False
            self.buffer += data
        return True

    def raw(self, size):
        if not self.fill(size, self.patience):
            raise Failure(f"the connection ended, {self.buffer!r} was left")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def frame(self):
        kind, channel, size = struct.unpack(">BHI", self.raw(7))
        payload = self.raw(size)
        end = self.raw(1)[0]
        if end != amqp.FRAME_END:
            raise Failure(f"frame ends with {end:#x}")
        self.transcript.append(f"< {show_frame(kind, channel, payload)}")
        return kind, channel, payload

    def frame_but_heartbeats(self):
        while True:
            kind, channel, payload = self.frame()
            if kind != amqp.HEARTBEAT:
                return kind, channel, payload

    def close(self):
        self.socket.close()


def show_value(value):
    if isinstance(value, bytes):
        return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in value) + '"'
    if isinstance(value, list):
        return "{" + ", ".join(f"{name.decode('latin-1')}: {letter}:{show_value(inner)}" for name, (letter, inner) in value) + "}" \
            if value and isinstance(value[0][0], bytes) else "[" + ", ".join(f"{k}:{show_value(v)}" for k, v in value) + "]"
    return str(value)


def show_method(name, values):
    shown = [f"{field}={show_value(value)}" for field, value in values.items() if value or field.endswith(("code", "id", "tag"))]
    return " ".join([name, *shown])


def show_frame(kind, channel, payload):
    if kind == amqp.METHOD:
        try:
            return f"{channel} {show_method(*amqp.decode_method(payload))}"
        except (ValueError, KeyError) as error:
            return f"{channel} undecodable method {payload.hex()} ({error})"
    word = {amqp.HEADER: "header", amqp.BODY: "body", amqp.HEARTBEAT: "heartbeat"}.get(kind, f"type {kind}")
    return f"{channel} {word} {show_value(payload[:60])}"


def same(wanted, got, kept):
    if isinstance(wanted, Any):
        if wanted.name:
            kept[wanted.name] = got if isinstance(got, bytes) else str(got).encode()
        return True
    if isinstance(wanted, Pattern):
        return isinstance(got, bytes) and wanted.regex.fullmatch(got) is not None
    if isinstance(wanted, Subset):
        return all(any(name == other and same_typed(value, found, kept) for other, found in got)
                   for name, value in wanted.fields)
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        if wanted and isinstance(wanted[0][0], bytes):
            return all(name == other and same_typed(value, found, kept)
                       for (name, value), (other, found) in zip(wanted, got))
        return all(same_typed(value, found, kept) for value, found in zip(wanted, got))
    return wanted == got or (isinstance(wanted, int) and str(wanted).encode() == got)


def same_typed(wanted, got, kept):
    (letter, value), (other, found) = wanted, got
    return letter == other and same(value, found, kept)


def fields(scan):
    """field=value, or the bare name of a bit that is set."""
    return {name or value.decode(): value if name else 1 for name, value in scan.items()}


class Player:
    """Follows the lines of a case. Names $q…, $x… are new for each run, and removed after it."""

    def __init__(self, address, case, bytewise=False, patience=PATIENCE):
        self.address, self.case, self.bytewise, self.patience = address, case, bytewise, patience
        self.connections = {}
        self.current = None
        self.kept = {}
        self.owned = {}
        self.here = None

    # -- the whole case

    def play(self):
        try:
            first = self.case.lines[0].text.split()[0]
            if first not in ("dial", "connect"):
                self.connect({})
                self.open(1)
            for self.here in self.case.lines:
                self.line(self.substitute(self.here.text))
        finally:
            for connection in self.connections.values():
                connection.close()

    def report(self):
        lines = []
        for connection in self.connections.values():
            if len(self.connections) > 1:
                lines.append(f"connection {connection.name}:")
            lines += connection.transcript
        return lines

    def substitute(self, text):
        def value(found):
            name = found.group(1)
            if name in self.kept:
                return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in self.kept[name])
            if re.fullmatch(r"[qx]\d*", name):
                return self.owned.setdefault(name, f"{name}-{secrets.token_hex(4)}")
            raise SyntaxError(f"nothing is known as ${name}")
        return re.sub(r"\$(\w+)", value, text)

    def line(self, text):
        scan = Scanner(text)
        verb = scan.match(r"[<>]|[a-z-]+").group()
        getattr(self, {"<": "expect", ">": "say"}.get(verb, "do_" + verb.replace("-", "_")))(scan)

    # -- sending

    def say(self, scan):
        channel = scan.match(r"(\d+)(?=\s)")
        channel = int(channel.group()) if channel else None
        what = scan.match(r"[a-z-]+(\.[a-z-]+)?").group()
        if what == "hex":
            data = bytes.fromhex(scan.rest())
        elif what == "raw":
            data = scan.string()
        elif what == "heartbeat":
            data = amqp.frame(amqp.HEARTBEAT, channel or 0, b"")
        elif what == "frame":
            values = dict(scan.items())
            data = amqp.frame(values["type"], 1 if channel is None else channel, values.get("payload", b""),
                              values.get("end", amqp.FRAME_END))
        elif what == "header":
            data = self.header_frame(channel, dict(scan.items()))
        elif what == "body":
            data = amqp.frame(amqp.BODY, 1 if channel is None else channel, next(scan.items())[1])
        else:
            values = fields(scan)
            if channel is None:
                channel = 0 if what.startswith("connection.") else 1
            data = amqp.method(channel, what, values)
        self.current.transcript.append(f"> {data.hex()}" if what in ("hex", "raw") else f"> {self.shown(data)}")
        self.current.send(data)

    @staticmethod
    def shown(data):
        kind, channel, size = struct.unpack(">BHI", data[:7])
        return show_frame(kind, channel, data[7:7 + size])

    @staticmethod
    def header_frame(channel, values):
        size = values.pop("size", 0)
        class_id, weight = values.pop("class", 60), values.pop("weight", 0)
        return amqp.header(1 if channel is None else channel, size, values, class_id, weight)

    def do_publish(self, scan):
        """publish [CHANNEL] EXCHANGE KEY BODY property=value…"""
        channel = scan.match(r"(\d+)(?=\s)")
        channel = int(channel.group()) if channel else 1
        exchange, key, body = scan.value(), scan.value(), scan.value()
        values = fields(scan)
        flags = {flag: values.pop(flag) for flag in ("mandatory", "immediate") if flag in values}
        data = [amqp.method(channel, "basic.publish", {"exchange": exchange, "routing-key": key, **flags}),
                amqp.header(channel, len(body), values)]
        if body:
            data.append(amqp.frame(amqp.BODY, channel, body))
        self.current.transcript += [f"> {self.shown(one)}" for one in data]
        self.current.send(b"".join(data))

    # -- receiving

    def expect(self, scan):
        channel = scan.match(r"(\d+)(?=\s)")
        channel = int(channel.group()) if channel else None
        what = scan.match(r"[a-z-]+(\.[a-z-]+)?").group()
        if what == "eof":
            return self.expect_end(scan)
        if what == "hex":
            wanted = bytes.fromhex(scan.rest())
            got = self.current.raw(len(wanted))
            if got != wanted:
                raise Failure(f"expected {wanted.hex()}, got {got.hex()}")
            return None
        if what == "heartbeat":
            kind, number, payload = self.current.frame()
            return self.check((kind, number, payload) == (amqp.HEARTBEAT, 0, b""), "a heartbeat")
        if what in ("content-header", "body"):
            return self.expect_part(what, 1 if channel is None else channel, scan)
        if what == "content":
            return self.expect_content(1 if channel is None else channel, scan)
        if channel is None:
            channel = 0 if what.startswith("connection.") else 1
        kind, number, payload = self.current.frame_but_heartbeats()
        self.check(kind == amqp.METHOD and number == channel, f"{what} on channel {channel}")
        name, values = amqp.decode_method(payload)
        self.check(name == what, what)
        for field, wanted in self.wanted_fields(name, scan).items():
            if not same(wanted, values[field], self.kept):
                raise Failure(f"expected {field}={show_value(wanted) if isinstance(wanted, (bytes, list, int)) else 'what is written'}, "
                              f"got {show_value(values[field])}")
        return None

    @staticmethod
    def wanted_fields(name, scan):
        """Closes are written shortly: CODE "TEXT" CLASS.METHOD; other methods field=value, or a word for a set bit."""
        if name in ("channel.close", "connection.close") and scan.match(r"(?=\d)"):
            values = {"reply-code": int(scan.match(r"\d+").group()), "reply-text": scan.value()}
            cause = scan.match(r"(\d+)\.(\d+)")
            values["class-id"], values["method-id"] = (int(cause.group(1)), int(cause.group(2))) if cause else (0, 0)
            return values
        return fields(scan)

    def expect_part(self, what, channel, scan):
        """`< content-header size=N` and `< body "…"`: where it matters how a body is cut."""
        kind, number, payload = self.current.frame_but_heartbeats()
        wanted_kind = amqp.BODY if what == "body" else amqp.HEADER
        self.check(kind == wanted_kind and number == channel, what)
        if what == "body":
            wanted, got = scan.value(), payload
        else:
            wanted, got = fields(scan)["size"], amqp.decode_header(payload)[0]
        if wanted != got:
            raise Failure(f"expected {show_value(wanted)[:90]}, got {show_value(got)[:90]}, {len(payload)} bytes")

    def expect_content(self, channel, scan):
        body = scan.value() if scan.peek() in ('"', "/", "?") else None
        wanted = dict(scan.items())
        kind, number, payload = self.current.frame_but_heartbeats()
        self.check(kind == amqp.HEADER and number == channel, "a content header")
        size, properties = amqp.decode_header(payload)
        got = b""
        while len(got) < size:
            kind, number, payload = self.current.frame_but_heartbeats()
            self.check(kind == amqp.BODY and number == channel and payload, "a body frame")
            got += payload
        if body is not None and not same(body, got, self.kept):
            raise Failure(f"expected the body {show_value(body)}, got {show_value(got[:200])}")
        if wanted.pop("none", None) is not None and properties:
            raise Failure(f"expected no properties, got {properties}")
        for name, value in wanted.items():
            if value == b"absent":
                self.check(name not in properties, f"no {name}")
            elif name not in properties or not same(value, properties[name], self.kept):
                found = show_value(properties[name]) if name in properties else "none"
                raise Failure(f"expected another {name} than {found}")

    def expect_end(self, scan):
        """eof, or `eof after 3s`: not sooner than a little before, not later than a second after."""
        after = scan.match(r"after (\d+(?:\.\d+)?)s")
        until = scan.match(r"to (\d+(?:\.\d+)?)s")
        while self.current.fill(1, 45):
            kind = self.current.frame()[0]
            self.check(kind == amqp.HEARTBEAT, "the end")
        passed = time.monotonic() - self.current.last_byte
        self.current.transcript.append(f"< eof after {passed:.1f}s")
        if after:
            least = float(after.group(1))
            most = float(until.group(1)) if until else least
            if not least - 0.3 <= passed <= most + 1.5:
                raise Failure(f"the end came after {passed:.1f}s")

    @staticmethod
    def check(true, wanted):
        if not true:
            raise Failure(f"expected {wanted}")

    # -- the other verbs

    def do_dial(self, scan):
        name = scan.match(r"as (\w+)")
        name = name.group(1) if name else "a"
        self.current = self.connections[name] = Connection(self.address, name, self.bytewise, self.patience)

    def do_on(self, scan):
        self.current = self.connections[scan.word()]

    def do_connect(self, scan):
        name = scan.match(r"as (\w+)")
        self.connect(dict(scan.items()), name.group(1) if name else "a")

    def connect(self, values, name="a"):
        def number(key, default):
            return values.get(key, default)
        self.current = self.connections[name] = Connection(self.address, name, self.bytewise, self.patience)
        user, password = values.get("user", b"guest"), values.get("password", values.get("user", b"guest"))
        words = values.get("capabilities", b",".join(word.encode() for word in CLIENT_CAPABILITIES)).split(b",")
        capabilities = [(word, ("t", 1)) for word in words if word]
        self.current.send(amqp.PROTOCOL_HEADER)
        self.until("connection.start")
        self.current.send(amqp.method(0, "connection.start-ok", {
            "client-properties": [(b"capabilities", ("F", capabilities))], "mechanism": b"PLAIN",
            "response": b"\0" + user + b"\0" + password, "locale": b"en_US"}))
        self.until("connection.tune")
        self.current.send(amqp.method(0, "connection.tune-ok", {
            "channel-max": number("channel-max", 2047), "frame-max": number("frame-max", 131072),
            "heartbeat": number("heartbeat", 0)}))
        self.current.send(amqp.method(0, "connection.open", {"virtual-host": values.get("vhost", b"/")}))
        self.until("connection.open-ok")
        self.current.handshake_size = len(self.current.sent)
        self.current.transcript.append("  (connected)")

    def until(self, name):
        kind, _, payload = self.current.frame_but_heartbeats()
        self.check(kind == amqp.METHOD and amqp.decode_method(payload)[0] == name, name)

    def do_open(self, scan):
        for channel in re.findall(r"\d+", scan.rest()):
            self.open(int(channel))

    def open(self, channel):
        self.current.send(amqp.method(channel, "channel.open", {}))
        self.until("channel.open-ok")
        self.current.transcript.append(f"  (channel {channel} is open)")

    def do_sync(self, scan):
        """A call and its answer: nothing else came before."""
        channel = scan.match(r"\d+")
        channel = int(channel.group()) if channel else 1
        self.current.send(amqp.method(channel, "channel.flow", {"active": 1}))
        kind, number, payload = self.current.frame_but_heartbeats()
        self.check((kind, number) == (amqp.METHOD, channel) and amqp.decode_method(payload)[0] == "channel.flow-ok",
                   "nothing before the answer to a call")

    def do_acked(self, scan):
        """acked [CHANNEL] N: confirms for 1…N, in any order and grouping, and none twice."""
        numbers = [int(number) for number in re.findall(r"\d+", scan.rest())]
        channel, last = numbers if len(numbers) == 2 else (1, numbers[0])
        open_tags = set(range(1, last + 1))
        while open_tags:
            kind, number, payload = self.current.frame_but_heartbeats()
            self.check(kind == amqp.METHOD and number == channel, "basic.ack")
            name, values = amqp.decode_method(payload)
            self.check(name == "basic.ack", "basic.ack")
            tag = values["delivery-tag"]
            covered = {open_tag for open_tag in open_tags if open_tag == tag or (values["multiple"] and open_tag < tag)}
            self.check(tag in covered, f"a confirm for one of {sorted(open_tags)}")
            open_tags -= covered

    def do_wait(self, scan):
        """Time is part of a few rules: heartbeats, expiry."""
        time.sleep(float(scan.match(r"(\d+(?:\.\d+)?)s").group(1)))


def remove(address, names):
    """Deletes the queues and exchanges that a case made. What is locked is exclusive, and goes with its connection."""
    player = Player(address, None)
    player.connect({})
    player.open(1)
    for name in names:
        kind = "queue" if name.startswith("q") else "exchange"
        player.current.send(amqp.method(1, f"{kind}.delete", {kind: name.encode()}))
        _, _, payload = player.current.frame_but_heartbeats()
        if amqp.decode_method(payload)[0] == "channel.close":
            player.current.send(amqp.method(1, "channel.close-ok", {}))
            player.open(1)
    player.current.close()
