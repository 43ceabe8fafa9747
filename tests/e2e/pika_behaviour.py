#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pika's blocking client sees of queues, consumers, confirms and errors."""
import subprocess
import sys
import unittest

from broker_url import client, name, until, url

pika = client("pika")


def connect(**credentials):
    return pika.BlockingConnection(pika.URLParameters(url(**credentials)))


def connect_and(action):
    def run():
        connection = connect()
        action(connection.channel())
        connection.close()
    return run


def consume_and_hang(queue, count):
    """Another process: takes messages, says so, and never settles them."""
    got = []

    def on_message(*delivery):
        got.append(delivery)
        if len(got) == count:
            print("consumed", flush=True)
    channel = connect().channel()
    channel.basic_consume(queue, on_message)
    channel.start_consuming()


class Messaging(unittest.TestCase):
    def setUp(self):
        self.connection = connect()
        self.channel = self.connection.channel()

    def tearDown(self):
        if self.connection.is_open:
            self.connection.close()

    def queue(self, **properties):
        return self.channel.queue_declare(name(), exclusive=True, **properties).method.queue

    def queue_of_nobody(self):
        queue = self.channel.queue_declare(name()).method.queue
        self.addCleanup(connect_and(lambda channel: channel.queue_delete(queue)))
        return queue

    def publish(self, queue, *bodies):
        for body in bodies:
            self.channel.basic_publish("", queue, body)

    def bodies(self, queue, count):
        """Takes `count` messages and leaves them unacknowledged: [(tag, body, redelivered)]."""
        taken = []

        def take():
            while len(taken) < count:
                method, _, body = self.channel.basic_get(queue)
                if method is None:
                    return False
                taken.append((method.delivery_tag, body.decode(), method.redelivered))
            return True
        until(take, f"{count} messages in {queue}")
        return taken

    def pump(self, condition, what):
        def turn():
            self.connection.process_data_events(0.05)
            return condition()
        until(turn, what)


class Smoke(Messaging):
    def test_a_confirmed_publish_is_consumed_and_acknowledged(self):
        exchange, queue = name("x"), self.queue()
        self.channel.exchange_declare(exchange, "topic", auto_delete=True)
        self.channel.queue_bind(queue, exchange, "org.example.#")
        self.channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, message_id="m",
                                          headers={"text": "a", "number": 5, "flag": True, "nested": {"list": [1, "b", None]}})
        self.channel.basic_publish(exchange, "org.example.hello", b'{"a": 1}', properties, mandatory=True)
        for method, got, body in self.channel.consume(queue, inactivity_timeout=10):
            self.assertEqual((b'{"a": 1}', "org.example.hello", exchange), (body, method.routing_key, method.exchange))
            self.assertEqual(properties.headers, got.headers)
            self.assertEqual(("application/json", 2, "m"), (got.content_type, got.delivery_mode, got.message_id))
            self.channel.basic_ack(method.delivery_tag)
            break
        self.channel.cancel()
        self.assertEqual(0, self.channel.queue_declare(queue, passive=True).method.message_count)

    def test_a_mandatory_message_without_a_queue_is_returned(self):
        self.channel.confirm_delivery()
        with self.assertRaises(pika.exceptions.UnroutableError):
            self.channel.basic_publish("amq.direct", name("nobody"), b"x", mandatory=True)

    def test_a_large_message_comes_in_one_piece(self):
        queue, body = self.queue(), bytes(range(256)) * 4096 * 5
        self.publish(queue, body)
        until(lambda: self.channel.queue_declare(queue, passive=True).method.message_count, "the message has arrived")
        self.assertEqual(body, self.channel.basic_get(queue, auto_ack=True)[2])

    def test_a_wrong_password_is_an_authentication_error(self):
        with self.assertRaises(pika.exceptions.ProbableAuthenticationError) as caught:
            connect(password="wrong")
        self.assertIn("Login was refused", str(caught.exception))

    def test_a_virtual_host_that_is_not_there_closes_with_530(self):
        with self.assertRaises(pika.exceptions.ProbableAccessDeniedError) as caught:
            connect(vhost="nowhere")
        self.assertIn("(530) 'NOT_ALLOWED - vhost nowhere not found'", str(caught.exception))


class Redelivery(Messaging):
    def test_what_is_returned_stands_at_its_old_place(self):
        queue = self.queue()
        self.publish(queue, "1", "2", "3", "4")
        taken = self.bodies(queue, 3)
        for tag, _, _ in (taken[1], taken[0]):
            self.channel.basic_nack(tag, requeue=True)
        self.assertEqual([("1", True), ("2", True), ("4", False)], [one[1:] for one in self.bodies(queue, 3)])

    def test_everything_of_a_lost_connection_comes_back_in_order(self):
        queue = self.queue_of_nobody()
        numbers = [str(number) for number in range(500)]
        self.publish(queue, *numbers)
        consumer = subprocess.Popen([sys.executable, __file__, "--consume-and-hang", queue, "500"], stdout=subprocess.PIPE)
        self.assertEqual(b"consumed\n", consumer.stdout.readline())
        consumer.kill()
        consumer.wait()
        consumer.stdout.close()
        back = self.bodies(queue, 500)
        self.assertEqual(numbers, [body for _, body, _ in back])
        self.assertTrue(all(redelivered for _, _, redelivered in back))

    def test_a_message_for_a_closed_channel_goes_to_the_next_consumer(self):
        queue = self.queue()
        first, second = self.connection.channel(), self.connection.channel()
        got = []
        first.basic_consume(queue, lambda *delivery: None)
        self.publish(queue, "1")
        self.pump(lambda: self.channel.queue_declare(queue, passive=True).method.message_count == 0, "it is delivered")
        second.basic_consume(queue, lambda *delivery: got.append((delivery[3], delivery[1].redelivered)))
        first.close()
        self.pump(lambda: got, "it is delivered again")
        self.assertEqual([(b"1", True)], got)


class Queues(Messaging):
    def test_an_exclusive_queue_goes_with_its_connection(self):
        queue = self.queue()
        other = connect()
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            other.channel().queue_declare(queue, passive=True)
        self.assertEqual(405, caught.exception.reply_code)
        self.connection.close()
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            other.channel().queue_declare(queue, passive=True)
        self.assertEqual((404, f"NOT_FOUND - no queue '{queue}' in vhost '/'"), caught.exception.args)
        other.close()

    def test_an_auto_delete_queue_goes_with_its_last_consumer(self):
        queue = self.channel.queue_declare(name(), auto_delete=True).method.queue
        tag = self.channel.basic_consume(queue, lambda *delivery: None)
        self.channel.basic_cancel(tag)
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            self.channel.queue_declare(queue, passive=True)
        self.assertEqual(404, caught.exception.reply_code)

    def test_a_consumer_is_told_when_its_queue_is_deleted(self):
        queue = self.queue()
        cancelled = []
        consuming = self.connection.channel()
        consuming.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = consuming.basic_consume(queue, lambda *delivery: None)
        self.channel.queue_delete(queue)
        self.pump(lambda: cancelled, "basic.cancel")
        self.assertEqual([tag], cancelled)
        self.assertTrue(consuming.is_open)

    def test_a_queue_declared_unlike_is_refused(self):
        queue = self.queue(arguments={"x-max-length": 1})
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            self.channel.queue_declare(queue, exclusive=True, arguments={"x-max-length": 2})
        self.assertEqual((406, f"PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '{queue}' in vhost '/': "
                               "received '2' but current is '1'"), caught.exception.args)


class Consumers(Messaging):
    def consume(self, queue, channel=None, **properties):
        got = []
        (channel or self.channel).basic_consume(queue, lambda *delivery: got.append((delivery[3].decode(), delivery[1].delivery_tag)),
                                                **properties)
        return got

    def test_the_consumer_with_the_higher_priority_gets_all_while_it_has_room(self):
        queue = self.queue()
        self.channel.basic_qos(prefetch_count=5)
        low = self.consume(queue, arguments={"x-priority": 1})
        high = self.consume(queue, arguments={"x-priority": 2})
        self.publish(queue, *map(str, range(8)))
        self.pump(lambda: len(low) + len(high) == 8, "8 deliveries")
        self.assertEqual([str(number) for number in range(5)], [body for body, _ in high])
        self.assertEqual(["5", "6", "7"], [body for body, _ in low])

    def test_a_global_prefetch_holds_while_gets_and_deliveries_go_back_together(self):
        one, two, other, got = self.queue(), self.queue(), self.queue(), []
        self.channel.basic_qos(prefetch_count=3, global_qos=True)
        for queue in (one, two):
            self.channel.basic_consume(queue, lambda channel, method, properties, body: got.append(method.delivery_tag))
        self.publish(one, "1", "2")
        self.pump(lambda: len(got) == 2, "two deliveries")
        self.publish(other, "got, and not counted")
        (tag, _, _), = self.bodies(other, 1)
        self.publish(two, "3", "4", "5")
        self.pump(lambda: len(got) == 3, "a third delivery")
        self.channel.basic_nack(tag, multiple=True, requeue=True)
        self.pump(lambda: len(got) >= 5, "two more")
        self.connection.process_data_events(0.5)
        self.assertEqual([1, 2, 4, 5, 6], got)

    def test_a_global_prefetch_is_shared_by_the_channel(self):
        one, two = self.queue(), self.queue()
        self.channel.basic_qos(prefetch_count=3, global_qos=True)
        got_one, got_two = self.consume(one), self.consume(two)
        self.publish(one, "1", "2", "3")
        self.pump(lambda: len(got_one) == 3, "3 deliveries")
        self.publish(two, "4")
        self.connection.channel().close()
        self.assertEqual([], got_two)
        self.channel.basic_ack(got_one[0][1])
        self.pump(lambda: got_two, "the fourth, for which there is room now")

    def test_a_prefetch_is_never_exceeded(self):
        queue = self.queue()
        self.channel.basic_qos(prefetch_count=10)
        outstanding, most, done = 0, 0, 0

        def on_message(channel, method, properties, body):
            nonlocal outstanding, most, done
            outstanding += 1
            most = max(most, outstanding)
            if outstanding == 10:
                channel.basic_ack(method.delivery_tag, multiple=True)
                done += 10
                outstanding = 0
        self.publish(queue, *map(str, range(200)))
        self.channel.basic_consume(queue, on_message)
        self.pump(lambda: done == 200, "200 deliveries")
        self.assertEqual(10, most)

    def test_consumers_take_turns(self):
        queue = self.queue()
        first, second = self.consume(queue), self.consume(queue)
        self.publish(queue, *map(str, range(100)))
        self.pump(lambda: len(first) + len(second) == 100, "100 deliveries")
        self.assertEqual((50, 50), (len(first), len(second)))


class Replies(Messaging):
    def test_direct_reply_to(self):
        service = self.queue()

        def serve(channel, method, properties, body):
            channel.basic_publish("", properties.reply_to, body.upper(),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
        answers = []
        self.channel.basic_consume(service, serve, auto_ack=True)
        client_channel = self.connection.channel()
        client_channel.basic_consume("amq.rabbitmq.reply-to", lambda *delivery: answers.append((delivery[3], delivery[2].correlation_id)),
                                     auto_ack=True)
        for number in range(20):
            client_channel.basic_publish("", service, f"question {number}",
                                         pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=str(number)))
        self.pump(lambda: len(answers) == 20, "20 answers")
        self.assertEqual([(f"QUESTION {number}".encode(), str(number)) for number in range(20)], answers)


class Transactions(Messaging):
    def test_commit_and_rollback(self):
        queue = self.queue()
        other = self.connection.channel()
        self.channel.tx_select()
        self.publish(queue, "lost")
        self.channel.tx_rollback()
        self.publish(queue, "kept")
        self.assertIsNone(other.basic_get(queue)[0])
        self.channel.tx_commit()
        self.assertEqual(b"kept", other.basic_get(queue, auto_ack=True)[2])
        self.assertIsNone(other.basic_get(queue)[0])


class Rights(Messaging):
    def test_a_publish_without_the_right_closes_the_channel_with_403_and_another_channel_goes_on(self):
        other = connect(user="topical")
        channel = other.channel()
        channel.confirm_delivery()
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            channel.basic_publish("amq.topic", "theirs.key", b"x")
        self.assertEqual((403, "ACCESS_REFUSED - access to topic 'theirs.key' in exchange 'amq.topic' in vhost '/' "
                               "refused for user 'topical'"), caught.exception.args)
        again = other.channel()
        again.confirm_delivery()
        again.basic_publish("amq.topic", "topical.key", b"x")
        other.close()

    def test_a_virtual_host_without_permissions_closes_with_530(self):
        with self.assertRaises(pika.exceptions.ProbableAccessDeniedError) as caught:
            connect(user="stranger")
        self.assertIn("(530) \"NOT_ALLOWED - access to vhost '/' refused for user 'stranger'\"", str(caught.exception))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--consume-and-hang"]:
        consume_and_hang(sys.argv[2], int(sys.argv[3]))
    unittest.main(verbosity=2, warnings="ignore")
