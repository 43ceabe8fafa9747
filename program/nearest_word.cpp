// SPDX-License-Identifier: Apache-2.0
#include "program/nearest_word.hpp"

#include <algorithm>
#include <utility>

namespace trilby::client {
namespace {

/// Damerau and Levenshtein: how many letters to add, remove, replace, or swap with their neighbour.
std::size_t distance(std::string_view from, std::string_view to) {
    // Rows of the table of distances between beginnings: two letters of `from` ago, one ago, and now.
    std::vector<std::size_t> earlier(to.size() + 1), before(to.size() + 1), now(to.size() + 1);
    for (std::size_t j = 0; j <= to.size(); ++j) now[j] = j;
    for (std::size_t i = 1; i <= from.size(); ++i) {
        std::swap(earlier, before);
        std::swap(before, now);
        now[0] = i;
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const std::size_t replaced = before[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
            now[j] = std::min({replaced, before[j] + 1, now[j - 1] + 1});
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                now[j] = std::min(now[j], earlier[j - 2] + 1);
        }
    }
    return now[to.size()];
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known) {
    constexpr std::size_t longest = 64;  // what somebody pastes is no mistyped word
    if (word.size() > longest) return std::nullopt;
    std::optional<std::string> nearest;
    std::size_t least = word.size() / 3 + 1;  // letters that may be wrong
    for (const std::string& candidate : known) {
        const std::size_t wrong = distance(word, candidate);
        const bool nearer = nearest ? wrong < least : wrong <= least;
        if (!nearer || wrong >= candidate.size()) continue;
        least = wrong;
        nearest = candidate;
    }
    return nearest;
}

}  // namespace trilby::client
