// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "routing/flat_table.hpp"
#include "routing/hash.hpp"
#include "routing/target.hpp"
#include "routing/text_pool.hpp"

namespace trilby::routing {

/// (space, key) → Target, by one hash of the whole key. A space is an exchange, or one of those below.
class ExactKeys {
  public:
    static constexpr std::uint32_t queue_names = 0xFFFF'FFFF;
    static constexpr std::uint32_t exchange_names = 0xFFFF'FFFE;

    explicit ExactKeys(TextPool& texts) : texts_(texts) {}

    /// `hash` is that of hash_bytes. Null if the key leads nowhere; void after the next assign.
    const Target* find(std::uint32_t space, std::string_view key, std::uint64_t hash) const {
        const auto* slot = find_slot(space, key, hash);
        return slot ? &slot->target : nullptr;
    }
    const Target* find(std::uint32_t space, std::string_view key) const {
        return find(space, key, hash_bytes(key));
    }

    /// None takes the key out, which needs no memory. Nothing changes if it throws.
    void assign(std::uint32_t space, TextId key, Target target);
    void assign(std::uint32_t space, std::string_view key, Target target);

  private:
    struct Slot {
        std::uint32_t hash = 0;
        TextId text = TextPool::none;
        std::uint32_t space = 0;
        Target target;

        bool vacant() const { return text == TextPool::none; }
        std::uint32_t home() const { return hash; }
    };

    static std::uint32_t home(std::uint32_t space, std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash) ^ space * 0x9E37'79B1U;
    }
    const Slot* find_slot(std::uint32_t space, std::string_view key, std::uint64_t hash) const {
        const std::uint32_t at = home(space, hash);
        return slots_.find(at, [&](const Slot& slot) {
            return slot.hash == at && slot.space == space && texts_.get(slot.text) == key;
        });
    }

    TextPool& texts_;
    FlatTable<Slot> slots_;
};

}  // namespace trilby::routing
