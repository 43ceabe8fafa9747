// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/living.hpp"

#include <algorithm>

namespace trilby::broker::journal {

void Living::publish(MessageId id, Place place, std::uint32_t size, std::span<const StoredQueue> queues) {
    Page& page = pages_[id / page_size];
    const unsigned slot = id % page_size;
    if (page.segments[slot] != 0) {
        --by_segment_[page.segments[slot]];
        octets_ -= page.sizes[slot];
    } else {
        ++page.living;
        ++messages_;
    }
    page.segments[slot] = static_cast<std::uint32_t>(place.segment);
    page.offsets[slot] = static_cast<std::uint32_t>(place.offset / 8);
    page.sizes[slot] = size;
    page.deliveries[slot] = 0;
    octets_ += size;
    ++by_segment_[place.segment];
    if (queues.size() > 1) {
        std::vector<Holder>& holders = shared_[id];
        holders.clear();
        for (const StoredQueue queue : queues) holders.push_back({queue, 0});
    } else {
        shared_.erase(id);
        page.queues[slot] = queues.empty() ? 0 : queues.front();
    }
}

void Living::settle(StoredQueue queue, MessageId first, std::uint64_t count) {
    for (MessageId id = first; id != first + count; ++id) {
        const auto page = pages_.find(id / page_size);
        if (page == pages_.end()) {
            // The rest of a page that is not there can be skipped at once.
            const std::uint64_t skip = std::min(page_size - id % page_size, first + count - id);
            id += skip - 1;
            continue;
        }
        if (page->second.segments[id % page_size] == 0) continue;
        if (const auto shared = shared_.find(id); shared != shared_.end()) {
            std::erase_if(shared->second, [&](const Holder& holder) { return holder.queue == queue; });
            if (!shared->second.empty()) continue;
            shared_.erase(shared);
        } else if (page->second.queues[id % page_size] != queue) {
            continue;
        }
        bury(page->second, id);
        if (page->second.living == 0) pages_.erase(page);
    }
}

void Living::bury(Page& page, MessageId id) {
    const unsigned slot = id % page_size;
    const auto segment = by_segment_.find(page.segments[slot]);
    if (--segment->second == 0) by_segment_.erase(segment);
    octets_ -= page.sizes[slot];
    page.segments[slot] = 0;
    page.deliveries[slot] = 0;
    --page.living;
    --messages_;
}

void Living::mark(StoredQueue queue, MessageId first, std::uint64_t count, std::uint32_t times) {
    const auto add = [&](std::uint8_t& deliveries) {
        deliveries =
            static_cast<std::uint8_t>(std::min<std::uint64_t>(255, deliveries + std::uint64_t{times}));
    };
    for (MessageId id = first; id != first + count; ++id) {
        const auto page = pages_.find(id / page_size);
        if (page == pages_.end()) {
            id += std::min(page_size - id % page_size, first + count - id) - 1;
            continue;
        }
        const unsigned slot = id % page_size;
        if (page->second.segments[slot] == 0) continue;
        const auto shared = shared_.find(id);
        if (shared == shared_.end()) {
            if (page->second.queues[slot] == queue) add(page->second.deliveries[slot]);
        } else {
            for (Holder& holder : shared->second)
                if (holder.queue == queue) add(holder.deliveries);
        }
    }
}

bool Living::is_at(MessageId id, Place place) const {
    const auto page = pages_.find(id / page_size);
    if (page == pages_.end()) return false;
    const unsigned slot = id % page_size;
    return page->second.segments[slot] == place.segment &&
           std::uint64_t{page->second.offsets[slot]} * 8 == place.offset;
}

std::vector<Living::Holder> Living::holders(MessageId id, std::span<const StoredQueue> recorded) const {
    if (const auto shared = shared_.find(id); shared != shared_.end()) return shared->second;
    const auto page = pages_.find(id / page_size);
    if (page == pages_.end() || recorded.empty()) return {};
    return {{recorded.front(), page->second.deliveries[id % page_size]}};
}

std::uint64_t Living::in_segment(std::uint64_t segment) const {
    const auto found = by_segment_.find(segment);
    return found == by_segment_.end() ? 0 : found->second;
}

}  // namespace trilby::broker::journal
