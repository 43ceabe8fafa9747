// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "routing/topic_walk.hpp"

namespace trilby::routing {

/// Where a walk stands after the words that most of Fedora's keys begin with: the authority and an
/// environment. Made when first asked for, again after each change of the patterns.
class KnownStarts {
  public:
    /// For the trie below `root`. Null: walk from the root. Valid until forget is called.
    const TopicWalk::Start* find(TopicWalk& walk, std::uint32_t root, std::string_view key) {
        if (!key.starts_with(beginnings[0])) return nullptr;
        std::size_t which = 0;
        for (std::size_t i = 1; i < beginnings.size(); ++i) {
            if (key.substr(beginnings[0].size()).starts_with(beginnings[i].substr(beginnings[0].size())))
                which = i;
        }
        if (!made_[which]) make(which, walk, root);
        return starts_[which].usable ? &starts_[which] : nullptr;
    }

    void forget() { made_ = {}; }

  private:
    // All begin with the first. The names of name.hpp, each with its dot.
    static constexpr std::array<std::string_view, 4> beginnings = {
        "org.fedoraproject.", "org.fedoraproject.prod.", "org.fedoraproject.stg.", "org.fedoraproject.dev."};

    void make(std::size_t which, TopicWalk& walk, std::uint32_t root);

    std::array<bool, beginnings.size()> made_{};
    std::array<TopicWalk::Start, beginnings.size()> starts_;
};

}  // namespace trilby::routing
