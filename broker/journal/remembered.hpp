// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::broker::journal {

/// What somebody else, the catalog, remembers of the journal: so much there must be at least.
struct Remembered {
    std::uint64_t journal = 0;   // its number; 0: not known
    std::uint64_t sequence = 0;  // of a batch that was promised; 0: none yet
    bool operator==(const Remembered&) const = default;
};

}  // namespace trilby::broker::journal
