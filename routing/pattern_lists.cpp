// SPDX-License-Identifier: Apache-2.0
#include "routing/pattern_lists.hpp"

#include <algorithm>

#include "routing/hash.hpp"

namespace trilby::routing {

void PatternList::push(Entry entry) {
    if (size_ == 0 && capacity_ == 0) {
        only_ = entry;
    } else {
        if (size_ >= capacity_) {
            const std::uint32_t room = std::max(4U, capacity_ * 2);
            auto larger = std::make_unique<Entry[]>(room);
            std::ranges::copy(entries(), larger.get());
            many_ = std::move(larger);
            capacity_ = room;
        }
        many_[size_] = entry;
    }
    ++size_;
}

void PatternList::remove(std::uint32_t position) {
    --size_;
    if (capacity_ == 0) return;
    many_[position] = many_[size_];
    if (size_ > 1) return;
    only_ = many_[0];
    many_.reset();
    capacity_ = 0;
}

std::uint32_t PatternLists::hash(ExchangeIndex exchange, TextId pattern) {
    return static_cast<std::uint32_t>(hash_integers(exchange, pattern));
}

std::uint32_t PatternLists::find(ExchangeIndex exchange, TextId pattern) const {
    return index_.find(hash(exchange, pattern), [&](std::uint32_t each) {
        return lists_[each].exchange == exchange && lists_[each].pattern == pattern;
    });
}

std::uint32_t PatternLists::add(ExchangeIndex exchange, TextId pattern) {
    index_.make_room();
    const std::uint32_t list = lists_.add();
    lists_[list].exchange = exchange;
    lists_[list].pattern = pattern;
    index_.insert(hash(exchange, pattern), list);
    return list;
}

void PatternLists::remove(std::uint32_t list) {
    index_.erase(hash(lists_[list].exchange, lists_[list].pattern), list);
    lists_.remove(list);
}

Target PatternLists::target(std::uint32_t list) const {
    const auto entries = lists_[list].entries();
    if (entries.empty()) return Target();
    if (entries.size() == 1 && !entries[0].destination.is_exchange()) {
        return Target::queue(entries[0].destination.index());
    }
    return Target::list(list);
}

void PatternLists::forget_seen() {
    for (std::uint32_t list = 0; list < lists_.end(); ++list) lists_[list].seen = 0;
}

}  // namespace trilby::routing
