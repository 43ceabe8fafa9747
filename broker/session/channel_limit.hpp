// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <utility>

#include "broker/session/subscription.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

/// The limit of a whole channel, kept where all its deliveries meet: queues say that they have something, the
/// channel hands out shares, and what a queue cannot use comes back. Shares that are out and what is
/// unacknowledged never exceed the limit. basic.qos with global, as RabbitMQ understands it.
class ChannelLimit {
  public:
    explicit ChannelLimit(Shard& shard) : shard_(shard) {}
    ChannelLimit(const ChannelLimit&) = delete;
    ChannelLimit& operator=(const ChannelLimit&) = delete;

    bool is_on() const { return most_ != 0; }
    /// 0: none.
    void set(std::uint32_t most) { most_ = most; }

    /// Its queue has something.
    void wants(Subscription& subscription);
    void wants_no_more(Subscription& subscription);
    /// A message of its share was delivered, if it had one.
    void used(Subscription& subscription) {
        if (subscription.granted <= 0) return;
        --subscription.granted;
        --out_;
    }
    /// So much of its share has no use at its queue. What was handed out before the limit was changed counts
    /// no more.
    void returned(Subscription& subscription, std::int64_t messages);
    /// Whatever its queue has counts no more.
    void forget(Subscription& subscription);
    /// What is unacknowledged of basic.get, which the limit does not count.
    void add_got() { ++got_; }
    void settle_got(std::uint32_t count) { got_ -= count; }

    /// Shares what is left among those that want something. `unacknowledged()`: of the channel at present, of
    /// basic.get too; it changes while this runs.
    template <class Count>
    void hand_out(Count unacknowledged) {
        // A near queue uses its share while this runs, what it could not use comes back, and it may ask
        // again: the loop sees all that. If each began another loop, they would go as deep as there are
        // consumers.
        if (std::exchange(handing_out_, true)) return;
        const Undo over([&] { handing_out_ = false; });
        while (is_on() && !wanting_.empty()) {
            const std::size_t used = unacknowledged() - got_ + out_;
            if (used >= most_) break;
            hand_out_to_first(most_ - used);
        }
    }

  private:
    void hand_out_to_first(std::size_t left);

    Shard& shard_;
    std::uint32_t most_ = 0;
    std::uint32_t out_ = 0;  // shares at queues and not yet used
    std::uint32_t got_ = 0;
    bool handing_out_ = false;
    std::list<Subscription*> wanting_;  // in turn
};

}  // namespace trilby::broker
