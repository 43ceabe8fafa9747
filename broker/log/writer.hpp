// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include <spdlog/sinks/sink.h>

#include "broker/log/line.hpp"

namespace trilby::broker::log {

/// A sink of spdlog's that nobody waits for. Lines go into a bounded buffer, and a thread of its own writes
/// them to a file descriptor. When nobody takes them they are dropped; how many is said in their place once
/// somebody does. A descriptor whose other end is gone is written to no more. Lines that peers cause are
/// gathered.
class Writer final : public spdlog::sinks::sink {
  public:
    /// Leaves `fd` open. The thread starts with the first line, with all signals blocked.
    Writer(int fd, Style style);
    /// As `finish`.
    ~Writer() override;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    /// Any thread; never waits for who reads the log.
    void log(const spdlog::details::log_msg& message) override;
    void set_format(Format format);

    /// Writes what was logged, and ends. Waits no longer than a second for who reads the log; what is logged
    /// afterwards is dropped.
    void finish();

    /// Returns when all is written that was logged before, or after a second.
    void flush() override;
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  private:
    class State;
    // With the thread, which may still be waiting in a write when this object and the process end.
    std::shared_ptr<State> state_;
};

}  // namespace trilby::broker::log
