// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "routing/flat_table.hpp"
#include "routing/hash.hpp"

namespace trilby::routing {

using TextId = std::uint32_t;

/// Each text once, with a count of its users. Texts stand in chunks that do not move; what a removed one
/// leaves is used again for one of its size. Removing needs no memory.
class TextPool {
  public:
    static constexpr TextId none = FlatIndex::none;

    /// Adds a user. The text may have any length below 64 KiB; throws std::length_error beyond.
    TextId intern(std::string_view text);
    void add_user(TextId id) { set_users(id, head(id).users + 1); }
    void release(TextId id);
    TextId find(std::string_view text, std::uint64_t hash) const {
        return index_.find(static_cast<std::uint32_t>(hash), [&](TextId id) { return get(id) == text; });
    }
    TextId find(std::string_view text) const { return find(text, hash_bytes(text)); }

    /// Stays until the last user has released it.
    std::string_view get(TextId id) const {
        const char* const at = place(id);
        std::uint16_t size;
        std::memcpy(&size, at + sizeof(Head::users), sizeof size);
        return {at + head_size, size};
    }

    std::size_t size() const { return index_.size(); }

  private:
    struct Head {
        std::uint32_t users;
        std::uint16_t size;
    };
    static constexpr std::size_t head_size = 6;
    static constexpr std::size_t granule = 8;  // a TextId counts these
    static constexpr std::size_t chunk_granules = 16 * 1024;

    const char* place(TextId id) const {
        return chunks_[id / chunk_granules].get() + id % chunk_granules * granule;
    }
    char* place(TextId id) { return chunks_[id / chunk_granules].get() + id % chunk_granules * granule; }
    Head head(TextId id) const {
        Head head;
        std::memcpy(&head.users, place(id), sizeof head.users);
        std::memcpy(&head.size, place(id) + sizeof head.users, sizeof head.size);
        return head;
    }
    void set_users(TextId id, std::uint32_t users) { std::memcpy(place(id), &users, sizeof users); }
    TextId allocate(std::size_t granules);
    static std::size_t granules_of(std::size_t text_size) {
        return (head_size + text_size + granule - 1) / granule;
    }

    FlatIndex index_;
    std::vector<std::unique_ptr<char[]>> chunks_;
    std::size_t used_in_last_ = chunk_granules;
    std::vector<TextId> free_;  // by size in granules: the first, in which stands the next; none: no more
};

}  // namespace trilby::routing
