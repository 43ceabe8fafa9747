// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "broker/message/pool.hpp"

namespace trilby::broker {

/// A place in a shard's spill file. It is good until something is removed from there.
struct Spilled {
    static constexpr std::uint64_t nowhere = UINT64_MAX;
    std::uint64_t place = nowhere;
    std::uint64_t removals = 0;  // before it
};

/// A publish on its way to its queues. It becomes a Message only when somebody has to keep it: a queue
/// without a waiting consumer, an acknowledgement to come, another shard.
///
/// Until the turn ends no other thread can see the message, for mailboxes are shown at the end of a turn: the
/// references taken here need no atomic addition.
class Arrival {
  public:
    /// `stored`: its id in the journal, or 0.
    Arrival(const Publication& publication, MessagePool& pool, std::uint64_t stored = 0)
        : publication_(publication), pool_(pool), stored_(stored) {}
    /// Of a message that exists already; the caller's reference stays the caller's.
    Arrival(Message* message, MessagePool& pool)
        : publication_(message->publication()),
          pool_(pool),
          stored_(message->stored),
          message_(message),
          shared_(true) {}
    ~Arrival() {
        if (message_ != nullptr && !shared_) let_go();
    }
    Arrival(const Arrival&) = delete;
    Arrival& operator=(const Arrival&) = delete;

    const Publication& publication() const { return publication_; }
    std::uint64_t stored() const { return stored_; }
    /// As Message::weight.
    std::size_t weight() const {
        return sizeof(Message) + publication_.names.size() + publication_.tail.size();
    }
    /// Null while nobody had to keep it.
    Message* message() const { return message_; }
    /// Where a queue's Bodies spilled it, for the next queue.
    Spilled spilled;

    /// The message without a reference, good while this object lives.
    Message* borrow() {
        if (message_ == nullptr) {
            message_ = pool_.copy(publication_);
            message_->stored = stored_;
            // The sizes are known: read back from the message, they would wait for its head to be written.
            publication_.names = {message_->bytes(), publication_.names.size()};
            publication_.tail = {publication_.names.end(), publication_.tail.size()};
        }
        return message_;
    }
    /// The message with a reference more, for who keeps it.
    Message* keep() {
        Message* message = borrow();
        if (shared_) {
            message->hold();
        } else {
            message->references.store(message->references.load(std::memory_order_relaxed) + 1,
                                      std::memory_order_relaxed);
        }
        return message;
    }

  private:
    void let_go() {
        const std::uint32_t references = message_->references.load(std::memory_order_relaxed);
        if (references == 1) {
            pool_.release(message_);
        } else {
            message_->references.store(references - 1, std::memory_order_relaxed);
        }
    }

    Publication publication_;
    MessagePool& pool_;
    const std::uint64_t stored_;
    Message* message_ = nullptr;
    const bool shared_ = false;
};

}  // namespace trilby::broker
