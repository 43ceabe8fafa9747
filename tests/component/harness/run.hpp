// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::harness {

struct Totals {
    std::uint64_t messages = 0;
    std::uint64_t turns = 0;
    std::uint64_t moves = 0;     // of queues, from a shard to another
    std::uint64_t restored = 0;  // messages, by a broker that was started again
};

/// One world from its beginning to its end; throws Violation.
void run(std::uint64_t seed, Totals& totals);

}  // namespace trilby::harness
