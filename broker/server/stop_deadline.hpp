// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

namespace trilby::broker {

/// Sees to it that a stop ends. A thread of its own, for a shard may be busy, or wait for a disk that does
/// not answer: once SIGTERM or SIGINT has come, or `begin` was called, the process ends with code 1 at the
/// deadline unless this object is gone by then.
class StopDeadline {
  public:
    explicit StopDeadline(std::chrono::milliseconds after_signal);
    ~StopDeadline();
    StopDeadline(const StopDeadline&) = delete;
    StopDeadline& operator=(const StopDeadline&) = delete;

    /// Not later than so long from now; any thread.
    void begin(std::chrono::milliseconds longest);

  private:
    using Clock = std::chrono::steady_clock;

    void arm(std::chrono::milliseconds longest);

    boost::asio::io_context io_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
    boost::asio::signal_set signals_;
    boost::asio::steady_timer timer_;
    std::optional<Clock::time_point> deadline_;
    std::jthread thread_;
};

}  // namespace trilby::broker
