// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace trilby::broker::log {

/// Of lines: for people, or an object of JSON each, for programs.
enum class Format : std::uint8_t { text, json };

/// "text"
constexpr std::string_view to_text(Format format) {
    return format == Format::json ? "json" : "text";
}

}  // namespace trilby::broker::log
