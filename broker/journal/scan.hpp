// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "broker/journal/files.hpp"
#include "broker/journal/format.hpp"

namespace trilby::broker::journal {

/// Mutants of recovery, for the test that shows that it finds them.
enum class RecoveryFault : std::uint8_t { none, no_cut_at_a_hole, no_sync, seed_unchecked, digest_unchecked };

/// A file at a time, in memory that is used again: fresh memory costs more than the reading.
class Contents {
  public:
    /// Good until the next one. Throws std::system_error.
    std::string_view read(Files& files, Files::File file);

  private:
    std::unique_ptr<char[]> octets_;
    std::uint64_t capacity_ = 0;
};

/// Finds the batches of one segment among its octets, whatever else they are.
class Scan {
  public:
    Scan(std::uint64_t journal, std::uint64_t segment, std::string_view octets,
         RecoveryFault fault = RecoveryFault::none)
        : seed_(seed_of(journal, segment)), octets_(octets), fault_(fault) {}

    /// Of this segment; whether the batch is whole is another question.
    std::optional<BatchHead> head_at(std::uint64_t at) const;
    bool is_whole(std::uint64_t at, const BatchHead& head) const;
    /// Something that was a batch's head once.
    bool looks_like_a_head(std::uint64_t at) const;
    /// The next whole batch at `at` or behind with a sequence of at least `least`; none: the end.
    std::uint64_t next_whole(std::uint64_t at, std::uint64_t least) const;
    /// Does some batch behind `at` say that batch `sequence` was synced?
    bool was_promised(std::uint64_t at, std::uint64_t sequence) const;
    /// From the first batch to the last nothing is damaged. `end`: where the last one ends, if that is known.
    bool is_sound(std::optional<std::uint64_t> end) const;
    std::uint64_t end() const { return octets_.size(); }

  private:
    const std::uint32_t seed_;
    const std::string_view octets_;
    const RecoveryFault fault_;
};

}  // namespace trilby::broker::journal
