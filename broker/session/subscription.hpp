// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "broker/ids/ids.hpp"
#include "broker/shard/shard.hpp"

namespace trilby::broker {

class Channel;

/// Where deliveries of a channel come from: one of its consumers, or a queue that it asks by basic.get. The
/// connection's end of what `Consumer` is at the queue; lives on the connection's shard until its last
/// delivery is settled.
class Subscription final : public Subscriber {
  public:
    explicit Subscription(Channel& owner);

    // Subscriber
    void deliver(const Delivery& delivery, Arrival& arrival) override;
    void wants_grant(ConsumerId) override;
    void grant_returned(ConsumerId, std::int64_t messages) override;
    void joined(Queue& queue, Consumer& consumer) override;
    void left(ConsumerId) override { forget_queue(); }
    Resident& resident() override;
    void used_window(std::int64_t octets) override;
    void queue_gone() override;

    bool is_of_gets() const { return end.consumer == ConsumerId{}; }
    /// About how many octets it takes with its other end; none before its tag is known.
    std::size_t octets() const { return tag.empty() ? 0 : 512 + 2 * tag.size(); }
    void forget_queue() {
        near_queue = nullptr;
        near_consumer = nullptr;
    }

    Channel& channel;
    QueueEnd end{};
    std::uint32_t index = 0;  // in the channel's subscriptions, from 1
    bool lost = false;        // its queue was deleted, and the client is still to be told
    bool cancelled = false;   // no more deliveries; unacknowledged ones may remain
    bool wishes = false;      // for a share of the channel's limit
    std::uint32_t unacknowledged = 0;
    std::int64_t granted = 0;      // of the channel's limit, at the queue and not yet used
    std::int64_t owed_window = 0;  // octets written and not yet told to a far queue
    std::string tag{};
    std::string head{};                         // the deliver frame up to the consumer tag
    std::list<Subscription*>::iterator wish{};  // if it wishes: where it stands among those of its channel

    // The other end, if the queue lives on this shard and exists.
    Queue* near_queue = nullptr;
    Consumer* near_consumer = nullptr;
};

}  // namespace trilby::broker
