// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace trilby::broker {

/// Where a session stands between its first octet and its last, what may follow, and until when. It goes
/// forward only, and every stage but `running` ends by itself: at its deadline, or when the broker has done
/// what it is about.
class SessionLife {
  public:
    using Time = std::chrono::steady_clock::time_point;

    enum class Stage : std::uint8_t {
        // The handshake, which has one deadline for the whole of it.
        header,    // the protocol header is awaited
        start_ok,  // connection.start-ok
        tune_ok,   // connection.tune-ok
        open,      // connection.open

        running,  // no deadline: heartbeats, and TCP's own timeouts, watch it

        // The end.
        ending,     // what was asked before is still to be answered
        giving_up,  // consumers, unacknowledged messages and exclusive queues are given up
        refused,    // a close was sent to who may not log in: over at the first octets that come
        closing,    // our close was sent, close-ok is awaited
        silent,     // nothing is read or said any more
        leaving,    // nothing is read: over as soon as the peer has taken what was written
        dropped,    // over: the peer is gone, or is not waited for
    };
    static constexpr unsigned stages = static_cast<unsigned>(Stage::dropped) + 1;
    static constexpr Time never = Time::max();

    explicit SessionLife(Time handshake_deadline) : deadline_(handshake_deadline) {}

    static bool may_follow(Stage stage, Stage next);

    Stage stage() const { return stage_; }
    /// On to `next`, which ends at `deadline`. False, and nothing has changed, if it may not follow: what
    /// wanted it came too late. Within the handshake the deadline stays.
    bool enter(Stage next, Time deadline = never);
    /// Not later than `deadline`.
    void hurry(Time deadline);
    Time deadline() const { return deadline_; }
    bool expired(Time now) const { return now >= deadline_; }

    bool in_handshake() const { return stage_ < Stage::running; }
    bool running() const { return stage_ == Stage::running; }
    /// Are octets of the peer looked at?
    bool listening() const {
        return stage_ <= Stage::running || stage_ == Stage::refused || stage_ == Stage::closing;
    }
    /// What comes is thrown away.
    bool deaf() const { return stage_ >= Stage::silent; }

  private:
    Stage stage_ = Stage::header;
    Time deadline_;
};

}  // namespace trilby::broker
