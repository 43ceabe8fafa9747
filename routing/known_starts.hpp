// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "routing/name.hpp"
#include "routing/topic_walk.hpp"

namespace trilby::routing {

/// Where a walk stands after the words that most of Fedora's keys begin with: the authority and an
/// environment. Made when first asked for, again after each change of the patterns.
class KnownStarts {
  public:
    /// For the trie below `root`. Null: walk from the root. Valid until forget is called.
    const TopicWalk::Start* find(TopicWalk& walk, std::uint32_t root, std::string_view key) {
        if (!key.starts_with(authority_dot)) return nullptr;
        Known* known = &known_[0];
        const auto rest = key.substr(authority_dot.size());
        for (std::size_t i = 0; i < environments.size(); ++i) {
            const auto& word = environments[i];
            if (rest.size() > word.size() && rest[word.size()] == '.' && rest.starts_with(word))
                known = &known_[i + 1];
        }
        if (!known->made) make(*known, walk, root);
        return known->start.usable ? &known->start : nullptr;
    }

    void forget() {
        for (auto& known : known_) known.made = false;
    }

  private:
    static constexpr std::string_view authority_dot = "org.fedoraproject.";
    static_assert(authority_dot.substr(0, authority_dot.size() - 1) == authority);

    struct Known {
        bool made = false;
        TopicWalk::Start start;
    };

    void make(Known& known, TopicWalk& walk, std::uint32_t root);

    std::array<Known, 1 + environments.size()> known_;  // without an environment, and with each
};

}  // namespace trilby::routing
