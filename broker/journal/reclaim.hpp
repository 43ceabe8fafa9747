// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "broker/journal/files.hpp"
#include "broker/journal/living.hpp"

namespace trilby::broker::journal {

/// Goes through the oldest segment and gathers records of what still lives in it, to be appended again. The
/// writer's thread. Throws std::system_error.
class Reclaim {
  public:
    /// `journal` is its number.
    Reclaim(Files& files, const Living& living, std::uint64_t journal)
        : files_(files), living_(living), journal_(journal) {}
    ~Reclaim();
    Reclaim(const Reclaim&) = delete;
    Reclaim& operator=(const Reclaim&) = delete;

    /// Goes on for at least `budget` octets in this segment, which ends at `end`. What it counts is what it
    /// reads, not what it copies, for a nearly dead segment takes time as well. What has been damaged since
    /// the start is not copied, and the segment stays.
    void scan(std::uint64_t segment, std::uint64_t end, std::uint64_t budget);
    /// Whole records: publishes with who still holds them, and their marks.
    const std::string& copies() const { return copies_; }
    /// They were appended.
    void written() { copies_.clear(); }
    /// They were not, and something was settled meanwhile that they do not know of: from the start.
    void again() {
        copies_.clear();
        at_ = batch_end_ = batches_at;
    }
    /// Before the segment goes.
    void leave();
    /// How far it has come in the segment.
    std::uint64_t position() const { return at_; }

  private:
    void copy_record(const char* record, std::uint64_t at);

    Files& files_;
    const Living& living_;
    const std::uint64_t journal_;
    Files::File file_ = -1;
    std::uint64_t segment_ = 0;
    std::uint32_t seed_ = 0;  // of the segment
    std::uint64_t at_ = 0;
    std::uint64_t batch_end_ = 0;  // of the batch at hand; `at_`: the next one begins here
    bool stuck_ = false;           // what still lives in the segment cannot be read, which was reported
    std::string copies_;
};

}  // namespace trilby::broker::journal
