// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "client/socket.hpp"

namespace trilby::client {

/// How far a long job is, on standard error: a bar on a terminal, elsewhere a line each second.
class Progress {
  public:
    /// `total` 0: without end.
    explicit Progress(std::uint64_t total);

    void at(std::uint64_t done) {
        if (Clock::now() >= next_) show(done);
    }
    /// The last word; ends the line.
    void finish(std::uint64_t done);
    /// Makes room for a line of something else.
    void make_room();

  private:
    void show(std::uint64_t done);

    std::uint64_t total_;
    bool terminal_;
    bool shown_ = false;  // a line that has no end yet
    Clock::time_point started_, next_;
};

}  // namespace trilby::client
