// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

namespace trilby::broker {

/// Whether a thread with nothing to do should look for more before it sleeps. A look that finds something
/// spares a sleep and a wake-up; after one in vain the next sleeps come without: one, then three, at most
/// `longest_rest`. So where nothing comes soon, next to nothing is spent.
class Patience {
  public:
    static constexpr unsigned longest_rest = 255;  // sleeps

    /// Asked before each sleep.
    bool worth_a_look() {
        if (rested_ == rest_) {
            rested_ = 0;
            return true;
        }
        ++rested_;
        return false;
    }
    void looked(bool found) { rest_ = found ? 0 : std::min(2 * rest_ + 1, longest_rest); }

  private:
    unsigned rest_ = 0;
    unsigned rested_ = 0;
};

}  // namespace trilby::broker
