// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::bench {

/// What operator new of this program has done so far.
struct HeapUse {
    std::uint64_t allocations = 0;
    std::int64_t live_bytes = 0;  // with what malloc rounds up
};

HeapUse heap_use();

}  // namespace trilby::bench
