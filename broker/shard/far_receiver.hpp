// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/queue/receiver.hpp"
#include "broker/shard/roads.hpp"

namespace trilby::broker {

/// The road to the consumers of another shard, as queues see it.
class FarReceiver final : public Receiver {
  public:
    FarReceiver(Roads& roads, ShardIndex there, MessagePool& messages)
        : Receiver(always), roads_(roads), there_(there), messages_(messages) {}

    void deliver(const Delivery& delivery, Arrival& arrival) override;
    void wants_grant(ConsumerId consumer) override;
    void grant_returned(ConsumerId consumer, std::int64_t messages) override;
    void joined(Queue&, Consumer&) override {}
    void left(ConsumerId) override {}

  private:
    static constexpr bool always = true;  // what is under way to one that ends comes back

    Roads& roads_;
    const ShardIndex there_;
    MessagePool& messages_;
};

}  // namespace trilby::broker
