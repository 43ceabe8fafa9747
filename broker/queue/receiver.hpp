// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "broker/ids/ids.hpp"
#include "broker/message/arrival.hpp"

namespace trilby::broker {

class Queue;
struct Consumer;

/// Which message of which queue, for which of its consumers.
struct Delivery {
    QueueId queue{};
    ConsumerId consumer{};
    EntryNumber entry = 0;  // 0: it was settled when it was handed over
    bool redelivered = false;
};

/// Whom a queue hands deliveries to: a consumer's end on this shard, or the road to another shard, on which
/// there may be many. The queue knows no more of its consumers. On the thread of the queue's home; lives
/// longer than the consumer is at the queue.
class Receiver {
  public:
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;

    /// False: it is being ended, and about to be cancelled. It is passed over.
    bool takes() const { return *takes_; }
    /// What it keeps of the message it keeps by `arrival`. The queue is in the midst of it: it is settled,
    /// cancelled or asked for anything only when this has returned. Throws std::bad_alloc with nothing
    /// changed.
    virtual void deliver(const Delivery& delivery, Arrival& arrival) = 0;
    /// The queue has something for a consumer whose channel hands out shares of its limit. May call
    /// Queue::grant before it returns. Throws std::bad_alloc.
    virtual void wants_grant(ConsumerId consumer) = 0;
    /// So much of its share has no use at this queue.
    virtual void grant_returned(ConsumerId consumer, std::int64_t messages) = 0;
    /// From now on it may call `queue` about `consumer` …
    virtual void joined(Queue& queue, Consumer& consumer) = 0;
    /// … and from now on no more.
    virtual void left(ConsumerId consumer) = 0;

  protected:
    /// `takes` lives as long as this.
    explicit Receiver(const bool& takes) : takes_(&takes) {}
    ~Receiver() = default;

  private:
    const bool* takes_;  // asked for at every delivery: no call
};

}  // namespace trilby::broker
