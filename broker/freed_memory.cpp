// SPDX-License-Identifier: Apache-2.0
#include "broker/freed_memory.hpp"

#include <algorithm>

#include <malloc.h>

#include "broker/memory_limit.hpp"

namespace trilby::broker {

namespace {

constexpr std::uint64_t enough = std::uint64_t{16} << 20;

std::uint64_t unused_of(std::uint64_t resident) {
    const struct mallinfo2 info = ::mallinfo2();
    return resident - std::min<std::uint64_t>(resident, info.uordblks + info.hblkhd);
}

}  // namespace

FreedMemory::FreedMemory() : lowest_(resident_memory()) {}

void FreedMemory::look() {
    const std::uint64_t resident = resident_memory();
    lowest_ = std::min(lowest_, resident);
    if (resident < lowest_ + enough) return;  // without a walk through the allocator's lists
    const std::uint64_t unused = unused_of(resident);
    if (unused < unused_ + enough) {
        unused_ = std::min(unused_, unused);
        return;
    }
    ::malloc_trim(0);
    unused_ = unused_of(resident_memory());
}

}  // namespace trilby::broker
