// SPDX-License-Identifier: Apache-2.0
#include "routing/word_table.hpp"

#include <algorithm>
#include <bit>

#include "protocol/room.hpp"

namespace trilby::routing {

WordId WordTable::intern(const WordView& word, Depths depths) {
    const std::uint64_t hash = word.hash();
    if (const Slot* found = find_slot(word, hash)) {
        const_cast<Slot*>(found)->depths |= depths;
        return found->id;
    }
    // What needs memory comes first, and can stay as it is.
    slots_.reserve(1);
    if ((slots_.size() + 1) * 16 > filter_.size() * 64) rebuild_filter(SIZE_MAX);
    const bool fresh = free_ids_.empty();
    const WordId id = fresh ? static_cast<WordId>(uses_.size()) : free_ids_.back();
    make_room(uses_, uses_.size() + 1);
    make_room(free_ids_, uses_.size() + 1);
    if (word.text.size() > WordView::complete_size) long_texts_.emplace(id, word.text);
    fresh ? uses_.push_back(0) : free_ids_.pop_back();
    slots_.insert({word.head, word.tail, id, depths | word.length() << 24});
    const auto bit = static_cast<std::uint32_t>(hash >> 32) & filter_mask_;
    filter_[bit / 64] |= std::uint64_t{1} << bit % 64;
    return id;
}

void WordTable::forget_if_unused(const WordView& word) {
    const Slot* slot = find_slot(word, word.hash());
    if (!slot || uses_[slot->id] != 0) return;
    free_ids_.push_back(slot->id);
    if (word.text.size() > WordView::complete_size) long_texts_.erase(slot->id);
    slots_.erase(const_cast<Slot*>(slot));
    if (++forgotten_ * 2 > slots_.size() + 64) rebuild_filter(filter_.size() * 64);
}

void WordTable::rebuild_filter(std::size_t most_bits) {
    const std::size_t bits = std::min(most_bits, std::bit_ceil(slots_.size() * 32 + 64));
    filter_.assign(bits / 64, 0);
    filter_mask_ = static_cast<std::uint32_t>(bits - 1);
    forgotten_ = 0;
    for (const Slot& slot : slots_.slots()) {
        if (slot.vacant()) continue;
        const auto bit = static_cast<std::uint32_t>(slot.hash() >> 32) & filter_mask_;
        filter_[bit / 64] |= std::uint64_t{1} << bit % 64;
    }
}

}  // namespace trilby::routing
