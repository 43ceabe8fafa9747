// SPDX-License-Identifier: Apache-2.0
#include "client/printable.hpp"

namespace trilby::client {
namespace {

// U+0080 to U+009F, which some terminals obey like escape sequences, begin with c2 and end below a0.
// U+2028 to U+202E (line and paragraph separators, directions) and U+2066 to U+2069 (isolates):
bool steers(std::string_view character) {
    const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
    if (character.size() == 2) return octet(0) == 0xc2 && octet(1) < 0xa0;
    if (character.size() != 3 || octet(0) != 0xe2) return false;
    return (octet(1) == 0x80 && octet(2) >= 0xa8 && octet(2) <= 0xae) ||
           (octet(1) == 0x81 && octet(2) >= 0xa6 && octet(2) <= 0xa9);
}

/// Octets of the character that begins here; 0: it is not UTF-8. Overlong forms are not looked for: no
/// terminal that takes them is left.
std::size_t length_of(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
    return length;
}

/// The first character as it may be printed, and how many octets it took.
struct First {
    std::string_view shown;
    std::size_t size;
};
First first_of(std::string_view text) {
    constexpr std::string_view hidden = "?";
    const std::size_t length = length_of(text);
    if (length == 0) return {hidden, 1};
    const std::string_view character = text.substr(0, length);
    const auto octet = static_cast<unsigned char>(character[0]);
    const bool control = length == 1 && (octet < 0x20 || octet == 0x7f) && octet != '\t';
    return {control || steers(character) ? hidden : character, length};
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto [shown, size] = first_of(text);
        out += shown;
        text.remove_prefix(size);
    }
    return out;
}

bool is_printable(std::string_view text) {
    return printable(text) == text;
}

}  // namespace trilby::client
