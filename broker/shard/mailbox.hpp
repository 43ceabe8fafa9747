// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <type_traits>

namespace trilby::broker {

/// The road from one shard to another: a bounded ring with one producer and one consumer, first in, first
/// out, and the producer's own list of what found no room. A producer never waits here: it goes on, and stops
/// reading the sockets that feed a road whose list is not empty.
///
/// Bounded in items and in octets of the messages under way, which should not leave the cache.
template <class T>
class Mailbox {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    Mailbox(std::size_t capacity, std::uint64_t octets)
        : mask_(std::bit_ceil(capacity) - 1),
          slots_(std::make_unique_for_overwrite<Slot[]>(mask_ + 1)),
          capacity_(capacity),
          octet_limit_(octets) {}

    // ---- The sender's thread.

    /// Seen by the receiver after the next `publish`.
    void push(T item, std::uint64_t octets = 0) {
        if (waiting_.empty() && has_room(octets)) {
            place(item, octets);
        } else {
            wait(item, octets);
        }
    }
    /// Shows the receiver what was pushed; true if there is something new for it. Moves up what waited for
    /// room.
    bool publish() {
        for (; room_for_waiting(); waiting_.pop_front())
            place(waiting_.front().item, waiting_.front().octets);
        if (!waiting_.empty()) stalled_.store(true, std::memory_order_seq_cst);
        const bool news = tail_ != published_.load(std::memory_order_relaxed);
        published_.store(tail_, std::memory_order_release);
        return news;
    }
    bool stalled() const { return !waiting_.empty(); }
    /// For a sender about to sleep: would `publish` move something?
    bool room_for_waiting() { return !waiting_.empty() && has_room(waiting_.front().octets); }

    // ---- The receiver's thread.

    /// Hands at most `limit` items to `accept`, and no more when `enough` says so after one; returns how
    /// many. An item for which it throws stays the first.
    template <class F, class Enough>
    std::size_t drain(std::size_t limit, F accept, Enough enough) {
        const std::uint64_t published = published_.load(std::memory_order_acquire);
        std::size_t count = 0;
        std::uint64_t octets = 0;
        try {
            for (bool more = true; more && head_ != published && count < limit; ++count, ++head_) {
                if constexpr (requires(const T& item) { item.prefetch(); })
                    if (published - head_ > lookahead) slots_[(head_ + lookahead) & mask_].item.prefetch();
                Slot& slot = slots_[head_ & mask_];
                accept(slot.item);
                octets += slot.octets;
                more = !enough();
            }
        } catch (...) {
            give_room(octets);
            throw;
        }
        if (count != 0) give_room(octets);
        return count;
    }
    template <class F>
    std::size_t drain(std::size_t limit, F accept) {
        return drain(limit, accept, [] { return false; });
    }
    bool has_mail() const { return published_.load(std::memory_order_acquire) != head_; }
    /// After a drain: does the sender wait for the room that was made? Asks once.
    bool sender_waits() {
        return stalled_.load(std::memory_order_relaxed) &&
               stalled_.exchange(false, std::memory_order_seq_cst);
    }

  private:
    static constexpr std::uint64_t lookahead = 4;  // items, of those that have something to fetch

    struct Slot {
        Slot() {}  // left as it is: a road that is not used is not touched
        Slot(const T& one, std::uint64_t size) : item(one), octets(size) {}
        union {
            T item;
        };
        std::uint64_t octets;
    };

    bool has_room(std::uint64_t octets) {
        if (fits(octets)) return true;
        known_consumed_ = consumed_.load(std::memory_order_acquire);
        known_octets_out_ = octets_out_.load(std::memory_order_relaxed);
        return fits(octets);
    }
    bool fits(std::uint64_t octets) const {
        const std::uint64_t under_way = octets_in_ - known_octets_out_;
        return tail_ - known_consumed_ < capacity_ && (under_way == 0 || under_way + octets <= octet_limit_);
    }
    void give_room(std::uint64_t octets) {
        octets_out_.store(octets_out_.load(std::memory_order_relaxed) + octets, std::memory_order_relaxed);
        consumed_.store(head_, std::memory_order_release);
    }
    void place(T item, std::uint64_t octets) {
        Slot& slot = slots_[tail_++ & mask_];
        slot.item = item;
        slot.octets = octets;
        octets_in_ += octets;
    }
    /// Apart and by value: where `push` is inlined, the item is then never put together in memory before it
    /// is written to its slot.
    [[gnu::noinline]] void wait(T item, std::uint64_t octets) { waiting_.emplace_back(item, octets); }

    const std::size_t mask_;
    std::unique_ptr<Slot[]> slots_;
    const std::size_t capacity_;
    const std::uint64_t octet_limit_;

    alignas(64) std::uint64_t tail_ = 0;  // sender's
    std::uint64_t octets_in_ = 0;
    std::uint64_t known_consumed_ = 0;
    std::uint64_t known_octets_out_ = 0;
    std::deque<Slot> waiting_;
    alignas(64) std::atomic<std::uint64_t> published_{0};
    alignas(64) std::atomic<bool> stalled_{false};
    alignas(64) std::uint64_t head_ = 0;  // receiver's
    std::atomic<std::uint64_t> octets_out_{0};
    std::atomic<std::uint64_t> consumed_{0};
};

}  // namespace trilby::broker
