// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "routing/destination.hpp"
#include "routing/hash.hpp"

namespace trilby::routing {

/// Remembers where whole keys went. Bounded: two places for each of some thousand buckets of hashes, and a
/// ring of bytes in which keys and results stand in the order they came.
///
///     buckets   | hash hash | where where | seen seen |      32 bytes each: a miss ends here
///     ring      … [head|key|queues] [head|key|queues] …     the oldest give way to new ones
///
/// A key is taken in when it is seen for the second time. While few keys come again, only one key in sixteen
/// (by its hash) is looked up at all, enough to notice when that changes.
///
/// A change of the bindings does not empty the cache: the last changed patterns are kept, and an entry that
/// is older than some of them is good unless one of those fits its key.
class RouteCache {
  public:
    /// What a route depends on besides the bindings of the exchange that it starts from.
    enum class Reach : std::uint8_t {
        one_exchange,
        several_exchanges,  // passed on, or an alternate asked: any change that fits the key counts
    };

    /// Whether `find` and `offer` are worth their while for the key. `hash` is that of hash_bytes.
    bool worthwhile(std::uint64_t hash) const { return enabled_ || (hash & sample_mask) == 0; }

    /// Valid until `offer` is called.
    std::optional<std::span<const QueueIndex>> find(ExchangeIndex exchange, std::string_view key,
                                                    std::uint64_t hash) {
        if (++looked_up_ == period) judge();
        if (buckets_.empty()) return std::nullopt;
        const std::uint64_t tag = tag_of(exchange, hash);
        const Bucket& bucket = buckets_[tag & bucket_mask];
        for (std::size_t way = 0; way < ways; ++way) {
            if (bucket.tags[way] != tag) continue;
            Entry* const entry = entry_at(bucket.places[way]);
            if (entry->key_size != key.size() || entry->exchange != exchange ||
                std::memcmp(key_of(entry), key.data(), key.size()) != 0) {
                continue;
            }
            if (entry->changes != changes_ && !still_good(*entry, key)) return std::nullopt;
            ++found_;
            return std::span(queues_of(entry), entry->queue_count);
        }
        return std::nullopt;
    }

    /// After a `find` that found nothing: what was found without it.
    void offer(ExchangeIndex exchange, std::string_view key, std::uint64_t hash,
               std::span<const QueueIndex> queues, Reach reach);

    enum class Change : std::uint8_t { everything, one_key, topic_pattern };
    /// Bindings of the exchange with this key or pattern came or went; `everything`: anything may be
    /// different. Needs no memory.
    void note_change(Change change, ExchangeIndex exchange, std::string_view pattern);

  private:
    static constexpr std::size_t ways = 2;
    static constexpr std::size_t bucket_count = 4096;
    static constexpr std::uint64_t bucket_mask = bucket_count - 1;
    static constexpr std::uint64_t sample_mask = std::uint64_t{15} << 56;
    static constexpr std::size_t remembered_changes = 64;
    static constexpr std::size_t unit = 8;  // bytes; places and sizes in the ring count these
    static constexpr std::uint32_t ring_units = 160 * 1024;  // 1.25 MiB
    static constexpr std::size_t most_queues = 4096;         // of one entry
    static constexpr std::uint32_t period = 4096;  // look-ups after which the rate of hits is judged

    struct Bucket {
        std::uint64_t tags[ways] = {};    // 0: free
        std::uint32_t places[ways] = {};  // in the ring
        std::uint32_t seen[ways] = {};    // the last keys that were offered once
    };
    struct Entry {
        std::uint32_t units = 0;    // its own size
        std::uint32_t way = 0;      // bucket * ways + way
        std::uint64_t changes = 0;  // good up to this number of changes
        std::uint32_t queue_count = 0;
        ExchangeIndex exchange = 0;
        std::uint16_t key_size = 0;
        Reach reach = Reach::one_exchange;
    };  // then the queues, then the key
    struct Changed {
        Change change = Change::everything;
        bool repeated = false;  // the next one says the same
        std::uint8_t size = 0;
        std::uint8_t front = 0, back = 0;  // so many octets at its ends have to be the key's, too
        ExchangeIndex exchange = 0;
        std::array<char, 255> pattern;
        std::string_view text() const { return {pattern.data(), size}; }
        void set(Change kind, ExchangeIndex from, std::string_view text);
        bool fits(std::string_view key) const;
    };

    /// Never 0.
    static std::uint64_t tag_of(ExchangeIndex exchange, std::uint64_t hash) {
        return (hash ^ exchange * 0x9E37'79B9'7F4A'7C15ULL) | std::uint64_t{1} << 63;
    }
    Entry* entry_at(std::uint32_t place) { return reinterpret_cast<Entry*>(ring_.get() + place); }
    static QueueIndex* queues_of(Entry* entry) { return reinterpret_cast<QueueIndex*>(entry + 1); }
    static char* key_of(Entry* entry) {
        return reinterpret_cast<char*>(queues_of(entry) + entry->queue_count);
    }

    bool still_good(Entry& entry, std::string_view key);
    void judge();
    std::uint32_t make_room(std::uint32_t units);
    void drop_oldest();

    std::vector<Bucket> buckets_;  // none until the first offer
    std::unique_ptr<std::uint64_t[]> ring_;
    std::uint32_t oldest_ = 0, end_ = 0;  // in the ring, in units
    std::uint32_t end_of_lap_ = 0;        // where the lap before this one ended
    std::uint32_t entries_ = 0;           // in the ring, replaced ones too

    std::uint64_t changes_ = 1;       // so far
    std::uint64_t lost_changes_ = 0;  // entries not newer than this know too little
    std::vector<Changed> changed_;    // by number modulo remembered_changes

    bool enabled_ = true;
    std::uint64_t looked_up_ = 0, found_ = 0, seen_again_ = 0;  // since the rate was last judged
    std::uint32_t next_way_ = 0;
};

}  // namespace trilby::routing
