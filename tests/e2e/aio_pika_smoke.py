#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""aio-pika, with its reconnecting connection."""
import asyncio
import unittest

from broker_url import client, name, url

aio_pika = client("aio_pika")


class AioPika(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.connection = await aio_pika.connect_robust(url())
        self.channel = await self.connection.channel(publisher_confirms=True, on_return_raises=True)

    async def asyncTearDown(self):
        await self.connection.close()

    async def test_publish_and_consume(self):
        exchange = await self.channel.declare_exchange(name("x"), aio_pika.ExchangeType.TOPIC, auto_delete=True)
        queue = await self.channel.declare_queue(name(), exclusive=True)
        await queue.bind(exchange, "org.#")
        await self.channel.set_qos(prefetch_count=2)
        for number in range(10):
            await exchange.publish(aio_pika.Message(str(number).encode(), headers={"n": number}, delivery_mode=2), "org.example")
        got = []
        async with queue.iterator(timeout=10) as messages:
            async for message in messages:
                async with message.process():
                    got.append((message.body.decode(), message.headers["n"]))
                if len(got) == 10:
                    break
        self.assertEqual([(str(number), number) for number in range(10)], got)

    async def test_reject_returns_the_message(self):
        queue = await self.channel.declare_queue(name(), exclusive=True)
        await self.channel.default_exchange.publish(aio_pika.Message(b"x"), queue.name)
        first = await queue.get(timeout=10)
        await first.reject(requeue=True)
        second = await queue.get(timeout=10)
        self.assertTrue(second.redelivered)
        await second.ack()
        self.assertIsNone(await queue.get(fail=False))

    async def test_a_message_that_nobody_wants(self):
        with self.assertRaises(aio_pika.exceptions.DeliveryError):
            await self.channel.default_exchange.publish(aio_pika.Message(b"x"), name("nobody"), mandatory=True)

    async def test_many_channels_at_once(self):
        async def one(number):
            channel = await self.connection.channel()
            queue = await channel.declare_queue(name(), exclusive=True)
            await channel.default_exchange.publish(aio_pika.Message(str(number).encode()), queue.name)
            message = await queue.get(timeout=10)
            await message.ack()
            await channel.close()
            return int(message.body)
        self.assertEqual(list(range(50)), await asyncio.gather(*map(one, range(50))))

    async def test_a_wrong_password(self):
        with self.assertRaises(aio_pika.exceptions.AMQPConnectionError):
            await aio_pika.connect(url(password="wrong"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
