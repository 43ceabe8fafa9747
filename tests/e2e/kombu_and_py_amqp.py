#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""py-amqp, which logs in with AMQPLAIN, and kombu on top of it."""
import socket
import unittest

from broker_url import client, name, until, url

amqp, kombu = client("amqp"), client("kombu")


def drain_until(connection, condition, what):
    def turn():
        if condition():
            return True
        try:
            connection.drain_events(timeout=0.1)
        except socket.timeout:
            pass
        return condition()
    until(turn, what)


class PyAmqp(unittest.TestCase):
    def connect(self, **options):
        where = url().split("@")[1].split("/")[0]
        connection = amqp.Connection(where, **{"userid": "guest", "password": "guest", "confirm_publish": True, **options})
        connection.connect()
        self.addCleanup(connection.close)
        return connection

    def test_a_confirmed_publish_is_fetched_and_acknowledged(self):
        channel = self.connect().channel()
        exchange, queue = name("x"), name()
        channel.exchange_declare(exchange, "direct", auto_delete=True)
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange, "key")
        channel.basic_publish_confirm(amqp.Message("body", content_type="text/plain", application_headers={"number": 5}), exchange, "key")
        message = channel.basic_get(queue)
        self.assertEqual(("body", {"number": 5}), (message.body, message.headers))
        channel.basic_ack(message.delivery_tag)
        self.assertIsNone(channel.basic_get(queue))

    def test_consume_with_prefetch_and_reject(self):
        connection = self.connect()
        channel = connection.channel()
        queue = channel.queue_declare(exclusive=True).queue
        channel.basic_qos(0, 1, False)
        got = []
        channel.basic_consume(queue, callback=got.append)
        for body in "ab":
            channel.basic_publish(amqp.Message(body), "", queue)
        drain_until(connection, lambda: got, "a delivery")
        self.assertEqual(["a"], [message.body for message in got])
        channel.basic_reject(got[0].delivery_tag, requeue=True)
        drain_until(connection, lambda: len(got) == 2, "another delivery")
        self.assertEqual(["a", True], [got[1].body, got[1].delivery_info["redelivered"]])

    def test_a_returned_message_says_so(self):
        channel = self.connect().channel()
        returned = []
        channel.events["basic_return"].add(lambda error, exchange, key, message: returned.append((error.reply_text, exchange, key)))
        channel.basic_publish_confirm(amqp.Message("x"), "amq.direct", "nobody", mandatory=True)
        self.assertEqual([("NO_ROUTE", "amq.direct", "nobody")], returned)

    def test_the_failing_method_is_named(self):
        channel = self.connect().channel()
        with self.assertRaises(amqp.exceptions.NotFound) as caught:
            channel.queue_declare("absent", passive=True)
        self.assertEqual("NOT_FOUND - no queue 'absent' in vhost '/'", caught.exception.reply_text)
        self.assertEqual("Queue.declare", caught.exception.method_name)

    def test_a_wrong_password(self):
        for mechanism in ("AMQPLAIN", "PLAIN"):
            with self.assertRaises(amqp.exceptions.AccessRefused) as caught:
                self.connect(password="wrong", login_method=mechanism)
            self.assertEqual(f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}. "
                             "For details see the broker logfile.", caught.exception.reply_text)


class Kombu(unittest.TestCase):
    def test_a_producer_and_a_consumer(self):
        with kombu.Connection(url(), transport_options={"confirm_publish": True}) as connection:
            exchange = kombu.Exchange(name("x"), "topic", durable=False, auto_delete=True)
            queue = kombu.Queue(name(), exchange, routing_key="org.#", durable=False, exclusive=True)
            got = []

            def on_message(body, message):
                got.append((body, message.headers["n"]))
                message.ack()
            with connection.Consumer(queue, callbacks=[on_message], prefetch_count=2):
                with connection.Producer() as producer:
                    for number in range(10):
                        producer.publish({"number": number}, exchange=exchange, routing_key="org.example", headers={"n": number},
                                         serializer="json", declare=[queue])
                drain_until(connection, lambda: len(got) == 10, "10 messages")
            self.assertEqual([({"number": number}, number) for number in range(10)], got)

    def test_the_broker_takes_a_prefetch_for_the_whole_channel(self):
        # kombu asks so only of a broker named RabbitMQ, of version 3.3 or later.
        with kombu.Connection(url()) as connection:
            self.assertTrue(connection.transport.qos_semantics_matches_spec(connection.connection) is False)

    def test_a_simple_queue(self):
        with kombu.Connection(url()) as connection:
            queue = connection.SimpleBuffer(name())
            queue.put("hello")
            message = queue.get(timeout=10)
            self.assertEqual("hello", message.payload)
            message.ack()
            queue.close()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
