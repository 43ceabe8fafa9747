// SPDX-License-Identifier: Apache-2.0
#include "broker/server/freed_memory.hpp"

#include <algorithm>

#include <malloc.h>

#include "broker/server/memory_limit.hpp"

namespace trilby::broker {

FreedMemory::FreedMemory() : lowest_(resident_memory()) {}

void FreedMemory::look(std::uint64_t enough) {
    const std::uint64_t resident = resident_memory();
    lowest_ = std::min(lowest_, resident);
    if (resident < lowest_ + enough) return;  // without a walk through the allocator's lists
    // With what was given back before: that stays in the allocator's lists until it is used again.
    const std::uint64_t unused = ::mallinfo2().fordblks;
    if (unused < unused_ + enough) {
        unused_ = std::min(unused_, unused);
        return;
    }
    ::malloc_trim(0);
    unused_ = ::mallinfo2().fordblks;
}

}  // namespace trilby::broker
