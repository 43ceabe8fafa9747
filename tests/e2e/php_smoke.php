#!/usr/bin/env php
<?php
// SPDX-License-Identifier: Apache-2.0
// php-amqplib, which logs in with AMQPLAIN unless told otherwise.
if (!stream_resolve_include_path('PhpAmqpLib/autoload.php')) {
    echo "SKIPPED: php-amqplib is not installed; scripts/dependencies test installs it\n";
    exit(77);
}
require 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

function check(bool $so, string $what): void
{
    if (!$so) {
        fwrite(STDERR, "not so: $what\n");
        exit(1);
    }
    echo "ok: $what\n";
}

function connect(string $password = 'guest'): AMQPStreamConnection
{
    return new AMQPStreamConnection(getenv('AMQP_HOST'), (int) getenv('AMQP_PORT'), 'guest', $password, '/');
}

$connection = connect();
$channel = $connection->channel();
$exchange = 'x-' . bin2hex(random_bytes(4));
$channel->exchange_declare($exchange, 'topic', false, false, true);
[$queue] = $channel->queue_declare('', false, false, true, true);
$channel->queue_bind($queue, $exchange, 'org.#');

$channel->confirm_select();
$acked = 0;
$channel->set_ack_handler(function () use (&$acked) { $acked++; });
for ($n = 0; $n < 20; $n++) {
    $headers = new AMQPTable(['n' => $n, 'nested' => ['a' => true]]);
    $channel->basic_publish(new AMQPMessage("body $n", ['application_headers' => $headers, 'delivery_mode' => 2]), $exchange, 'org.example');
}
$channel->wait_for_pending_acks(10);
check($acked === 20, '20 publishes are confirmed');

$channel->basic_qos(0, 5, false);
$got = [];
$channel->basic_consume($queue, '', false, false, false, false, function (AMQPMessage $message) use (&$got) {
    $headers = $message->get('application_headers')->getNativeData();
    $got[] = [$message->body, $headers['n'], $headers['nested']['a']];
    $message->ack();
});
while (count($got) < 20) {
    $channel->wait(null, false, 10);
}
$expected = [];
for ($n = 0; $n < 20; $n++) {
    $expected[] = ["body $n", $n, true];
}
check($got === $expected, '20 messages are delivered in order');

$returned = null;
$channel->set_return_listener(function ($code, $text) use (&$returned) { $returned = [$code, $text]; });
$channel->basic_publish(new AMQPMessage('x'), $exchange, 'com.example', true);
$channel->wait_for_pending_acks_returns(10);
check($returned === [312, 'NO_ROUTE'], 'what nobody wants comes back');

$other = $connection->channel();
[$second] = $other->queue_declare('', false, false, true, true);
$other->confirm_select();
$other->basic_publish(new AMQPMessage('again'), '', $second);
$other->wait_for_pending_acks(10);
$message = $other->basic_get($second);
$message->reject(true);
$message = $other->basic_get($second);
check($message->isRedelivered(), 'what is rejected is fetched again');
$message->nack();
check($other->basic_get($second) === null, 'what is rejected for good is gone');

try {
    $other->queue_declare('absent', true);
    check(false, 'a missing queue is missing');
} catch (PhpAmqpLib\Exception\AMQPProtocolChannelException $error) {
    check($error->getCode() === 404, 'a missing queue closes the channel with 404');
}
try {
    connect('wrong');
    check(false, 'a wrong password is refused');
} catch (PhpAmqpLib\Exception\AMQPConnectionClosedException | PhpAmqpLib\Exception\AMQPProtocolConnectionException $error) {
    check(str_contains($error->getMessage(), 'ACCESS_REFUSED'), 'a wrong password is refused');
}
$connection->close();
