// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::broker {

/// What was freed and the allocator keeps, because something behind it is in use: a long queue that has been
/// emptied leaves much of it. Given back to the system when there is enough of it to be worth the work.
class FreedMemory {
  public:
    FreedMemory();
    /// Some times a minute, by one thread. Others that allocate may have to wait for some milliseconds when
    /// there is something to give back.
    void look();

  private:
    std::uint64_t lowest_;      // octets ever resident
    std::uint64_t unused_ = 0;  // octets resident and not allocated, the least since something was given back
};

}  // namespace trilby::broker
