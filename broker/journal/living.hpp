// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "broker/journal/format.hpp"

namespace trilby::broker::journal {

struct Place {
    std::uint64_t segment = 0;
    std::uint64_t offset = 0;
    bool operator==(const Place&) const = default;
};

/// Which messages some queue still holds, where their records stand, and how much of each segment they are: 9
/// octets a message, in pages of neighbouring ids; more only for those in several queues.
class Living {
  public:
    /// A publish record of `size` octets was written at `place`. If the message is known, this replaces it.
    void publish(MessageId id, Place place, std::uint32_t size, std::span<const StoredQueue> queues);
    /// `queue` holds these no longer. What it does not hold is passed over: settles come twice, and for
    /// queues that a message was never stored for.
    void settle(StoredQueue queue, MessageId first, std::uint64_t count);
    /// Delivered by `queue` so many times more.
    void mark(StoredQueue queue, MessageId first, std::uint64_t count, std::uint32_t times);

    bool is_at(MessageId id, Place place) const;
    struct Holder {
        StoredQueue queue;
        std::uint8_t deliveries;  // at most 255
    };
    /// Of a message that is there; `recorded` are the queues of its record.
    std::vector<Holder> holders(MessageId id, std::span<const StoredQueue> recorded) const;

    std::uint64_t octets() const { return octets_; }
    std::uint64_t messages() const { return messages_; }
    /// Messages whose record stands in this segment.
    std::uint64_t in_segment(std::uint64_t segment) const;
    /// visit(MessageId, Place)
    template <class F>
    void each(F visit) const {
        for (const auto& [number, page] : pages_)
            for (unsigned i = 0; i < page_size; ++i)
                if (page.segments[i] != 0)
                    visit(number * page_size + i,
                          Place{page.segments[i], std::uint64_t{page.offsets[i]} * 8});
    }

  private:
    static constexpr unsigned page_size = 64;
    struct Page {
        std::uint32_t segments[page_size] = {};  // 0: dead
        std::uint32_t offsets[page_size] = {};   // by 8 octets
        std::uint32_t sizes[page_size] = {};
        StoredQueue queues[page_size] = {};  // of those in one queue only
        std::uint8_t deliveries[page_size] = {};
        std::uint32_t living = 0;
    };
    void bury(Page& page, MessageId id);

    std::unordered_map<std::uint64_t, Page> pages_;
    std::unordered_map<MessageId, std::vector<Holder>>
        shared_;  // of those in several queues: who still holds it
    std::unordered_map<std::uint64_t, std::uint64_t> by_segment_;
    std::uint64_t octets_ = 0;
    std::uint64_t messages_ = 0;
};

}  // namespace trilby::broker::journal
