// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace trilby::perf {

/// Which of a producer's messages a queue should get. A producer goes round a fixed list of keys, so this
/// repeats: message n is taken when entry n % cycle is.
class Pattern {
  public:
    explicit Pattern(const std::vector<bool>& taken) : rank_(taken.size() + 1, 0) {
        for (std::size_t i = 0; i < taken.size(); ++i) rank_[i + 1] = rank_[i] + (taken[i] ? 1 : 0);
    }

    /// How many of the messages below `sequence` are taken.
    std::uint64_t count_below(std::uint64_t sequence) const {
        if (cycle() == 1) return per_cycle() * sequence;
        return sequence / cycle() * per_cycle() + rank_[static_cast<std::size_t>(sequence % cycle())];
    }
    static constexpr std::uint64_t not_taken = ~std::uint64_t{0};
    /// The message's place among those taken, or not_taken.
    std::uint64_t rank(std::uint64_t sequence) const {
        if (cycle() == 1) return takes_nothing() ? not_taken : sequence;
        const std::uint64_t round = sequence / cycle();
        const auto at = static_cast<std::size_t>(sequence % cycle());
        return rank_[at + 1] == rank_[at] ? not_taken : round * per_cycle() + rank_[at];
    }
    bool takes_nothing() const { return per_cycle() == 0; }

  private:
    std::uint64_t cycle() const { return rank_.size() - 1; }
    std::uint64_t per_cycle() const { return rank_.back(); }

    std::vector<std::uint32_t> rank_;  // [i]: taken entries before i
};

}  // namespace trilby::perf
