// SPDX-License-Identifier: Apache-2.0
#include "json/text.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

#include "protocol/utf8.hpp"

namespace trilby::json {
namespace {

constexpr std::size_t private_size = 4;

/// The octet that a character stands for; 0: for itself.
unsigned char octet_of(std::string_view character) {
    if (character.size() != private_size || !character.starts_with("\xF4\x8F")) return 0;
    const auto third = static_cast<unsigned char>(character[2]);
    const auto fourth = static_cast<unsigned char>(character[3]);
    if (third < 0xBE) return 0;  // U+10FF80 is F4 8F BE 80
    return static_cast<unsigned char>((third == 0xBE ? 0x80 : 0xC0) | (fourth & 0x3F));
}

std::size_t size_after(char lead) {
    const auto octet = static_cast<unsigned char>(lead);
    return octet < 0x80 ? 1 : octet < 0xE0 ? 2 : octet < 0xF0 ? 3 : 4;
}

/// The first character of a text that is not empty; empty: its first octet is not UTF-8.
std::string_view first_character(std::string_view text) {
    const auto character = text.substr(0, size_after(text.front()));
    return protocol::valid_utf8(character) ? character : std::string_view{};
}

void append_octet(std::string& out, char c) {
    fmt::format_to(std::back_inserter(out), "\\udbff\\udf{:02x}", static_cast<unsigned char>(c));
}

void append_ascii(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    else
        out += c;
}

}  // namespace

void append_string(std::string& out, std::string_view octets) {
    out += '"';
    while (!octets.empty()) {
        auto character = first_character(octets);
        if (character.empty() || octet_of(character) != 0) {
            append_octet(out, octets.front());
            character = octets.substr(0, 1);  // what follows the first octet of a private one is not UTF-8
        } else if (character.size() == 1) {
            append_ascii(out, character.front());
        } else if (character >= "\xC2\x80" && character < "\xC2\xA0") {  // controls as well, from U+0080
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(character[1]));
        } else {
            out += character;
        }
        octets.remove_prefix(character.size());
    }
    out += '"';
}

std::string octets_of(std::string_view text) {
    std::string octets;
    octets.reserve(text.size());
    while (!text.empty()) {
        const auto character = text.substr(0, size_after(text.front()));
        if (const auto octet = octet_of(character); octet != 0)
            octets += static_cast<char>(octet);
        else
            octets += character;
        text.remove_prefix(character.size());
    }
    return octets;
}

}  // namespace trilby::json
