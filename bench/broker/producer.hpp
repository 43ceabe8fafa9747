// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "bench/broker/histogram.hpp"
#include "bench/broker/link.hpp"
#include "bench/broker/prepared_messages.hpp"
#include "client/in_order.hpp"

namespace trilby::perf {

using Nanoseconds = std::chrono::steady_clock::rep;
Nanoseconds now();

/// Publishes as much as window, rate and target allow, in long writes.
class Producer final : public Link {
  public:
    Producer(client::Connection::Bare bare, const Scenario& scenario, std::uint32_t number,
             PreparedMessages messages);

    static constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();
    /// A new phase: up to `limit` more messages, paced from `start`.
    void begin(Nanoseconds start, std::uint64_t limit);
    /// No more messages than have begun to leave.
    void stop() { target_ = published_; }

    /// Sends at most one long write; `in_flight` limits ping-pong. False when there is nothing it may send
    /// now.
    bool send_some(bool held);

    /// When it may send the next message: 0 for at once, never while it waits for others.
    Nanoseconds next_due() const;

    std::uint64_t published() const { return published_; }
    std::uint64_t confirmed() const { return confirmed_; }
    std::uint64_t returned() const { return returned_; }
    /// From the publish to its confirm, one for each basic.ack: of the message that it names. Only filled
    /// when the messages carry times.
    Histogram& confirm_latency() { return confirm_latency_; }
    bool finished() const {
        return published_ == target_ && unsent_.empty() && (window_ == 0 || confirmed_ == published_);
    }
    bool may_send() const;

  private:
    std::size_t handle(std::string_view bytes) override;
    void method(std::uint16_t channel, std::string_view payload);
    void confirm(std::uint64_t tag, bool multiple);
    std::uint64_t allowance() const;
    std::uint64_t due_by(Nanoseconds time) const;

    const std::uint32_t number_;
    const std::uint64_t window_;
    const double rate_;
    const bool timed_, ping_pong_;
    PreparedMessages messages_;
    std::size_t next_message_ = 0;  // in messages_
    std::string_view unsent_;       // stamped, and not taken by the kernel yet
    std::uint64_t published_ = 0, target_ = 0, confirmed_ = 0, returned_ = 0;
    client::InOrder confirms_;
    std::vector<Nanoseconds> sent_at_;  // by number, in a ring as long as the window
    Histogram confirm_latency_;
    Nanoseconds start_ = 0;           // of this phase
    std::uint64_t before_phase_ = 0;  // published before it
};

}  // namespace trilby::perf
