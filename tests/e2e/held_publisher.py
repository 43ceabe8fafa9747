# SPDX-License-Identifier: Apache-2.0
"""A publisher that hears the broker while it is held."""
import threading

import pika


class Publisher(threading.Thread):
    """Publishes in a loop of its own, ten messages ahead of their confirms, until it is stopped or its connection ends."""

    SIZE = 100_000

    def __init__(self, url, queue, properties=None, first=1):
        super().__init__(daemon=True)
        self.queue, self.properties, self.first = queue, properties, first
        self.blocked, self.unblocked, self.stopping = threading.Event(), threading.Event(), False
        self.reason = None
        self.published, self.unconfirmed = 0, set()
        self.connection = pika.SelectConnection(pika.URLParameters(url), on_open_callback=self.opened)

    def run(self):
        self.connection.ioloop.start()

    def opened(self, connection):
        connection.add_on_connection_blocked_callback(self.hear_blocked)
        connection.add_on_connection_unblocked_callback(lambda *_: self.unblocked.set())
        connection.add_on_close_callback(lambda *_: connection.ioloop.stop())
        connection.channel(on_open_callback=self.channel_opened)

    def hear_blocked(self, _, frame):
        self.reason = frame.method.reason
        self.blocked.set()

    def channel_opened(self, channel):
        self.channel = channel
        channel.confirm_delivery(self.hear_confirm, callback=lambda _: self.publish())

    def hear_confirm(self, frame):
        tag = frame.method.delivery_tag
        self.unconfirmed -= {one for one in self.unconfirmed if one == tag or (frame.method.multiple and one < tag)}
        if not self.stopping:
            self.publish()
        elif not self.unconfirmed:
            self.connection.close()

    def publish(self):
        while len(self.unconfirmed) < 10:
            body = b"%09d" % (self.first + self.published)
            self.channel.basic_publish("", self.queue, body.ljust(self.SIZE, b"x"), self.properties)
            self.published += 1
            self.unconfirmed.add(self.published)

    def confirmed(self):
        """The numbers at the front of the bodies that were confirmed."""
        return [self.first + tag - 1 for tag in range(1, self.published + 1) if tag not in self.unconfirmed]
