// SPDX-License-Identifier: Apache-2.0
// Node's amqplib.
'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { randomUUID } = require('node:crypto');

let amqp;
try {
  amqp = require('amqplib');
} catch (error) {
  console.log(`SKIPPED: amqplib is not installed (${error.code}); npm ci in this folder installs it`);
  process.exit(77);
}
const url = process.env.AMQP_URL;
const name = (kind) => `${kind}-${randomUUID()}`;

test('publishes with confirms and consumes with prefetch', async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const exchange = name('x');
  await channel.assertExchange(exchange, 'topic', { durable: false, autoDelete: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, 'org.#');
  await channel.prefetch(3);
  const got = [];
  const all = new Promise((resolve) => {
    channel.consume(queue, (message) => {
      got.push([message.content.toString(), message.properties.headers.n]);
      channel.ack(message);
      if (got.length === 100) resolve();
    });
  });
  for (let n = 0; n < 100; ++n)
    channel.publish(exchange, 'org.example', Buffer.from(`body ${n}`), { headers: { n }, persistent: true });
  await channel.waitForConfirms();
  await all;
  assert.deepStrictEqual(got, Array.from({ length: 100 }, (_, n) => [`body ${n}`, n]));
  await connection.close();
});

test('returns what nobody wants', async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const returned = new Promise((resolve) => channel.once('return', resolve));
  channel.publish('amq.direct', 'nobody', Buffer.from('x'), { mandatory: true });
  const message = await returned;
  assert.strictEqual(message.fields.replyCode, 312);
  assert.strictEqual(message.fields.replyText, 'NO_ROUTE');
  await connection.close();
});

test('nack puts a message back, reject ends it', async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('x'));
  await channel.waitForConfirms();
  const first = await channel.get(queue);
  channel.nack(first, false, true);
  const second = await channel.get(queue);
  assert.strictEqual(second.fields.redelivered, true);
  channel.reject(second, false);
  assert.strictEqual(await channel.get(queue), false);
  await connection.close();
});

test('a channel error names its code', async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await assert.rejects(channel.checkQueue('absent'), /404 \(NOT-FOUND\).*no queue 'absent' in vhost '\/'/);
  await connection.close();
});

test('a wrong password is refused', async () => {
  await assert.rejects(amqp.connect(url.replace('guest:guest', 'guest:wrong')), /403 \(ACCESS-REFUSED\)/);
});

test('the secret can be renewed', async () => {
  const connection = await amqp.connect(url);
  await connection.updateSecret(Buffer.from('new'), 'renewed');
  await connection.close();
});

test('some confirms cover several messages', async () => {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  let multiple = 0;
  channel.on('ack', (fields) => { multiple += fields.multiple ? 1 : 0; });
  for (let round = 0; round < 8 && multiple === 0; ++round) {
    for (let n = 0; n < 640; ++n) channel.sendToQueue(queue, Buffer.from('x'));
    await channel.waitForConfirms();
  }
  assert.ok(multiple > 0);
  await connection.close();
});
