// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "routing/flat_table.hpp"
#include "routing/topic_key.hpp"

namespace trilby::routing {

using WordId = std::uint32_t;

/// The literal words of all topic patterns, numbered. A number stays until nothing uses the word any more.
class WordTable {
  public:
    /// Bit d: the word may stand as a pattern's word d (from 0) with no `#` before it. Deeper words share the
    /// last bit of these; `floating` says that it may stand somewhere after a `#`. Never too few bits.
    using Depths = std::uint32_t;
    static constexpr std::uint32_t depth_bits = 23;
    static constexpr Depths floating = 1U << depth_bits;
    static Depths depth(std::uint32_t words_before) {
        return 1U << (words_before < depth_bits - 1 ? words_before : depth_bits - 1);
    }

    struct Found {
        WordId id = 0;  // 0: no pattern has this word
        Depths depths = 0;
    };

    Found find(const WordView& word) const {
        const std::uint64_t hash = word.hash();
        const auto bit = static_cast<std::uint32_t>(hash >> 32) & filter_mask_;
        if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) return {};
        const Slot* slot = find_slot(word, hash);
        return slot ? Found{slot->id, slot->depths & ~length_mask} : Found{};
    }

    /// Numbers the word if it is new and notes where it may stand. It stays unused until `use` is called.
    /// Nothing changes if it throws.
    WordId intern(const WordView& word, Depths depths);

    void use(WordId id) { ++uses_[id]; }
    void stop_using(WordId id) { --uses_[id]; }
    void forget_if_unused(const WordView& word);

    std::size_t size() const { return slots_.size(); }

  private:
    static constexpr Depths length_mask = 0xFF00'0000;

    struct Slot {
        std::uint64_t head = 0;
        std::uint64_t tail = 0;
        WordId id = 0;
        Depths depths = 0;  // and the word's length in the highest octet, 255 for all that are longer

        bool vacant() const { return id == 0; }
        std::uint64_t hash() const {
            return fold(head ^ hash_secret[4], tail ^ hash_secret[5] ^ depths >> 24);
        }
        std::uint32_t home() const { return static_cast<std::uint32_t>(hash()); }
    };

    const Slot* find_slot(const WordView& word, std::uint64_t hash) const {
        return slots_.find(static_cast<std::uint32_t>(hash), [&](const Slot& slot) {
            return slot.head == word.head && slot.tail == word.tail && slot.depths >> 24 == word.length() &&
                   (word.text.size() <= WordView::complete_size || long_texts_.at(slot.id) == word.text);
        });
    }
    /// With no more bits than it has, it needs no memory.
    void rebuild_filter(std::size_t most_bits);

    FlatTable<Slot> slots_;
    std::vector<std::uint32_t> uses_ = {0};  // by id; 0 is no word
    std::vector<WordId> free_ids_;
    std::unordered_map<WordId, std::string> long_texts_;  // of words over 16 bytes

    // A bit for each word's hash: most words of a key that no pattern has stop here, without a cache miss.
    std::vector<std::uint64_t> filter_ = std::vector<std::uint64_t>(1);
    std::uint32_t filter_mask_ = 63;
    std::size_t forgotten_ = 0;  // words whose bits are still set
};

}  // namespace trilby::routing
