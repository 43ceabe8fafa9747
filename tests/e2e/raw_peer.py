# SPDX-License-Identifier: Apache-2.0
"""A client that does what no library would: sends what it likes, and reads only when it is told to."""
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
import amqp

BODY_FRAME = 131_000


def content(channel, size, **properties):
    """The header and the body frames of a content of so many octets."""
    return amqp.header(channel, size, properties) + b"".join(
        amqp.frame(amqp.BODY, channel, b"b" * min(BODY_FRAME, size - at)) for at in range(0, size, BODY_FRAME))


def publish(channel, exchange, key, size, **properties):
    names = {"exchange": exchange.encode(), "routing-key": key.encode()}
    return amqp.method(channel, "basic.publish", names) + content(channel, size, **properties)


class RawPeer:
    def __init__(self, broker, channels=1, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(broker.address)
        self.received = bytearray()
        self.socket.sendall(b"AMQP\0\0\x09\1")
        self.until("connection.start")
        self.send("connection.start-ok", 0, mechanism=b"PLAIN", response=b"\0guest\0guest", locale=b"en_US")
        self.until("connection.tune")
        self.send("connection.tune-ok", 0, **{"channel-max": 2047, "frame-max": 131072})
        self.call("connection.open", 0, **{"virtual-host": b"/"})
        for channel in range(1, channels + 1):
            self.call("channel.open", channel)

    def send(self, name, channel=1, **values):
        self.socket.sendall(amqp.method(channel, name, values))

    def call(self, name, channel=1, **values):
        """The values of the method that answers it; whatever comes before is passed over."""
        self.send(name, channel, **values)
        return self.until({"basic.get": "basic.get-ok"}.get(name, name + "-ok"))

    def frame(self):
        while True:
            if len(self.received) >= 7:
                kind, size = self.received[0], int.from_bytes(self.received[3:7], "big")
                if len(self.received) >= size + 8:
                    payload = bytes(self.received[7:7 + size])
                    del self.received[:size + 8]
                    return kind, payload
            some = self.socket.recv(1 << 18)
            if not some:
                raise EOFError("the broker has closed the connection")
            self.received += some

    def until(self, *names):
        """The values of the next method of one of these names, and its name under ""."""
        while True:
            kind, payload = self.frame()
            if kind != amqp.METHOD:
                continue
            name, values = amqp.decode_method(payload)
            if name in names:
                return {**values, "": name}
            if name in ("channel.close", "connection.close"):
                raise AssertionError(f"closed: {values['reply-code']} {values['reply-text']}")

    def flood(self, octets, seconds, most=1 << 62):
        """Sends these again and again, as fast as they are taken; how many octets were."""
        self.socket.settimeout(0.2)
        sent, view, end = 0, memoryview(octets), time.monotonic() + seconds
        while sent < most and time.monotonic() < end:
            try:
                sent += self.socket.send(view[sent % len(octets):])
            except TimeoutError:
                pass
            except OSError:
                break
        self.socket.settimeout(30)
        return sent

    def close(self):
        self.socket.close()
