// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "broker/journal/journal.hpp"
#include "broker/shard/shard.hpp"

namespace trilby::broker {

struct Restored {
    std::uint64_t messages = 0;
    std::uint64_t forgotten = 0;  // messages of queues that were deleted
    std::uint64_t deleted_queues = 0;
};

/// Gives what the journal has found to its queues, in their order, and each shard its end of the journal. The
/// shards' views know the queues; before the journal is started, and before any shard has a thread.
Restored restore(journal::Journal& journal, std::span<const std::unique_ptr<Shard>> shards);

}  // namespace trilby::broker
