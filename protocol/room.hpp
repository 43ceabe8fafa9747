// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

// What changes in several places is changed in none of them when memory is lacking: room first, or back.

namespace trilby {

/// Throws now rather than when the vector is about to become that long.
template <class T>
void make_room(std::vector<T>& vector, std::size_t size) {
    if (vector.capacity() < size) vector.reserve(std::max(size, 2 * vector.capacity()));
}

/// Undoes what was done when what follows throws.
template <class Act>
class Undo {
  public:
    explicit Undo(Act act) : act_(std::move(act)) {}
    ~Undo() {
        if (!kept_) act_();
    }
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    /// All went well.
    void keep() { kept_ = true; }

  private:
    Act act_;
    bool kept_ = false;
};

}  // namespace trilby
