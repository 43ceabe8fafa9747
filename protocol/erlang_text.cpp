// SPDX-License-Identifier: Apache-2.0
#include "protocol/erlang_text.hpp"

#include <algorithm>

namespace trilby::protocol {

namespace {

/// The letter after the backslash, or 0.
char escape_letter(char c) {
    switch (c) {
        case '\b': return 'b';
        case '\t': return 't';
        case '\n': return 'n';
        case '\v': return 'v';
        case '\f': return 'f';
        case '\r': return 'r';
        case '\x1B': return 'e';
        case '"': return '"';
        case '\\': return '\\';
        default: return 0;
    }
}

bool printable(char c) {
    return (c >= ' ' && c <= '~') || escape_letter(c) != 0;
}

}  // namespace

std::string erlang_binary(std::string_view bytes) {
    // Erlang prints Latin-1 letters as well, but reply texts are UTF-8 to most clients.
    if (bytes.empty() || !std::all_of(bytes.begin(), bytes.end(), printable)) return erlang_octets(bytes);
    std::string out = "<<\"";
    for (const char c : bytes) {
        const char letter = escape_letter(c);
        if (letter != 0) out += '\\';
        out += letter != 0 ? letter : c;
    }
    out += "\">>";
    return out;
}

std::string erlang_octets(std::string_view bytes) {
    std::string out = "<<";
    for (const char c : bytes) {
        if (out.size() > 2) out += ',';
        out += std::to_string(static_cast<unsigned char>(c));
    }
    out += ">>";
    return out;
}

}  // namespace trilby::protocol
