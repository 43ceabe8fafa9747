// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

namespace trilby::broker {

using ShardIndex = std::uint8_t;

// Every id below is a slot of its shard's table in the low 24 bits and a counter above it, so that an id is
// found by indexing and one of something that is gone is never taken for another. 0 is nobody.

/// A queue, for as long as the broker runs: counter, then the slot that all shards' views share.
enum class QueueId : std::uint64_t {};
/// Whoever lives on a shard, asks and is answered, as a connection does: shard (8 bits), counter (32), slot
/// in that shard's residents.
enum class AskerId : std::uint64_t {};
/// Where deliveries go: shard (8 bits), counter (32), slot in that shard's consumers.
enum class ConsumerId : std::uint64_t {};

inline constexpr unsigned slot_bits = 24;
inline constexpr std::uint64_t slot_limit = std::uint64_t{1} << slot_bits;

template <class Id>
constexpr std::uint32_t slot_of(Id id) {
    return static_cast<std::uint32_t>(std::to_underlying(id) & (slot_limit - 1));
}
constexpr ShardIndex shard_of(AskerId id) {
    return static_cast<ShardIndex>(std::to_underlying(id) >> 56);
}
constexpr ShardIndex shard_of(ConsumerId id) {
    return static_cast<ShardIndex>(std::to_underlying(id) >> 56);
}

/// A queue's number for life, which outlasts the broker if the queue is durable.
constexpr std::uint64_t stored_id(QueueId id) {
    return std::to_underlying(id) >> slot_bits;
}

/// The place of a message in its queue: counts up, never reused within the queue.
using EntryNumber = std::uint64_t;
/// Per channel, from 1; in basic.ack, 0 with multiple means all so far.
using DeliveryTag = std::uint64_t;

}  // namespace trilby::broker
