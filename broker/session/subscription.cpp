// SPDX-License-Identifier: Apache-2.0
#include "broker/session/subscription.hpp"

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

namespace trilby::broker {

Subscription::Subscription(Channel& owner) : Subscriber(owner.takes_deliveries()), channel(owner) {}

void Subscription::wants_grant(ConsumerId) {
    channel.wants_grant(*this);
}

void Subscription::grant_returned(ConsumerId, std::int64_t messages) {
    channel.grant_returned(*this, messages);
}

void Subscription::joined(Queue& queue, Consumer& consumer) {
    near_queue = &queue;
    near_consumer = &consumer;
}

Resident& Subscription::resident() {
    return channel.session();
}

void Subscription::used_window(std::int64_t octets) {
    channel.owe_window(*this, octets);
}

void Subscription::queue_gone() {
    channel.queue_gone(*this);
}

}  // namespace trilby::broker
