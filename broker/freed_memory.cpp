// SPDX-License-Identifier: Apache-2.0
#include "broker/freed_memory.hpp"

#include <algorithm>

#include <malloc.h>

namespace trilby::broker {

namespace {
constexpr std::size_t enough = std::size_t{16} << 20;
}

void FreedMemory::look() {
    const std::size_t free = ::mallinfo2().fordblks;  // also what was given back and not taken again
    if (free >= known_ + enough) {
        ::malloc_trim(0);
        known_ = free;
    } else {
        known_ = std::min(known_, free);
    }
}

}  // namespace trilby::broker
