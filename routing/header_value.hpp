// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/field_table.hpp"

namespace trilby::routing {

/// A value as the headers exchange compares it: numbers by value, whatever their width, a whole float and a
/// time among them; strings of both letters by their bytes; everything else by type and bytes.
struct HeaderValue {
    char kind = 'V';  // 'V' void, 'l' a whole number, 'd' another, 'S' string, or the type's own letter
    std::int64_t number = 0;  // of 'l'; the bits of 'd'; 0 or 1 of 't'
    std::string_view bytes;   // of the rest

    explicit HeaderValue(const protocol::ValueView& value);

    bool is_void() const { return kind == 'V'; }
    std::uint64_t hash() const;
    friend bool operator==(const HeaderValue&, const HeaderValue&) = default;
};

}  // namespace trilby::routing
