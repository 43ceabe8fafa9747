// SPDX-License-Identifier: Apache-2.0
#include "routing/known_starts.hpp"

namespace trilby::routing {

void KnownStarts::make(std::size_t which, TopicWalk& walk, std::uint32_t root) {
    starts_[which] = walk.start_after(root, beginnings[which]);
    made_[which] = true;
}

}  // namespace trilby::routing
