// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "broker/log/event.hpp"
#include "broker/log/format.hpp"

namespace trilby::broker::log {

/// How lines are written where they go.
struct Style {
    Format format = Format::text;
    bool colours = false;
    bool journal = false;  // systemd's: it stamps lines itself, and takes their priority from their beginning
};

struct Line {
    std::chrono::system_clock::time_point time;
    Level level = Level::info;
    std::string_view message;
    const Fields* fields = nullptr;  // null: none
    std::uint64_t more = 0;          // so many like it were not written
    std::chrono::seconds within{};   // this time
};

/// 2026-11-29T12:00:00.123+00:00, in local time.
void append_time(std::string& out, std::chrono::system_clock::time_point time);

/// One line with its end, whatever the message has in it. It is cut beyond 16 KiB.
void append_line(std::string& out, const Line& line, const Style& style);

}  // namespace trilby::broker::log
