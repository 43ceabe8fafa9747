// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/living.hpp"

#include <algorithm>
#include <bit>

namespace trilby::broker::journal {

namespace {

/// Sizes are kept in 11 bits and a power of two: exact to 16 KiB, to a thousandth above.
constexpr unsigned size_bits = 11;

std::uint16_t coded_size(std::uint32_t size) {
    const std::uint32_t units = size / 8;
    const auto width = static_cast<unsigned>(std::bit_width(units));
    const unsigned shift = width > size_bits ? width - size_bits : 0;
    return static_cast<std::uint16_t>(shift << size_bits | units >> shift);
}

std::uint64_t decoded_size(std::uint16_t code) {
    return (std::uint64_t{code} & ((1u << size_bits) - 1)) << (code >> size_bits) << 3;
}

}  // namespace

void Living::Page::set_queue(unsigned slot, StoredQueue queue) {
    if (queues == nullptr) {
        if (living == 0) common = queue;
        if (common == queue) return;
        queues = std::make_unique<StoredQueue[]>(page_size);
        std::fill_n(queues.get(), page_size, common);
    }
    queues[slot] = queue;
}

Living::Page& Living::page_for(MessageId id) {
    if (Page* page = find(id)) return *page;
    const std::lock_guard lock(*mutex_);
    return pages_[id / page_size];
}

void Living::publish(MessageId id, Place place, std::uint32_t size, std::span<const StoredQueue> queues) {
    Page& page = page_for(id);
    const unsigned slot = id % page_size;
    if (const std::uint64_t before = page.places[slot]; before != 0) {
        const auto segment = by_segment_.find(unpacked(before).segment);
        if (--segment->second == 0) by_segment_.erase(segment);
        octets_ -= decoded_size(page.sizes[slot]);
        --page.living;
        --messages_;
    }
    if (queues.size() > 1) {
        std::vector<Holder>& holders = shared_[id];
        holders.clear();
        for (const StoredQueue queue : queues) holders.push_back({queue, 0});
    } else {
        if (!shared_.empty()) shared_.erase(id);
        page.set_queue(slot, queues.empty() ? 0 : queues.front());
    }
    page.sizes[slot] = coded_size(size);
    if (page.deliveries != nullptr) page.deliveries[slot] = 0;
    page.places[slot].store(packed(place), std::memory_order_release);
    octets_ += decoded_size(page.sizes[slot]);
    ++page.living;
    ++messages_;
    ++by_segment_[place.segment];
}

void Living::settle(StoredQueue queue, MessageId first, std::uint64_t count) {
    for (MessageId id = first; id != first + count; ++id) {
        Page* page = find(id);
        if (page == nullptr) {
            // The rest of a page that is not there can be skipped at once.
            id += std::min(page_size - id % page_size, first + count - id) - 1;
            continue;
        }
        if (page->places[id % page_size] == 0) continue;
        if (const auto shared = shared_.empty() ? shared_.end() : shared_.find(id); shared != shared_.end()) {
            std::erase_if(shared->second, [&](const Holder& holder) { return holder.queue == queue; });
            if (!shared->second.empty()) continue;
            shared_.erase(shared);
        } else if (page->queue(id % page_size) != queue) {
            continue;
        }
        bury(*page, id);
    }
}

void Living::bury(Page& page, MessageId id) {
    const unsigned slot = id % page_size;
    const auto segment = by_segment_.find(unpacked(page.places[slot]).segment);
    if (--segment->second == 0) by_segment_.erase(segment);
    octets_ -= decoded_size(page.sizes[slot]);
    page.places[slot].store(0, std::memory_order_relaxed);
    --messages_;
    if (--page.living != 0) return;
    found_ = nullptr;
    const std::lock_guard lock(*mutex_);
    pages_.erase(id / page_size);
}

void Living::mark(StoredQueue queue, MessageId first, std::uint64_t count, std::uint32_t times) {
    const auto add = [&](std::uint8_t& deliveries) {
        deliveries =
            static_cast<std::uint8_t>(std::min<std::uint64_t>(255, deliveries + std::uint64_t{times}));
    };
    for (MessageId id = first; id != first + count; ++id) {
        Page* page = find(id);
        if (page == nullptr) {
            id += std::min(page_size - id % page_size, first + count - id) - 1;
            continue;
        }
        const unsigned slot = id % page_size;
        if (page->places[slot] == 0) continue;
        if (const auto shared = shared_.find(id); shared != shared_.end()) {
            for (Holder& holder : shared->second)
                if (holder.queue == queue) add(holder.deliveries);
        } else if (page->queue(slot) == queue) {
            if (page->deliveries == nullptr) page->deliveries = std::make_unique<std::uint8_t[]>(page_size);
            add(page->deliveries[slot]);
        }
    }
}

std::optional<Place> Living::place(MessageId id) const {
    const std::lock_guard lock(*mutex_);
    const auto page = pages_.find(id / page_size);
    const std::uint64_t at =
        page == pages_.end() ? 0 : page->second.places[id % page_size].load(std::memory_order_acquire);
    if (at == 0) return std::nullopt;
    return unpacked(at);
}

std::uint64_t Living::in_segment(std::uint64_t segment) const {
    const auto found = by_segment_.find(segment);
    return found == by_segment_.end() ? 0 : found->second;
}

}  // namespace trilby::broker::journal
