// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace trilby::broker {

/// How much memory and disk may still be taken before publishers are stopped. Asks the system each time, for
/// some microseconds and without waiting. Any thread.
class Watermarks {
  public:
    /// `memory`: octets that may be resident; `disk`: octets that must be free below `directory`. 0: not
    /// watched.
    Watermarks(std::uint64_t memory, std::uint64_t disk, std::filesystem::path directory);
    ~Watermarks();
    Watermarks(const Watermarks&) = delete;
    Watermarks& operator=(const Watermarks&) = delete;

    std::uint64_t memory() const { return memory_; }
    std::uint64_t disk() const { return disk_; }

    /// Octets resident; 0 if it cannot be told.
    std::uint64_t resident() const;
    /// Octets that this process could still write; all there are if it cannot be told.
    std::uint64_t free_space() const;

    /// Octets that may still be taken; 0: the watermark has been passed.
    struct Room {
        std::uint64_t memory;
        std::uint64_t disk;
    };
    Room room() const;

  private:
    const std::uint64_t memory_;
    const std::uint64_t disk_;
    const std::filesystem::path directory_;
    const std::uint64_t page_size_;
    const int statistics_;  // kept open, for there may be no descriptor to spare when it matters
};

}  // namespace trilby::broker
