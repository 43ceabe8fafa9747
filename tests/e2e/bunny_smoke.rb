#!/usr/bin/env ruby
# SPDX-License-Identifier: Apache-2.0
# Ruby's Bunny.
begin
  require 'bunny'
rescue LoadError => error
  puts "SKIPPED: Bunny is not installed (#{error.message}); scripts/dependencies test installs it"
  exit 77
end
require 'securerandom'

def check(so, what)
  abort "not so: #{what}" unless so
  puts "ok: #{what}"
end

def wait_until(what)
  deadline = Time.now + 20
  until yield
    abort "in 20 s not: #{what}" if Time.now > deadline
    sleep 0.02
  end
  puts "ok: #{what}"
end

url = ENV.fetch('AMQP_URL')
connection = Bunny.new(url, automatically_recover: false)
connection.start
channel = connection.create_channel
channel.confirm_select
exchange = channel.topic("x-#{SecureRandom.hex(4)}", auto_delete: true)
queue = channel.queue('', exclusive: true)
queue.bind(exchange, routing_key: 'org.#')
20.times { |n| exchange.publish("body #{n}", routing_key: 'org.example', headers: { 'n' => n }, persistent: true) }
check(channel.wait_for_confirms, '20 publishes are confirmed')
check(queue.message_count == 20, 'and counted')

channel.prefetch(5)
got = Queue.new
queue.subscribe(manual_ack: true) do |delivery, properties, body|
  got << [body, properties.headers['n']]
  channel.ack(delivery.delivery_tag)
end
wait_until('20 messages are delivered') { got.size == 20 }
check(Array.new(20) { got.pop } == Array.new(20) { |n| ["body #{n}", n] }, 'in order')

returned = Queue.new
exchange.on_return { |info, _, body| returned << [info.reply_code, info.reply_text, body] }
exchange.publish('x', routing_key: 'com.example', mandatory: true)
wait_until('what nobody wants comes back') { !returned.empty? }
check(returned.pop == [312, 'NO_ROUTE', 'x'], 'with 312')

other = connection.create_channel
second = other.queue('', exclusive: true)
other.default_exchange.publish('again', routing_key: second.name)
info = nil
wait_until('a message is fetched') { (info, = second.pop(manual_ack: true)) && info }
other.reject(info.delivery_tag, true)
wait_until('and again after reject') { (info, = second.pop(manual_ack: true)) && info }
check(info.redelivered?, 'as redelivered')

begin
  connection.create_channel.queue('absent', passive: true)
  abort 'a missing queue was found'
rescue Bunny::NotFound => error
  check(error.message.include?("no queue 'absent' in vhost '/'"), 'a missing queue closes the channel with 404')
end

begin
  Bunny.new(url.sub('guest:guest', 'guest:wrong'), automatically_recover: false, log_level: :fatal).start
  abort 'a wrong password was accepted'
rescue Bunny::AuthenticationFailureError
  puts 'ok: a wrong password is refused'
end
connection.close
