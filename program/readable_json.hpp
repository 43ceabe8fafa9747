// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <simdjson.h>

namespace trilby::client {

/// Colours of readable output; all empty when nobody looks at a terminal.
struct Palette {
    std::string_view name, text, number, heading, faint, plain;

    static Palette of(bool coloured);
};

/// Appends `value` over several lines, two spaces a level on top of `indent` spaces; the first line is not
/// indented. Nothing in it steers a terminal.
void append_readable_json(std::string& out, simdjson::dom::element value, std::size_t indent,
                          const Palette& palette);

}  // namespace trilby::client
