// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace trilby::broker {

class TimerWheel;

/// A moment at which something is to be looked at, part of whoever waits for it. Setting and cancelling it
/// needs no memory. For the thread of its wheel.
class Timer {
  public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr Time never = Time::max();

    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// `never`: it is not set.
    Time at() const { return at_; }

  protected:
    ~Timer() { unlink(); }

  private:
    friend TimerWheel;
    /// Its time has come, and it is not set any more. May set and cancel it and others, and end them.
    virtual void due() = 0;
    void unlink() {
        previous_->next_ = next_;
        next_->previous_ = previous_;
        previous_ = next_ = this;
        at_ = never;
    }

    Time at_ = never;
    Timer* previous_ = this;
    Timer* next_ = this;
};

/// Timers for what is usually cancelled, and need not be exact: heartbeats, deadlines of a handshake or a
/// close. Never early, and late by a tick at most; each costs the same however many there are. One shard's.
class TimerWheel {
  public:
    using Time = Timer::Time;
    static constexpr std::chrono::milliseconds tick{250};

    /// In place of what was set. What is past is due at the next tick.
    void set(Timer& timer, Time at);
    void cancel(Timer& timer) { timer.unlink(); }
    /// Calls those whose time has come. What is thrown leaves the others to the next call.
    void advance(Time now);

  private:
    struct Head final : Timer {
        void due() override {}
    };
    static constexpr std::size_t slots = 512;  // 128 s; what is later comes round and is put back

    static std::int64_t tick_of(Time time) { return time.time_since_epoch() / tick; }
    static void link(Head& head, Timer& timer);

    std::array<Head, slots> wheel_;
    Head late_;              // of ticks that have come, and not called yet
    std::int64_t next_ = 0;  // the tick that is looked at next
};

}  // namespace trilby::broker
