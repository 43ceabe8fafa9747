// SPDX-License-Identifier: Apache-2.0
#include "routing/exact_keys.hpp"

namespace trilby::routing {

void ExactKeys::assign(std::uint32_t space, std::string_view key, Target target) {
    const std::uint64_t hash = hash_bytes(key);
    auto* slot = const_cast<Slot*>(find_slot(space, key, hash));
    if (target.none()) {
        if (!slot) return;
        texts_.release(slot->text);
        slots_.erase(slot);
    } else if (slot) {
        slot->target = target;
    } else {
        slots_.insert({home(space, hash), texts_.intern(key), space, target});
    }
}

}  // namespace trilby::routing
