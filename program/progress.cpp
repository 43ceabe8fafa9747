// SPDX-License-Identifier: Apache-2.0
#include "program/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "program/terminal.hpp"

namespace trilby::client {

Progress::Progress(std::uint64_t total)
    : total_(total),
      terminal_(moves_the_cursor(STDERR_FILENO)),
      started_(Clock::now()),
      next_(started_ + std::chrono::milliseconds(terminal_ ? 100 : 1000)) {}

void Progress::show(std::uint64_t done) {
    constexpr std::uint64_t width = 40;
    const auto now = Clock::now();
    next_ = now + std::chrono::milliseconds(terminal_ ? 100 : 1000);
    const double seconds = std::max(std::chrono::duration<double>(now - started_).count(), 1e-3);
    const double rate = static_cast<double>(done) / seconds;
    std::string text = total_ == 0 ? fmt::format("{} messages, {:.0f} a second", done, rate)
                                   : fmt::format("{}/{} messages, {} %, {:.0f} a second", done, total_,
                                                 done * 100 / total_, rate);
    if (terminal_ && total_ != 0) {
        const auto filled = static_cast<std::size_t>(done * width / total_);
        text = fmt::format("[{:#<{}}{:>{}}] {}", "", filled, "", width - filled, text);
    }
    // Back to the start of the line and clear what is left of the old one.
    shown_ = terminal_;
    if (terminal_)
        fmt::print(stderr, "\r{}\033[K", text);
    else
        fmt::print(stderr, "{}\n", text);
    std::fflush(stderr);
}

void Progress::finish(std::uint64_t done) {
    show(done);
    make_room();
}

void Progress::make_room() {
    if (shown_) fmt::print(stderr, "\n");
    shown_ = false;
}

}  // namespace trilby::client
