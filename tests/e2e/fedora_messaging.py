#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a consumer and a publisher of fedora-messaging send, in their order, with pika's Twisted adapter as they use it.

confirm.select on every channel, a channel of its own for each step, closes with the code 0, mandatory and immediate off.
"""
import json
import sys
import tempfile
import uuid

from broker_url import PATIENCE, client, name, url

pika = client("pika")
client("twisted")
from pika.adapters.twisted_connection import TwistedProtocolConnection
from twisted.internet import defer, protocol, reactor
from twisted.trial import unittest

PROPERTIES = {"product": "Fedora Messaging with Pika", "app": "test", "version": "fedora_messaging-3", "app_url": "https://example.org",
              "app_contacts_email": ["one@example.org", "two@example.org"]}


class Session:
    """A connection; every step gets a channel that is closed afterwards."""

    @classmethod
    @defer.inlineCallbacks
    def open(cls, **credentials):
        parameters = pika.URLParameters(url(**credentials))
        parameters.client_properties = PROPERTIES
        parameters.heartbeat = 60
        creator = protocol.ClientCreator(reactor, TwistedProtocolConnection, parameters)
        session = cls()
        session.protocol = yield creator.connectTCP(parameters.host, parameters.port, timeout=PATIENCE)
        yield session.protocol.ready
        return session

    @defer.inlineCallbacks
    def channel(self):
        channel = yield self.protocol.channel()
        yield channel.confirm_delivery()
        return channel

    @defer.inlineCallbacks
    def step(self, action):
        channel = yield self.channel()
        result = yield action(channel)
        yield channel.close(0)
        return result

    @defer.inlineCallbacks
    def close(self):
        if not self.protocol.is_closed:
            yield self.protocol.close()


def message(topic):
    headers = {"fedora_messaging_schema": "base.message", "fedora_messaging_severity": 20, "sent-at": "2024-01-01T00:00:00+00:00",
               "priority": 0, "fedora_messaging_user_somebody": True, "fedora_messaging_rpm_kernel": True}
    return topic, json.dumps({"hello": topic}).encode(), pika.BasicProperties(
        content_type="application/json", content_encoding="utf-8", delivery_mode=2, message_id=str(uuid.uuid4()), headers=headers)


class FedoraMessaging(unittest.TestCase):
    timeout = 60

    @defer.inlineCallbacks
    def setUp(self):
        self.session = yield Session.open()

    def tearDown(self):
        return self.session.close()

    @defer.inlineCallbacks
    def consumer(self, queue, keys, **declare):
        """Declares, binds each key on a channel of its own, sets qos and consumes; (channel, queue object, tag, queue name)."""
        frame = yield self.session.step(lambda channel: channel.queue_declare(queue=queue, **declare))
        queue = frame.method.queue
        for key in keys:
            yield self.session.step(lambda channel: channel.queue_bind(queue=queue, exchange="amq.topic", routing_key=key))
        channel = yield self.session.channel()
        yield channel.basic_qos(prefetch_count=10, prefetch_size=0)
        deliveries, tag = yield channel.basic_consume(queue=queue, consumer_tag=str(uuid.uuid4()))
        return channel, deliveries, tag, queue

    @defer.inlineCallbacks
    def publish(self, *topics, session=None):
        session = session or self.session
        unused = yield session.channel()
        channel = yield session.channel()
        for topic in topics:
            key, body, properties = message(topic)
            yield channel.basic_publish("amq.topic", key, body, properties)
        yield channel.close(200)
        yield unused.close(200)

    @defer.inlineCallbacks
    def test_a_publisher_and_a_consumer_with_a_queue_named_by_the_server(self):
        prefix = name("org.example")
        channel, deliveries, tag, queue = yield self.consumer("", [f"{prefix}.a.#", f"{prefix}.b"], exclusive=True, auto_delete=True)
        self.assertTrue(queue.startswith("amq.gen-"))
        topics = [f"{prefix}.a.{number}" for number in range(30)] + [f"{prefix}.b"]
        yield self.publish(*topics, f"{prefix}.nobody")
        for topic in topics:
            delivered, method, properties, body = yield deliveries.get()
            self.assertEqual((topic, {"hello": topic}), (method.routing_key, json.loads(body)))
            self.assertEqual(message(topic)[2].headers, properties.headers)
            self.assertEqual(("application/json", "utf-8", 2),
                             (properties.content_type, properties.content_encoding, properties.delivery_mode))
            yield delivered.basic_ack(delivery_tag=method.delivery_tag)
        yield channel.basic_cancel(tag)
        yield channel.close(0)

    @defer.inlineCallbacks
    def test_a_queue_declared_by_the_administrator_is_declared_passively_whatever_its_arguments(self):
        queue = name()
        arguments = {"x-message-ttl": 864000000, "x-expires": 60000, "x-max-length": 1000}
        yield self.session.step(lambda channel: channel.queue_declare(queue=queue, durable=True, arguments=arguments))
        frame = yield self.session.step(lambda channel: channel.queue_declare(queue=queue, passive=True, auto_delete=True, arguments={"x": 1}))
        self.assertEqual(queue, frame.method.queue)
        yield self.session.step(lambda channel: channel.queue_delete(queue=queue))

    @defer.inlineCallbacks
    def test_a_queue_that_is_not_there_closes_the_channel_with_404(self):
        channel = yield self.session.channel()
        caught = yield self.assertFailure(channel.queue_declare(queue="absent", passive=True), pika.exceptions.ChannelClosedByBroker)
        self.assertEqual((404, "NOT_FOUND - no queue 'absent' in vhost '/'"), caught.args)
        again = yield self.session.channel()
        yield again.close(0)

    @defer.inlineCallbacks
    def test_nack_returns_drop_ends_and_an_exception_returns_everything(self):
        prefix = name("org.example")
        channel, deliveries, tag, queue = yield self.consumer(name(), [f"{prefix}.#"], exclusive=True)
        yield self.publish(f"{prefix}.1", f"{prefix}.2", f"{prefix}.3")
        first = yield deliveries.get()
        yield channel.basic_nack(delivery_tag=first[1].delivery_tag, requeue=True)
        second, third = (yield deliveries.get()), (yield deliveries.get())
        again = yield deliveries.get()
        self.assertEqual((f"{prefix}.1", True), (again[1].routing_key, again[1].redelivered))
        yield channel.basic_nack(delivery_tag=again[1].delivery_tag, requeue=False)
        yield channel.basic_nack(delivery_tag=0, multiple=True, requeue=True)
        back = [(yield deliveries.get()), (yield deliveries.get())]
        self.assertEqual([(f"{prefix}.2", True), (f"{prefix}.3", True)], [(one[1].routing_key, one[1].redelivered) for one in back])
        yield channel.basic_nack(delivery_tag=0, multiple=True, requeue=True)
        yield channel.basic_cancel(tag)
        frame = yield self.session.step(lambda other: other.queue_declare(queue=queue, passive=True))
        self.assertTrue(frame.method.message_count <= 2)

    @defer.inlineCallbacks
    def test_a_deleted_queue_ends_its_consumer(self):
        channel, deliveries, tag, queue = yield self.consumer(name(), [], durable=True)
        yield self.session.step(lambda other: other.queue_delete(queue=queue))
        yield self.assertFailure(deliveries.get(), pika.exceptions.ConsumerCancelled)
        self.assertTrue(channel.is_open)
        yield channel.close(0)

    @defer.inlineCallbacks
    def refused(self, user, action, text):
        session = yield Session.open(user=user)
        channel = yield session.channel()
        caught = yield self.assertFailure(defer.maybeDeferred(action, channel), pika.exceptions.ChannelClosedByBroker)
        self.assertEqual((403, f"ACCESS_REFUSED - {text} refused for user '{user}'"), caught.args)
        again = yield session.channel()
        yield again.close(0)
        yield session.close()

    def test_a_publish_without_the_right_to_the_exchange(self):
        return self.refused("no_write", lambda channel: channel.basic_publish("amq.topic", "key", b"{}"),
                            "access to exchange 'amq.topic' in vhost '/'")

    def test_a_publish_without_the_right_to_the_topic(self):
        return self.refused("topical", lambda channel: channel.basic_publish("amq.topic", "org.theirs", b"{}"),
                            "access to topic 'org.theirs' in exchange 'amq.topic' in vhost '/'")

    def test_a_bind_without_the_right_to_read_the_exchange(self):
        return self.refused("no_read", lambda channel: channel.queue_bind(queue="some", exchange="amq.topic", routing_key="#"),
                            "access to exchange 'amq.topic' in vhost '/'")

    def test_a_bind_without_the_right_to_write_the_queue(self):
        return self.refused("no_write", lambda channel: channel.queue_bind(queue="some", exchange="amq.topic", routing_key="#"),
                            "access to queue 'some' in vhost '/'")

    def test_a_consume_without_the_right_to_read_the_queue(self):
        return self.refused("no_read", lambda channel: channel.basic_consume(queue="some"), "access to queue 'some' in vhost '/'")

    @defer.inlineCallbacks
    def test_another_publish_goes_on_after_one_was_refused(self):
        session = yield Session.open(user="topical")
        yield self.assertFailure(self.publish("org.theirs", session=session), pika.exceptions.ChannelClosedByBroker)
        yield self.publish("topical.mine", session=session)
        yield session.close()

    @defer.inlineCallbacks
    def test_the_name_of_a_virtual_host_may_begin_with_a_slash(self):
        session = yield Session.open(vhost="%2Fpubsub")
        yield self.publish("org.example.hello", session=session)
        yield session.close()

    @defer.inlineCallbacks
    def test_a_body_larger_than_a_frame_comes_back_whole(self):
        channel, deliveries, tag, queue = yield self.consumer(name(), [], exclusive=True)
        body = json.dumps({"text": "x" * 400000}).encode()
        publishing = yield self.session.channel()
        yield publishing.basic_publish("", queue, body, message("a")[2])
        delivered, method, properties, got = yield deliveries.get()
        self.assertEqual(body, got)
        yield delivered.basic_ack(delivery_tag=method.delivery_tag)


if __name__ == "__main__":
    # trial runs the reactor around each test; this file is its module.
    from twisted.scripts import trial
    with tempfile.TemporaryDirectory() as directory:
        sys.argv = ["trial", "--temp-directory", f"{directory}/trial", __file__]
        trial.run()
