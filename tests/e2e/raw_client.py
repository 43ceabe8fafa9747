# SPDX-License-Identifier: Apache-2.0
"""A client that sends whatever a test wants, octet for octet, over the wire cases' codec."""
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
import amqp

CAPABILITIES = (b"capabilities", ("F", [(b"authentication_failure_close", ("t", 1))]))


class RawClient:
    """A TCP connection. Texts are octets; names of fields have _ for -."""

    def __init__(self, address, patience=30, source=None):
        self.socket = socket.create_connection(address, patience, source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def name(self):
        """As the broker names this connection."""
        return "%s:%d -> %s:%d" % (*self.socket.getsockname(), *self.socket.getpeername())

    def send(self, method, channel=0, **values):
        self.raw(amqp.method(channel, method, {name.replace("_", "-"): value for name, value in values.items()}))

    def raw(self, octets):
        self.socket.sendall(octets)

    def fill(self, size):
        while len(self.received) < size:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError("the broker has closed the connection")
            self.received += more

    def method(self):
        """The next method: its name and fields."""
        while True:
            self.fill(7)
            size = 8 + int.from_bytes(self.received[3:7], "big")
            self.fill(size)
            frame, self.received = self.received[:size], self.received[size:]
            if frame[0] == amqp.METHOD:
                return amqp.decode_method(frame[7:-1])

    def expect(self, name):
        got, values = self.method()
        if got != name:
            raise AssertionError(f"{name} was expected, and {got} {values} came")
        return values

    def ended(self):
        """Waits until the broker has ended the connection."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass

    def start(self, user=b"guest", password=None, name=None, mechanism=b"PLAIN", response=None, properties=()):
        """Up to the broker's answer to start-ok, which is still to be read."""
        self.raw(amqp.PROTOCOL_HEADER)
        self.expect("connection.start")
        table = [CAPABILITIES, *properties]
        if name is not None:
            table.append((b"connection_name", ("S", name)))
        plain = b"\0" + user + b"\0" + (user if password is None else password)
        self.send("connection.start-ok", client_properties=table, mechanism=mechanism,
                  response=plain if response is None else response, locale=b"en_US")
        return self

    def open(self, vhost=b"/", heartbeat=0, **who):
        """Until channel 1 is open."""
        self.start(**who).expect("connection.tune")
        self.send("connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=heartbeat)
        self.send("connection.open", virtual_host=vhost)
        self.expect("connection.open-ok")
        self.send("channel.open", channel=1)
        self.expect("channel.open-ok")
        return self
