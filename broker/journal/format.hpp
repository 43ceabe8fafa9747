// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "broker/journal/crc32c.hpp"

// What stands in a segment. Everything is aligned to 8 octets and little-endian.
//
//     000000000042.seg   head, twice, in a block of its own; batches from `batches_at`
//     batch              BatchHead, then its records: publishes, then copies, then settles
//     record             RecordHead, then its fields, padded to 8
//
// The batch is the atom: it is there as a whole, or it was never promised. A head's checksums are seeded with
// the journal and the segment, so that what a recycled file held before is never taken for something new.
//
// A segment's head is on the disk before its first batch is written, so where there is a batch there was a
// head. Afterwards only `oldest` changes in it, and the checksum: one copy is written and synced, then the
// other.

namespace trilby::broker::journal {

static_assert(std::endian::native == std::endian::little,
              "the journal's octets are those of a little-endian machine");

/// Of a message, for life: the publishing shard in the high 8 bits, a counter below. 0: not in the journal.
using MessageId = std::uint64_t;
/// Of a durable queue, for life: the catalog's number.
using StoredQueue = std::uint64_t;

inline constexpr std::size_t block_size = 4096;
inline constexpr std::uint64_t batches_at = block_size;
inline constexpr std::uint64_t second_head_at = block_size / 2;
inline constexpr std::size_t most_shards = 64;

constexpr std::uint64_t padded(std::uint64_t size) {
    return (size + 7) & ~std::uint64_t{7};
}

struct SegmentHead {
    static constexpr std::uint64_t expected_magic = 0x324A59424C495254;  // "TRILBYJ2"
    /// As heads were before they stood twice: one copy, and `oldest` is as it was when the segment began.
    static constexpr std::uint64_t first_magic = 0x314A59424C495254;  // "TRILBYJ1"
    std::uint64_t magic;
    std::uint64_t journal;               // random, the same in all segments of a journal
    std::uint64_t segment;               // counts up, never reused
    std::uint64_t sequence;              // of its first batch
    std::uint64_t previous;              // the segment before, 0: there was none
    std::uint64_t previous_end;          // where that one ended
    std::uint64_t oldest;                // segments below are forgotten, whatever the directory says
    std::uint64_t highest[most_shards];  // message ids given so far, by shard
    std::uint32_t checksum;              // of all before it
    std::uint32_t zero;
};
static_assert(sizeof(SegmentHead) <= second_head_at);

struct BatchHead {
    static constexpr std::uint32_t expected_magic = 0x48544142;  // "BATH"
    std::uint32_t magic;
    std::uint32_t checksum;  // of the head with this field 0, seeded
    std::uint64_t sequence;  // counts up over restarts
    std::uint64_t size;      // octets of records behind the head
    std::uint32_t back;      // sequence - back is the last batch that was known to be synced
    std::uint32_t digest;    // over the records' checksums, seeded
    std::uint32_t count;     // records
    std::uint32_t zero;
};
static_assert(sizeof(BatchHead) == 40);

enum class RecordType : std::uint8_t {
    publish = 1,  // a message and the queues that hold it; seen again, it replaces what was known
    settle = 2,   // id: the queue; runs of messages that it holds no longer
    mark = 3,     // id: the queue; runs of messages that were delivered once more
    commit = 4,   // begins a transaction, which is handed over in one piece and somebody waits for
    catalog = 5,  // id: how many changes the catalog had stored by then
};

struct RecordHead {
    std::uint32_t length;    // with head and padding
    std::uint32_t checksum;  // of all behind it
    RecordType type;
    std::uint8_t zero;
    std::uint16_t count;  // settle and mark: runs; publish: the low bits of how many queues there are
    std::uint32_t times;  // of a mark: so many deliveries more; of a commit: so many records behind it;
                          // of a publish: the high bits of how many queues there are
    std::uint64_t id;
};
static_assert(sizeof(RecordHead) == 24);

/// Of a publish, however many they are.
constexpr std::uint64_t queue_count(const RecordHead& head) {
    return std::uint64_t{head.times} << 16 | head.count;
}
constexpr void set_queue_count(RecordHead& head, std::uint64_t count) {
    head.count = static_cast<std::uint16_t>(count & 0xFFFF);
    head.times = static_cast<std::uint32_t>(count >> 16);
}

/// Behind a publish's head and its queues' ids; behind it the octets of a Message.
struct PublishFields {
    std::uint64_t stamp;  // messages of a queue stand in the order of (stamp, id)
    std::uint32_t names_size;
    std::uint32_t header_frame_size;
    std::uint32_t body_size;
    std::uint32_t zero;
};
static_assert(sizeof(PublishFields) == 24);

struct Run {
    MessageId first;
    std::uint64_t count;
};

template <class T>
T load(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

inline std::uint32_t seed_of(std::uint64_t journal, std::uint64_t segment) {
    const std::uint64_t both[] = {journal, segment};
    return crc32c(0, both, sizeof both);
}
inline std::uint32_t checksum_of(const SegmentHead& head) {
    return crc32c(0, &head, offsetof(SegmentHead, checksum));
}
inline std::uint32_t checksum_of(BatchHead head, std::uint32_t seed) {
    head.checksum = 0;
    return crc32c(seed, &head, sizeof head);
}
/// Fills in length and checksum of a record whose `size` octets stand at `at`, padding included.
inline void seal_record(char* at, std::uint32_t size) {
    std::memcpy(at, &size, sizeof size);
    const std::uint32_t checksum = crc32c(0, at + 8, size - 8);
    std::memcpy(at + 4, &checksum, sizeof checksum);
}

/// So that a place fits into 8 octets: segments, and octets of one.
inline constexpr std::uint64_t most_segments = UINT32_MAX;
inline constexpr std::uint64_t most_in_segment = std::uint64_t{UINT32_MAX} * 8;

/// "000000000042.seg"
std::string segment_name(std::uint64_t segment);
/// 0: not the name of a segment, as `segment_name` writes it.
std::uint64_t segment_of(std::string_view name);

}  // namespace trilby::broker::journal
