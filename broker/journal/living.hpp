// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/journal/format.hpp"

namespace trilby::broker::journal {

struct Place {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    bool operator==(const Place&) const = default;
};

/// Which messages some queue still holds, where their records stand, and how much of each segment they are.
/// Some 11 octets a message, in pages of neighbouring ids; 8 more where neighbours are in different queues,
/// and an entry of its own for one that is in several. One thread, but for `place`.
class Living {
  public:
    /// A publish record of `size` octets was written at `place`. If the message is known, this replaces it.
    void publish(MessageId id, Place place, std::uint32_t size, std::span<const StoredQueue> queues);
    /// `queue` holds these no longer. What it does not hold is passed over: settles come twice, and for
    /// queues that a message was never stored for.
    void settle(StoredQueue queue, MessageId first, std::uint64_t count);
    /// Delivered by `queue` so many times more.
    void mark(StoredQueue queue, MessageId first, std::uint64_t count, std::uint32_t times);

    /// Where its record stands now; any thread. None: it is not there, or no queue holds it.
    std::optional<Place> place(MessageId id) const;
    bool is_at(MessageId id, Place at) const {
        const Page* page = find(id);
        return page != nullptr && page->places[id % page_size].load(std::memory_order_relaxed) == packed(at);
    }
    struct Holder {
        StoredQueue queue;
        std::uint8_t deliveries;  // at most 255
    };
    /// visit(Holder) for each queue that holds it.
    template <class F>
    void each_holder(MessageId id, F visit) const {
        if (const auto shared = shared_.find(id); shared != shared_.end()) {
            for (const Holder& holder : shared->second) visit(holder);
        } else if (const Page* page = find(id); page != nullptr && page->places[id % page_size] != 0) {
            visit(Holder{page->queue(id % page_size),
                         page->deliveries == nullptr ? std::uint8_t{0} : page->deliveries[id % page_size]});
        }
    }

    std::uint64_t octets() const { return octets_; }
    std::uint64_t messages() const { return messages_; }
    /// Messages whose record stands in this segment.
    std::uint64_t in_segment(std::uint64_t segment) const;
    /// visit(MessageId, Place)
    template <class F>
    void each(F visit) const {
        for (const auto& [number, page] : pages_)
            for (unsigned i = 0; i < page_size; ++i)
                if (const std::uint64_t packed = page.places[i]; packed != 0)
                    visit(number * page_size + i, unpacked(packed));
    }

  private:
    static constexpr unsigned page_size = 64;
    struct Page {
        std::atomic<std::uint64_t> places[page_size] = {};  // 0: dead
        std::uint16_t sizes[page_size] = {};
        StoredQueue common = 0;                      // the queue of all of them …
        std::unique_ptr<StoredQueue[]> queues;       // … or of each, once they differ
        std::unique_ptr<std::uint8_t[]> deliveries;  // once there are some
        std::uint32_t living = 0;

        StoredQueue queue(unsigned slot) const { return queues == nullptr ? common : queues[slot]; }
        void set_queue(unsigned slot, StoredQueue queue);
    };
    static std::uint64_t packed(Place place) { return place.segment << 32 | place.offset / 8; }
    static Place unpacked(std::uint64_t packed) { return {packed >> 32, (packed & UINT32_MAX) * 8}; }

    /// For the one thread: neighbours are usually wanted one after the other.
    const Page* find(MessageId id) const {
        if (found_ != nullptr && found_number_ == id / page_size) return found_;
        const auto page = pages_.find(id / page_size);
        if (page == pages_.end()) return nullptr;
        found_number_ = page->first;
        return found_ = &page->second;
    }
    Page* find(MessageId id) { return const_cast<Page*>(std::as_const(*this).find(id)); }
    Page& page_for(MessageId id);
    void bury(Page& page, MessageId id);

    std::unordered_map<std::uint64_t, Page> pages_;
    mutable std::uint64_t found_number_ = 0;
    mutable const Page* found_ = nullptr;
    /// Taken by who adds or removes pages, and by `place`; looks of the one thread that changes them need it
    /// not.
    std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
    std::unordered_map<MessageId, std::vector<Holder>>
        shared_;  // of those in several queues: who still holds it
    std::unordered_map<std::uint64_t, std::uint64_t> by_segment_;
    std::uint64_t octets_ = 0;
    std::uint64_t messages_ = 0;
};

}  // namespace trilby::broker::journal
