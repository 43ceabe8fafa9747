// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

/// What a channel in confirm mode still owes its client: publishes are numbered from 1, and each is acked or
/// nacked once, in order. One that is not decided yet holds up those behind it; so does the disk. RabbitMQ's
/// extension of AMQP 0-9-1: confirm.select.
class Confirms {
  public:
    DeliveryTag published() const { return published_; }

    /// A publish was accepted.
    DeliveryTag add() { return ++published_; }
    /// A publish that a queue may still refuse: `decide` follows. Throws std::bad_alloc with nothing changed.
    DeliveryTag add_undecided() {
        undecided_.insert(published_ + 1);
        return ++published_;
    }
    /// Throws std::bad_alloc with nothing changed.
    void decide(DeliveryTag tag, bool accepted) {
        if (!accepted) refused_.insert(tag);
        undecided_.erase(tag);
    }

    /// Has anything come since the disk was waited for last?
    bool has_new() const { return published_ > awaited_; }
    /// What was published so far waits for the disk: `safe_to` follows.
    void await_disk() { awaited_ = published_; }
    bool awaits_disk() const { return awaited_ > safe_; }
    void safe_to(DeliveryTag tag) { safe_ = std::max(safe_, tag); }
    /// Nothing has to be waited for.
    void all_safe() { safe_ = published_; }

    /// `ack(tag, multiple)` and `nack(tag)` for what is decided and safe, and was not written yet.
    template <class Ack, class Nack>
    void write(Ack ack, Nack nack) {
        const DeliveryTag end = undecided_.empty() ? safe_ : std::min(safe_, *undecided_.begin() - 1);
        while (written_ < end) {
            const bool refused = !refused_.empty() && *refused_.begin() <= end;
            const DeliveryTag accepted = refused ? *refused_.begin() - 1 : end;
            if (accepted > written_) ack(accepted, accepted - written_ > 1);
            written_ = accepted;
            if (!refused) continue;
            nack(++written_);
            refused_.erase(refused_.begin());
        }
    }

  private:
    DeliveryTag published_ = 0;
    DeliveryTag awaited_ = 0;  // up to here the disk is, or was, waited for
    DeliveryTag safe_ = 0;
    DeliveryTag written_ = 0;
    std::set<DeliveryTag> undecided_;
    std::set<DeliveryTag> refused_;  // and not written
};

}  // namespace trilby::broker
