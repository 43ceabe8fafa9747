// SPDX-License-Identifier: Apache-2.0
#include "routing/route_cache.hpp"

#include <algorithm>
#include <new>

#include "routing/topic_key.hpp"

namespace trilby::routing {

void RouteCache::Changed::set(Change kind, ExchangeIndex from, std::string_view text) {
    change = kind;
    repeated = false;
    exchange = from;
    size = static_cast<std::uint8_t>(text.size());
    std::ranges::copy(text, pattern.begin());
    const auto first = text.find_first_of("*#"), last = text.find_last_of("*#");
    front = back = 0;
    if (first == std::string_view::npos) return;
    // A `#` may stand for nothing, and the dot beside it with it.
    front = static_cast<std::uint8_t>(first == 0 ? 0 : first - 1);
    const auto behind = text.size() - last - 1;
    back = static_cast<std::uint8_t>(behind == 0 ? 0 : behind - 1);
}

bool RouteCache::Changed::fits(std::string_view key) const {
    if (change == Change::one_key) return text() == key;
    return key.starts_with(text().substr(0, front)) && key.ends_with(text().substr(size - back)) &&
           topic_matches(text(), key);
}

void RouteCache::note_change(Change change, ExchangeIndex exchange, std::string_view pattern) {
    if (buckets_.empty()) return;  // no entry could be wrong
    if (change == Change::everything || pattern.size() > 255) {
        lost_changes_ = ++changes_;
        return;
    }
    Changed& last = changed_[changes_ % remembered_changes];
    last.repeated = last.change == change && last.exchange == exchange && last.text() == pattern;
    Changed& next = changed_[++changes_ % remembered_changes];
    next.set(change, exchange, pattern);
    if (changes_ > remembered_changes) lost_changes_ = std::max(lost_changes_, changes_ - remembered_changes);
}

bool RouteCache::still_good(Entry& entry, std::string_view key) {
    if (entry.changes < lost_changes_) return false;
    for (std::uint64_t number = entry.changes + 1; number <= changes_; ++number) {
        const Changed& changed = changed_[number % remembered_changes];
        if (changed.repeated) continue;
        if (entry.reach == Reach::one_exchange && changed.exchange != entry.exchange) continue;
        if (changed.fits(key)) return false;
    }
    entry.changes = changes_;
    return true;
}

void RouteCache::offer(ExchangeIndex exchange, std::string_view key, std::uint64_t hash,
                       std::span<const QueueIndex> queues, Reach reach) {
    if (key.size() > 255 || queues.size() > most_queues) return;
    if (buckets_.empty()) {
        ring_ = std::make_unique_for_overwrite<std::uint64_t[]>(ring_units);
        changed_.resize(remembered_changes);
        buckets_.resize(bucket_count);
    }
    const std::uint64_t tag = tag_of(exchange, hash);
    const auto index = static_cast<std::uint32_t>(tag & bucket_mask);
    Bucket& bucket = buckets_[index];
    const auto mark = static_cast<std::uint32_t>(tag >> 16) | 1;
    std::uint32_t way = ways;
    for (std::uint32_t i = 0; i < ways; ++i) {
        if (bucket.tags[i] == tag) way = i;  // of another key, or no longer good
    }
    if (way == ways) {
        if (std::ranges::find(bucket.seen, mark) == std::end(bucket.seen)) {
            bucket.seen[1] = bucket.seen[0];
            bucket.seen[0] = mark;
            return;
        }
        ++seen_again_;
        way = bucket.tags[0] == 0 ? 0 : bucket.tags[1] == 0 ? 1 : next_way_++ % ways;
    }
    const auto units =
        static_cast<std::uint32_t>((sizeof(Entry) + queues.size_bytes() + key.size() + unit - 1) / unit);
    const std::uint32_t place = make_room(units);
    bucket.tags[way] = tag;
    bucket.places[way] = place;
    Entry* const entry = new (ring_.get() + place) Entry;
    entry->units = units;
    entry->way = index * static_cast<std::uint32_t>(ways) + way;
    entry->changes = changes_;
    entry->queue_count = static_cast<std::uint32_t>(queues.size());
    entry->exchange = exchange;
    entry->key_size = static_cast<std::uint16_t>(key.size());
    entry->reach = reach;
    std::ranges::copy(queues, queues_of(entry));
    std::ranges::copy(key, key_of(entry));
}

/// A place for so many units at the end of what is written, where it may have to begin anew at the front.
std::uint32_t RouteCache::make_room(std::uint32_t units) {
    if (end_ + units > ring_units) {
        while (entries_ > 0 && oldest_ >= end_)
            drop_oldest();  // they stand behind the end and would be skipped
        end_of_lap_ = end_;
        end_ = 0;
        if (entries_ == 0) oldest_ = 0;
    }
    while (entries_ > 0 && oldest_ >= end_ && oldest_ < end_ + units) drop_oldest();
    const std::uint32_t place = end_;
    if (entries_ == 0) oldest_ = place;
    end_ += units;
    ++entries_;
    return place;
}

void RouteCache::drop_oldest() {
    const Entry* const entry = entry_at(oldest_);
    Bucket& bucket = buckets_[entry->way / ways];
    const auto way = entry->way % ways;
    if (bucket.places[way] == oldest_) bucket.tags[way] = 0;  // else it was replaced before
    oldest_ += entry->units;
    if (oldest_ == end_of_lap_) oldest_ = 0;
    --entries_;
}

/// A hit saves some hundred nanoseconds, a look-up costs some ten. Keys seen for the second time count too,
/// or a large set of keys would never get in.
void RouteCache::judge() {
    enabled_ = found_ * 8 >= looked_up_ || (found_ + seen_again_) * 5 >= looked_up_;
    looked_up_ = found_ = seen_again_ = 0;
}

}  // namespace trilby::routing
