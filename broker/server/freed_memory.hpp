// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::broker {

/// What was freed and the allocator keeps, because something behind it is in use: a long queue that has been
/// emptied leaves much of it. Given back to the system when there is enough of it to be worth the work.
class FreedMemory {
  public:
    FreedMemory();
    /// Gives back if that is at least `enough` octets. Now and then, by one thread: others that allocate may
    /// have to wait for some milliseconds.
    void look(std::uint64_t enough);

  private:
    std::uint64_t lowest_;      // octets ever resident
    std::uint64_t unused_ = 0;  // octets that the allocator keeps, the least since something was given back
};

}  // namespace trilby::broker
