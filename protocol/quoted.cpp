// SPDX-License-Identifier: Apache-2.0
#include "protocol/quoted.hpp"

#include <algorithm>
#include <array>

#include "protocol/utf8.hpp"

namespace trilby::protocol {

namespace {

struct Range {
    char32_t first, last;
};

/// Beyond ASCII: what is not seen, or turns what is read around. Sorted.
constexpr std::array hidden{
    Range{0x80, 0x9F},        // controls
    Range{0xAD, 0xAD},        // soft hyphen
    Range{0x34F, 0x34F},      // grapheme joiner
    Range{0x61C, 0x61C},      // Arabic letter mark
    Range{0x115F, 0x1160},    // Hangul fillers
    Range{0x17B4, 0x17B5},    // Khmer vowels without a shape
    Range{0x180B, 0x180F},    // Mongolian selectors
    Range{0x200B, 0x200F},    // zero width, marks of direction
    Range{0x2028, 0x202E},    // line and paragraph separators, embeddings and overrides
    Range{0x2060, 0x206F},    // word joiner, isolates
    Range{0x3164, 0x3164},    // Hangul filler
    Range{0xFE00, 0xFE0F},    // variation selectors
    Range{0xFEFF, 0xFEFF},    // byte order mark
    Range{0xFFA0, 0xFFA0},    // Hangul filler
    Range{0xFFF0, 0xFFFB},    // annotations
    Range{0xE0000, 0xE0FFF},  // tags
};

constexpr std::size_t size_after(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/// Octets of the character that `text` begins with; 0 where that is not UTF-8.
std::size_t character_size(std::string_view text) {
    const std::size_t size = size_after(static_cast<unsigned char>(text.front()));
    return size <= text.size() && valid_utf8(text.substr(0, size)) ? size : 0;
}

char32_t code_point(std::string_view character) {
    char32_t point = static_cast<unsigned char>(character[0]);
    if (character.size() > 1) point &= 0xFFu >> (character.size() + 1);
    for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3Fu);
    return point;
}

bool shown(std::string_view character) {
    const char32_t point = code_point(character);
    if (point < 0x80) return point >= 0x20 && point != 0x7F;
    const auto* const after =
        std::upper_bound(hidden.begin(), hidden.end(), point,
                         [](char32_t value, const Range& range) { return value < range.first; });
    return after == hidden.begin() || std::prev(after)->last < point;
}

void append_escaped(std::string& out, std::string_view octets) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (const char c : octets) {
        const auto octet = static_cast<unsigned char>(c);
        out += "\\x";
        out += digits[octet >> 4];
        out += digits[octet & 15];
    }
}

/// `quote` 0: none, and backslashes stay.
void append(std::string& out, std::string_view text, char quote) {
    while (!text.empty()) {
        const std::size_t size = character_size(text);
        const std::string_view character = text.substr(0, std::max<std::size_t>(size, 1));
        if (size == 0 || !shown(character)) {
            append_escaped(out, character);
        } else {
            if (quote != 0 && (character.front() == quote || character.front() == '\\')) out += '\\';
            out += character;
        }
        text.remove_prefix(character.size());
    }
}

/// At most `most` octets of it, and no part of a character at the end.
std::string_view cut(std::string_view text, std::size_t most) {
    std::size_t end = most;
    const auto continues = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    while (end > 0 && most - end < 4 && continues(end)) --end;
    return text.substr(0, continues(end) ? most : end);
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    append(out, text, '"');
    out += '"';
}

std::string quoted(std::string_view text, std::size_t most) {
    const bool whole = text.size() <= most;
    std::string out = "'";
    append(out, whole ? text : cut(text, most), '\'');
    if (!whole) out += "…";
    out += '\'';
    if (!whole) out += " (" + std::to_string(text.size()) + " octets)";
    return out;
}

void append_printable(std::string& out, std::string_view text) {
    append(out, text, 0);
}

std::string printable(std::string_view text) {
    std::string out;
    append_printable(out, text);
    return out;
}

}  // namespace trilby::protocol
