# SPDX-License-Identifier: Apache-2.0
"""AMQP 0-9-1 as bytes, for the wire cases. Written apart from the broker's own codec, so that each checks the other.

A table is a list of (name, Value); a Value is (type letter, payload), with RabbitMQ's letters.
"""
import struct

# name id field:type…   types: o octet, s short, l long, q long-long, S short string, L long string, F table, b bit
METHODS = """
connection 10
  start 10 version-major:o version-minor:o server-properties:F mechanisms:L locales:L
  start-ok 11 client-properties:F mechanism:S response:L locale:S
  secure 20 challenge:L
  secure-ok 21 response:L
  tune 30 channel-max:s frame-max:l heartbeat:s
  tune-ok 31 channel-max:s frame-max:l heartbeat:s
  open 40 virtual-host:S reserved-1:S reserved-2:b
  open-ok 41 reserved-1:S
  close 50 reply-code:s reply-text:S class-id:s method-id:s
  close-ok 51
  blocked 60 reason:S
  unblocked 61
  update-secret 70 new-secret:L reason:S
  update-secret-ok 71
channel 20
  open 10 reserved-1:S
  open-ok 11 reserved-1:L
  flow 20 active:b
  flow-ok 21 active:b
  close 40 reply-code:s reply-text:S class-id:s method-id:s
  close-ok 41
access 30
  request 10 realm:S exclusive:b passive:b active:b write:b read:b
  request-ok 11 ticket:s
exchange 40
  declare 10 ticket:s exchange:S type:S passive:b durable:b auto-delete:b internal:b nowait:b arguments:F
  declare-ok 11
  delete 20 ticket:s exchange:S if-unused:b nowait:b
  delete-ok 21
  bind 30 ticket:s destination:S source:S routing-key:S nowait:b arguments:F
  bind-ok 31
  unbind 40 ticket:s destination:S source:S routing-key:S nowait:b arguments:F
  unbind-ok 51
queue 50
  declare 10 ticket:s queue:S passive:b durable:b exclusive:b auto-delete:b nowait:b arguments:F
  declare-ok 11 queue:S message-count:l consumer-count:l
  bind 20 ticket:s queue:S exchange:S routing-key:S nowait:b arguments:F
  bind-ok 21
  purge 30 ticket:s queue:S nowait:b
  purge-ok 31 message-count:l
  delete 40 ticket:s queue:S if-unused:b if-empty:b nowait:b
  delete-ok 41 message-count:l
  unbind 50 ticket:s queue:S exchange:S routing-key:S arguments:F
  unbind-ok 51
basic 60
  qos 10 prefetch-size:l prefetch-count:s global:b
  qos-ok 11
  consume 20 ticket:s queue:S consumer-tag:S no-local:b no-ack:b exclusive:b nowait:b arguments:F
  consume-ok 21 consumer-tag:S
  cancel 30 consumer-tag:S nowait:b
  cancel-ok 31 consumer-tag:S
  publish 40 ticket:s exchange:S routing-key:S mandatory:b immediate:b
  return 50 reply-code:s reply-text:S exchange:S routing-key:S
  deliver 60 consumer-tag:S delivery-tag:q redelivered:b exchange:S routing-key:S
  get 70 ticket:s queue:S no-ack:b
  get-ok 71 delivery-tag:q redelivered:b exchange:S routing-key:S message-count:l
  get-empty 72 reserved-1:S
  ack 80 delivery-tag:q multiple:b
  reject 90 delivery-tag:q requeue:b
  recover-async 100 requeue:b
  recover 110 requeue:b
  recover-ok 111
  nack 120 delivery-tag:q multiple:b requeue:b
confirm 85
  select 10 nowait:b
  select-ok 11
tx 90
  select 10
  select-ok 11
  commit 20
  commit-ok 21
  rollback 30
  rollback-ok 31
"""

PROPERTIES = [("content-type", "S"), ("content-encoding", "S"), ("headers", "F"), ("delivery-mode", "o"),
              ("priority", "o"), ("correlation-id", "S"), ("reply-to", "S"), ("expiration", "S"), ("message-id", "S"),
              ("timestamp", "q"), ("type", "S"), ("user-id", "S"), ("app-id", "S"), ("cluster-id", "S")]

NUMBERS = {"o": ">B", "s": ">H", "l": ">I", "q": ">Q"}
TABLE_NUMBERS = {"t": ">B", "b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q",
                 "f": ">f", "d": ">d", "T": ">Q"}

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

BY_NAME, BY_ID = {}, {}


def _declare():
    class_name, class_id = "", 0
    for line in METHODS.strip().splitlines():
        words = line.split()
        if not line.startswith(" "):
            class_name, class_id = words[0], int(words[1])
            continue
        name, key = f"{class_name}.{words[0]}", (class_id, int(words[1]))
        fields = [tuple(word.split(":")) for word in words[2:]]
        BY_NAME[name] = (key, fields)
        BY_ID[key] = (name, fields)


_declare()


def encode_value(value):
    letter, payload = value
    if letter in TABLE_NUMBERS:
        data = struct.pack(TABLE_NUMBERS[letter], payload)
    elif letter in "Sx":
        data = struct.pack(">I", len(payload)) + payload
    elif letter == "F":
        data = encode_table(payload)
    elif letter == "A":
        items = b"".join(encode_value(item) for item in payload)
        data = struct.pack(">I", len(items)) + items
    elif letter == "D":
        data = struct.pack(">BI", *payload)
    else:  # V, and letters that nobody knows
        data = b""
    return letter.encode() + data


def encode_table(fields):
    data = b"".join(bytes([len(name)]) + name + encode_value(value) for name, value in fields)
    return struct.pack(">I", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at, self.bits, self.next_bit = data, 0, 0, 8

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError("truncated")
        self.at += size
        self.next_bit = 8
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def field(self, kind):
        if kind == "b":
            if self.next_bit == 8:
                self.bits, self.next_bit = self.number(">B"), 0
            self.next_bit += 1
            return self.bits >> (self.next_bit - 1) & 1
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == "S":
            return self.take(self.number(">B"))
        if kind == "L":
            return self.take(self.number(">I"))
        return self.table()

    def table(self):
        inner = Reader(self.take(self.number(">I")))
        fields = []
        while inner.at < len(inner.data):
            name = inner.take(inner.number(">B"))
            fields.append((name, inner.value()))
        return fields

    def value(self):
        letter = chr(self.number(">B"))
        if letter in TABLE_NUMBERS:
            return letter, self.number(TABLE_NUMBERS[letter])
        if letter in "Sx":
            return letter, self.take(self.number(">I"))
        if letter == "F":
            return letter, self.table()
        if letter == "A":
            inner, items = Reader(self.take(self.number(">I"))), []
            while inner.at < len(inner.data):
                items.append(inner.value())
            return letter, items
        if letter == "D":
            return letter, (self.number(">B"), self.number(">I"))
        if letter == "V":
            return letter, None
        raise ValueError(f"field type {letter!r}")


def encode_fields(fields, values):
    out, run = b"", []

    def bits():
        packed = sum(bit << place for place, bit in enumerate(run))
        return bytes([packed]) if run else b""

    for name, kind in fields:
        value = values.get(name)
        if kind == "b":
            run.append(1 if value else 0)
            continue
        out += bits()
        run = []
        if kind in NUMBERS:
            out += struct.pack(NUMBERS[kind], value or 0)
        elif kind == "F":
            out += encode_table(value or [])
        else:
            value = value or b""
            out += (bytes([len(value)]) if kind == "S" else struct.pack(">I", len(value))) + value
    return out + bits()


def frame(kind, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


def method(channel, name, values):
    (class_id, method_id), fields = BY_NAME[name]
    unknown = set(values) - {field for field, _ in fields}
    if unknown:
        raise ValueError(f"{name} has no {', '.join(sorted(unknown))}")
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + encode_fields(fields, values))


def header(channel, size, properties, class_id=60, weight=0):
    known = dict(PROPERTIES)
    unknown = set(properties) - set(known)
    if unknown:
        raise ValueError(f"no such property: {', '.join(sorted(unknown))}")
    present = [(name, kind) for name, kind in PROPERTIES if name in properties]
    flags = sum(1 << (15 - place) for place, (name, _) in enumerate(PROPERTIES) if name in properties)
    payload = struct.pack(">HHQH", class_id, weight, size, flags) + encode_fields(present, properties)
    return frame(HEADER, channel, payload)


def decode_method(payload):
    reader = Reader(payload)
    key = (reader.number(">H"), reader.number(">H"))
    name, fields = BY_ID[key]
    values = {field: reader.field(kind) for field, kind in fields}
    if reader.at != len(payload):
        raise ValueError(f"{name} has trailing bytes")
    return name, values


def decode_header(payload):
    reader = Reader(payload)
    class_id, weight = reader.number(">H"), reader.number(">H")
    size, flags = reader.number(">Q"), reader.number(">H")
    properties = {name: reader.field(kind)
                  for place, (name, kind) in enumerate(PROPERTIES) if flags >> (15 - place) & 1}
    if class_id != 60 or weight != 0 or reader.at != len(payload):
        raise ValueError("malformed content header")
    return size, properties
