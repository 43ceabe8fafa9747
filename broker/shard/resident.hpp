// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "broker/asking/asker.hpp"
#include "broker/asking/direct_reply.hpp"
#include "broker/ids/ids.hpp"
#include "broker/message/message.hpp"
#include "broker/queue/receiver.hpp"

namespace trilby::broker {

/// Who lives on a shard, publishes and consumes there: a session. The shard knows no more of it. On that
/// shard's thread; what throws ends the resident and not the shard.
class Resident : public Asker {
  public:
    /// It waited in line (Shard::wait_for_turn).
    virtual void turn_came() = 0;
    /// It waited for room (Shard::wait_for_room).
    virtual void room_made() = 0;
    /// Shard::alarm() says something else.
    virtual void alarm_changed() = 0;
    /// Octets of messages that it has begun and not finished …
    virtual std::size_t unfinished() const = 0;
    /// … and it has to go if these are so many.
    virtual void drop_unfinished(std::size_t least) = 0;
    /// The broker stops.
    virtual void stop(bool journal_failed) = 0;
    /// False: nobody here takes direct replies of that address.
    virtual bool takes_replies(const ReplyAddress& address) = 0;
    /// What is kept of the message is kept with a reference more. False: it was not taken.
    virtual bool take_reply(const ReplyAddress& address, Message& message) = 0;

  protected:
    ~Resident() = default;
};

/// A resident's end of a consumer. `Consumer` is the other, at the queue. It begins with Shard::add_consumer
/// and Shard::ask_queue(ask::Subscribe), gets deliveries once it is answered and has opened its window
/// (Shard::open_window), settles by Shard::settle, and ends with ask::Cancel and Shard::remove_consumer.
class Subscriber : public Receiver {
  public:
    virtual Resident& resident() = 0;
    /// What was delivered came from another shard: its window there is the smaller by so much, until it is
    /// opened again.
    virtual void used_window(std::int64_t octets) = 0;
    /// The queue was deleted.
    virtual void queue_gone() = 0;

    bool no_ack = false;

  protected:
    using Receiver::Receiver;
    ~Subscriber() = default;
};

}  // namespace trilby::broker
