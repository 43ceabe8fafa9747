// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace trilby::broker {

/// What a turn of a shard may cost, so that nobody waits long for it. It counts what is caused, not what was
/// read: one publish may go to a thousand queues or walk through a hundred thousand nodes, one ack may be for
/// as many messages. A step is about the work of one message in one queue, some 50 ns.
///
/// A connection that finds its share used up stands in line for the next turn (Shard::wait_for_turn). Work
/// that finds it used up is gone on with in a later one (Session::go_on_later, Shard's letters to itself); it
/// has done something then, however little the share was.
class Turn {
  public:
    static constexpr std::uint64_t kept_message = 3;  // dearer than one that is handed over
    static constexpr std::uint64_t gone_message = 4;  // its memory is looked at for the first time since long
    static constexpr std::uint64_t settled = 8;       // with that, in channel and queue
    static constexpr std::uint64_t spilled_message = 8;  // … and a step for every 512 octets
    static constexpr std::uint64_t route_steps = 4;      // looks at a node or a binding, for one step
    static constexpr std::uint64_t octets_grown =
        256;  // of a content, for one step: new to memory, and copied
    static constexpr std::uint64_t letter = 4;
    static constexpr std::uint64_t consumer = 8;          // that goes
    static constexpr std::uint64_t limited_consumer = 4;  // its grants begin or end
    static constexpr std::uint64_t binding = 8;           // that goes
    static constexpr std::uint64_t change = 16;           // of what exists, in a view
    static constexpr std::uint64_t stored_change = 128;   // … and in the catalog's file
    static constexpr std::uint64_t queue_end = 64;        // all of it

    /// `steps`: of a turn.
    explicit Turn(std::uint64_t steps)
        : steps_(steps), least_(std::max<std::uint64_t>(steps / 32, 1)), share_ends_(steps) {}

    void begin() { spent_ = 0; }
    void spend(std::uint64_t steps) { spent_ += steps; }
    std::uint64_t spent() const { return spent_; }
    /// The share of whoever works at present is used up.
    bool is_over() const { return spent_ >= share_ends_; }

    /// Somebody else's work begins: it may use what is left, and always something.
    void begin_share() { share_ends_ = std::max(steps_, spent_ + least_); }
    /// One of so many who stand in line. They have half of the turn; the rest is for what is new.
    void begin_share(std::size_t of) {
        share_ends_ = spent_ + std::max<std::uint64_t>(steps_ / 2 / of, least_);
    }
    /// Is there something left for small things that were caused before?
    bool goes_on() const { return spent_ < steps_; }
    bool line_goes_on() const { return spent_ < std::max<std::uint64_t>(steps_ / 2, 1); }

  private:
    const std::uint64_t steps_;
    const std::uint64_t least_;
    std::uint64_t spent_ = 0;
    std::uint64_t share_ends_;
};

}  // namespace trilby::broker
