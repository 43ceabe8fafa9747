// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>

namespace trilby::client {

/// Numbers that should come once each, from 0, mostly in order: delivered messages, confirmed publishes.
class InOrder {
  public:
    /// How far a number may come before an earlier one; beyond that the earlier one is given up as missing.
    static constexpr std::uint64_t reach = 1 << 22;

    /// False: it was here before.
    bool add(std::uint64_t number) {
        if (number == next_ && early_.empty()) [[likely]] {
            ++next_;
            return true;
        }
        return add_out_of_order(number);
    }

    /// All below `end` are here now; returns how many of them were not before.
    std::uint64_t add_all_below(std::uint64_t end) {
        std::uint64_t fresh = 0;
        for (; next_ < end; ++next_) {
            if (early_.empty()) {
                fresh += end - next_;
                next_ = end;
                break;
            }
            if (!early_.front()) ++fresh;
            early_.pop_front();
        }
        skip_present();
        return fresh;
    }

    /// Numbers below `end` that have not come.
    std::uint64_t missing_below(std::uint64_t end) const {
        std::uint64_t missing = given_up_;
        for (std::uint64_t number = next_; number < end; ++number) {
            if (number - next_ >= early_.size()) return missing + (end - number);
            if (!early_[static_cast<std::size_t>(number - next_)]) ++missing;
        }
        return missing;
    }

    /// The lowest that has not come (and was not given up).
    std::uint64_t next() const { return next_; }

  private:
    bool add_out_of_order(std::uint64_t number) {
        if (number < next_) return false;
        if (number - next_ >= reach) {
            give_up_below(number - reach + 1);
        }
        const auto at = static_cast<std::size_t>(number - next_);
        if (at < early_.size() && early_[at]) return false;
        if (at >= early_.size()) early_.resize(at + 1, false);
        early_[at] = true;
        skip_present();
        return true;
    }

    void give_up_below(std::uint64_t end) { given_up_ += add_all_below(end); }

    void skip_present() {
        while (!early_.empty() && early_.front()) {
            early_.pop_front();
            ++next_;
        }
    }

    std::uint64_t next_ = 0;
    std::uint64_t given_up_ = 0;
    std::deque<bool> early_;  // [i] says whether next_ + i came; front() is false, or it is empty
};

}  // namespace trilby::client
