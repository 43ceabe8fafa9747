// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/field_table.hpp"

namespace trilby::broker {

namespace properties {
/// The flag of that property. AMQP 0-9-1, 4.2.6.1.
inline constexpr std::uint16_t delivery_mode = 1 << 12;
/// What the functions below are for all but the usual ones.
bool plain(std::string_view flags_and_values);
bool persistent(std::string_view flags_and_values);
}  // namespace properties

/// Are these properties (flags and values) well formed, and such that nothing in them concerns the broker: no
/// headers, no reply-to, no expiration, no user-id? Most messages are; the others are decoded.
inline bool plain_properties(std::string_view flags_and_values) {
    const auto flags = protocol::load_big_endian<std::uint16_t>(flags_and_values.data());
    if (flags == 0) return flags_and_values.size() == 2;
    if (flags == properties::delivery_mode) return flags_and_values.size() == 3;
    return properties::plain(flags_and_values);
}

/// Delivery mode 2. For properties that decode.
inline bool is_persistent(std::string_view flags_and_values) {
    const auto flags = protocol::load_big_endian<std::uint16_t>(flags_and_values.data());
    if (flags == properties::delivery_mode) return flags_and_values[2] == 2;
    return (flags & properties::delivery_mode) != 0 && properties::persistent(flags_and_values);
}

/// The text of the 406 for an expiration that is not a number of milliseconds from 0 to ten years; none if it
/// is.
std::optional<std::string> invalid_expiration(std::string_view expiration);

/// The table without that field, all else in its order.
std::string without_header(protocol::TableView headers, std::string_view name);

}  // namespace trilby::broker
