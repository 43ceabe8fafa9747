// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <simdjson.h>

namespace trilby::client {

/// Colours of readable output; all empty when nobody looks at a terminal.
struct Palette {
    std::string_view name, text, number, heading, faint, plain;

    static Palette for_terminal(bool terminal);
};

/// Appends `text`, which is UTF-8, as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);

/// Appends `value` over several lines, two spaces a level on top of `indent` spaces; the first line is not
/// indented.
void append_readable_json(std::string& out, simdjson::dom::element value, std::size_t indent,
                          const Palette& palette);

/// With a ? for each character that would steer a terminal; new lines and tabs stay.
std::string printable(std::string_view text);

/// With + / and padding.
std::string base64(std::string_view bytes);

}  // namespace trilby::client
