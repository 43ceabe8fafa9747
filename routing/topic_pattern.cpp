// SPDX-License-Identifier: Apache-2.0
#include "routing/topic_pattern.hpp"

namespace trilby::routing {

TopicPattern::TopicPattern(std::string_view pattern) {
    using Kind = Word::Kind;
    bool hash_waits = false;  // stars go before it, more of it are one
    bool floating = false;
    std::uint32_t before = 0;
    const auto put = [&](Kind kind, WordView view) {
        const Word word{kind, floating, before, view};
        if (count_ < most_words) {
            few_[count_++] = word;
        } else {
            if (many_.empty()) many_.assign(few_.begin(), few_.end());
            many_.push_back(word);
        }
        if (kind == Kind::hash) {
            floating = true;
        } else {
            ++before;
        }
    };
    for (WordCursor cursor(pattern); !cursor.done();) {
        const auto view = cursor.next();
        if (view.text == "#") {
            if (hash_waits) was_normal_ = false;
            hash_waits = true;
        } else if (view.text == "*") {
            if (hash_waits) was_normal_ = false;
            put(Kind::star, view);
        } else {
            if (hash_waits) put(Kind::hash, {});
            hash_waits = false;
            put(Kind::literal, view);
        }
    }
    if (hash_waits) put(Kind::hash, {});
}

std::string TopicPattern::text() const {
    std::string text;
    for (const auto& word : words()) {
        if (!text.empty() || &word != words().data()) text += '.';
        switch (word.kind) {
            case Word::Kind::star: text += '*'; break;
            case Word::Kind::hash: text += '#'; break;
            case Word::Kind::literal: text += word.view.text; break;
        }
    }
    return text;
}

}  // namespace trilby::routing
