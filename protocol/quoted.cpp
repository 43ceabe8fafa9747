// SPDX-License-Identifier: Apache-2.0
#include "protocol/quoted.hpp"

#include "protocol/utf8.hpp"

namespace trilby::protocol {

namespace {

bool is_c1_control(std::string_view utf8, std::size_t at) {
    return utf8[at] == '\xC2' && static_cast<unsigned char>(utf8[at + 1]) < 0xA0;
}

void append_escaped(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto octet = static_cast<unsigned char>(c);
    out += "\\x";
    out += digits[octet >> 4];
    out += digits[octet & 15];
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
    const bool utf8 = valid_utf8(text);
    out += '"';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (octet < 0x20 || octet == 0x7F || (octet >= 0x80 && !utf8)) {
            append_escaped(out, c);
        } else if (octet >= 0x80 && is_c1_control(text, i)) {
            append_escaped(out, c);
            append_escaped(out, text[++i]);
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace trilby::protocol
