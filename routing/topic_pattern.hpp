// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/topic_key.hpp"

namespace trilby::routing {

/// A binding key of a topic exchange as the trie keeps it. Patterns that match the same keys by `#` standing
/// beside `#` or `*` have one normal form: `#.#` is `#`, and `#.*` is `*.#`, so behind a `#` there is a
/// literal word or nothing.
class TopicPattern {
  public:
    struct Word {
        enum class Kind : std::uint8_t { literal, star, hash } kind;
        bool floating;               // there is a `#` before it
        std::uint32_t words_before;  // `#` not counted
        WordView view;               // of a literal
    };

    /// Points into `pattern`.
    explicit TopicPattern(std::string_view pattern);

    const std::vector<Word>& words() const { return words_; }
    std::string text() const;
    /// Whether text() would be what it was made from.
    bool was_normal() const { return was_normal_; }

  private:
    std::vector<Word> words_;
    bool was_normal_ = true;
};

}  // namespace trilby::routing
