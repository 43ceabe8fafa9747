// SPDX-License-Identifier: Apache-2.0
#include "routing/text_pool.hpp"

#include <stdexcept>

namespace trilby::routing {

TextId TextPool::allocate(std::size_t granules) {
    if (free_.size() <= granules) free_.resize(granules + 1, none);  // for when it is released
    if (TextId& reusable = free_[granules]; reusable != none) {
        const TextId id = reusable;
        std::memcpy(&reusable, place(id), sizeof reusable);
        return id;
    }
    if (used_in_last_ + granules > chunk_granules) {
        chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_granules * granule));
        used_in_last_ = 0;
    }
    const auto id = static_cast<TextId>((chunks_.size() - 1) * chunk_granules + used_in_last_);
    used_in_last_ += granules;
    return id;
}

TextId TextPool::intern(std::string_view text) {
    if (text.size() > 0xFFFF) throw std::length_error("a text of 64 KiB or more in the routing table");
    const std::uint64_t hash = hash_bytes(text);
    if (const TextId found = find(text, hash); found != none) {
        add_user(found);
        return found;
    }
    index_.make_room();
    const TextId id = allocate(granules_of(text.size()));
    set_users(id, 1);
    const auto size = static_cast<std::uint16_t>(text.size());
    std::memcpy(place(id) + sizeof(Head::users), &size, sizeof size);
    if (!text.empty()) std::memcpy(place(id) + head_size, text.data(), text.size());
    index_.insert(static_cast<std::uint32_t>(hash), id);
    return id;
}

void TextPool::release(TextId id) {
    const Head old = head(id);
    set_users(id, old.users - 1);
    if (old.users > 1) return;
    index_.erase(static_cast<std::uint32_t>(hash_bytes(get(id))), id);
    TextId& first = free_[granules_of(old.size)];
    std::memcpy(place(id), &first, sizeof first);
    first = id;
}

}  // namespace trilby::routing
