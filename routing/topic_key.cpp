// SPDX-License-Identifier: Apache-2.0
#include "routing/topic_key.hpp"

namespace trilby::routing {
namespace {

/// What is left of a key: some words, of which the last may be empty, or none.
struct Words {
    explicit Words(std::string_view key) : at(key.data()), end(key.data() + key.size()), none(key.empty()) {}

    std::string_view take() {
        const char* const begin = at;
        while (at != end && *at != '.') ++at;
        const std::string_view word(begin, static_cast<std::size_t>(at - begin));
        if (at == end) {
            none = true;
        } else {
            ++at;
        }
        return word;
    }

    const char* at;
    const char* end;
    bool none;
};

}  // namespace

bool has_wildcards(std::string_view pattern) {
    if (pattern.find_first_of("*#") == std::string_view::npos) return false;
    for (Words words(pattern); !words.none;) {
        const auto word = words.take();
        if (word == "*" || word == "#") return true;
    }
    return false;
}

bool topic_matches(std::string_view pattern, std::string_view key) {
    Words wanted(pattern), given(key);
    Words wanted_again(pattern), given_again(key);  // where to go on when the last `#` takes one word more
    bool seen_hash = false;
    for (;;) {
        if (!wanted.none) {
            Words wanted_next = wanted;
            const auto word = wanted_next.take();
            if (word == "#") {
                if (wanted_next.none) return true;
                wanted = wanted_again = wanted_next;
                given_again = given;
                seen_hash = true;
                continue;
            }
            if (!given.none) {
                Words given_next = given;
                const auto found = given_next.take();
                if (word == "*" || word == found) {
                    wanted = wanted_next;
                    given = given_next;
                    continue;
                }
            }
        } else if (given.none) {
            return true;
        }
        if (!seen_hash || given_again.none) return false;
        given_again.take();
        given = given_again;
        wanted = wanted_again;
    }
}

}  // namespace trilby::routing
