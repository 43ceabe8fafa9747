// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/broker/pattern.hpp"
#include "bench/broker/stamp.hpp"
#include "client/in_order.hpp"

namespace trilby::perf {

struct Faults {
    std::uint64_t lost = 0;     ///< published, never delivered to a queue that should get it
    std::uint64_t doubled = 0;  ///< delivered more than once from one queue
    std::uint64_t disordered =
        0;  ///< delivered to a consumer after a later one of the same producer and queue
    std::uint64_t misrouted = 0;  ///< delivered from a queue that should not get it
    std::uint64_t damaged = 0;    ///< the body is not what was published
    std::string first;            ///< a sentence about the first one

    bool none() const { return lost + doubled + disordered + misrouted + damaged == 0; }
};

/// Knows what each queue should get from each producer, and judges what its consumers got. One thread.
class Checker {
  public:
    /// `patterns[producer * queues + queue]`; `streams` counts the places messages come in, one queue each.
    Checker(std::size_t producers, std::size_t queues, std::size_t streams, std::vector<Pattern> patterns);

    void arrived(std::size_t stream, std::size_t queue, const Stamp& stamp) {
        if (!stamp.intact() || stamp.producer >= producers_) return damaged(queue);
        Received& from = received(stamp.producer, queue);
        const std::uint64_t rank = from.pattern.rank(stamp.sequence);
        if (rank == Pattern::not_taken || !from.ranks.add(rank)) return wrong(queue, stamp, rank);
        std::uint64_t& above_last = above_last_[stream * producers_ + stamp.producer];
        if (stamp.sequence < above_last) return disordered(queue, stamp);
        above_last = stamp.sequence + 1;
    }
    /// So many of each producer's messages were delivered before; they must not come again.
    void taken_before(std::uint64_t count);
    /// A body too short for a stamp, or with other bytes than were sent.
    void damaged(std::size_t queue);

    /// Deliveries due when producer i has published `published[i]` messages.
    std::uint64_t due(std::span<const std::uint64_t> published) const;
    Faults finish(std::span<const std::uint64_t> published);

  private:
    struct Received {
        Pattern pattern;
        client::InOrder ranks;  // ranks of the messages in the pattern
    };

    Received& received(std::size_t producer, std::size_t queue) {
        return received_[producer * queues_ + queue];
    }
    void wrong(std::size_t queue, const Stamp& stamp, std::uint64_t rank);
    void disordered(std::size_t queue, const Stamp& stamp);
    void note(const char* what, std::size_t queue, const Stamp& stamp);

    std::size_t producers_, queues_;
    std::vector<Received> received_;
    std::vector<std::uint64_t> above_last_;  // [stream * producers + producer]: last sequence seen there + 1
    Faults faults_;
};

}  // namespace trilby::perf
