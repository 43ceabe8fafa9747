// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace trilby::perf {

/// Durations in nanoseconds, to within one part in 128; constant size however many there are.
class Histogram {
  public:
    void add(std::int64_t nanoseconds) {
        const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
        ++counts_[bucket(value)];
        ++count_;
        largest_ = std::max(largest_, value);
    }
    void add(const Histogram& other) {
        for (std::size_t at = 0; at < counts_.size(); ++at) counts_[at] += other.counts_[at];
        count_ += other.count_;
        largest_ = std::max(largest_, other.largest_);
    }
    void clear() { *this = Histogram(); }

    std::uint64_t count() const { return count_; }
    std::uint64_t largest() const { return largest_; }

    /// The smallest recorded value (its bucket's upper end, at most the largest value) that at least
    /// `percent` of all do not exceed.
    std::uint64_t percentile(double percent) const {
        if (count_ == 0) return 0;
        // Less a little: 99.9 % of 1,000 is 999, whatever the last bit of the product says.
        const double exact = percent * static_cast<double>(count_) / 100 - 1e-6;
        const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(exact)));
        std::uint64_t seen = 0;
        for (std::size_t at = 0; at < counts_.size(); ++at) {
            seen += counts_[at];
            if (seen >= rank) return std::min(upper_end(at), largest_);
        }
        return largest_;
    }

  private:
    // Values below 2^7 have a bucket each; above, each power of two is cut into 2^7 equal ones.
    static constexpr int bits = 7;
    static constexpr std::size_t per_power = std::size_t{1} << bits;

    static std::size_t bucket(std::uint64_t value) {
        if (value < per_power) return static_cast<std::size_t>(value);
        const int shift = static_cast<int>(std::bit_width(value)) - 1 - bits;
        return static_cast<std::size_t>(shift + 1) * per_power +
               static_cast<std::size_t>((value >> shift) - per_power);
    }
    static std::uint64_t upper_end(std::size_t at) {
        if (at < per_power) return at;
        const std::size_t shift = at / per_power - 1;
        return ((std::uint64_t{at % per_power} + per_power + 1) << shift) - 1;
    }

    std::array<std::uint64_t, (64 - bits + 1) * per_power> counts_{};
    std::uint64_t count_ = 0, largest_ = 0;
};

}  // namespace trilby::perf
