// SPDX-License-Identifier: Apache-2.0
#include "routing/known_starts.hpp"

#include <string>

namespace trilby::routing {

void KnownStarts::make(Known& known, TopicWalk& walk, std::uint32_t root) {
    const auto i = static_cast<std::size_t>(&known - known_.data());
    std::string words(authority_dot);
    if (i > 0) words.append(environments[i - 1]).append(1, '.');
    known.start = walk.start_after(root, words);
    known.made = true;
}

}  // namespace trilby::routing
