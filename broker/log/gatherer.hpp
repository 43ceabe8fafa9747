// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "broker/log/line.hpp"

namespace trilby::broker::log {

/// Lines of one event about one peer or user that come again and again: the first are written, of the others
/// one in ten seconds, with their number. The table is bounded: beyond it, those of an event are gathered
/// whomever they are about. One thread at a time.
class Gatherer {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds window{10};
    static constexpr std::size_t most_kinds = 512;

    /// Is this one to be written? If not it is counted.
    bool passes(const Line& line, Clock::time_point now);

    /// When the next one is due; none: nothing is being watched.
    std::optional<Clock::time_point> next() const;

    /// The last line of each kind that is due, with how many more there were. All of them at the end.
    void take_due(Clock::time_point now, const std::function<void(const Line&)>& write);
    void take_all(Clock::time_point now, const std::function<void(const Line&)>& write);

  private:
    using Kind = std::pair<Event, std::string>;
    struct Watched {
        Clock::time_point since;
        std::size_t written = 0;
        std::uint64_t counted = 0;
        // The last that was counted.
        std::chrono::system_clock::time_point time{};
        Level level{};
        std::string message{};
        Fields fields{};
    };
    Watched& watched(const Fields& fields, Clock::time_point now);
    static void write_last(const Watched& one, std::chrono::seconds within,
                           const std::function<void(const Line&)>& write);

    std::map<Kind, Watched> kinds_;
};

}  // namespace trilby::broker::log
