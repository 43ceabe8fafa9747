// SPDX-License-Identifier: Apache-2.0
#include "routing/exact_keys.hpp"

#include "protocol/room.hpp"

namespace trilby::routing {

void ExactKeys::assign(std::uint32_t space, TextId key, Target target) {
    const std::uint32_t at = home(space, hash_bytes(texts_.get(key)));
    Slot* const slot =
        slots_.find(at, [&](const Slot& each) { return each.space == space && each.text == key; });
    if (target.none()) {
        if (!slot) return;
        slots_.erase(slot);
        texts_.release(key);
    } else if (slot) {
        slot->target = target;
    } else {
        slots_.reserve(1);
        texts_.add_user(key);
        slots_.insert({at, key, space, target});
    }
}

void ExactKeys::assign(std::uint32_t space, std::string_view key, Target target) {
    const TextId text = texts_.intern(key);
    const Undo one_user([&] { texts_.release(text); });  // but for what has it now
    assign(space, text, target);
}

}  // namespace trilby::routing
