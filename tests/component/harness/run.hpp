// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::harness {

struct Totals {
    std::uint64_t messages = 0;
    std::uint64_t turns = 0;
};

/// One world from its beginning to its end; throws Violation.
void run(std::uint64_t seed, Totals& totals);

}  // namespace trilby::harness
