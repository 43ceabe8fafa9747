// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace trilby::broker {

/// What was freed and the allocator keeps, because something behind it is in use: a long queue that has been
/// emptied leaves much of it. Given back to the system when there is enough of it to be worth the work.
class FreedMemory {
  public:
    /// Some times a minute, by one thread. Others that allocate may have to wait for some milliseconds.
    void look();

  private:
    std::size_t known_ = 0;  // octets that were free before, or were given back
};

}  // namespace trilby::broker
