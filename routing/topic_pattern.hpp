// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
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

    std::span<const Word> words() const { return many_.empty() ? std::span(few_).first(count_) : many_; }
    std::string text() const;
    /// Whether text() would be what it was made from.
    bool was_normal() const { return was_normal_; }

  private:
    static constexpr std::size_t most_words = 256;  // and more than a short string can have

    std::array<Word, most_words> few_;  // in place: a pattern is taken out without memory
    std::size_t count_ = 0;
    std::vector<Word> many_;  // all of them, if they are more
    bool was_normal_ = true;
};

}  // namespace trilby::routing
