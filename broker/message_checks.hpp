// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/field_table.hpp"

namespace trilby::broker {

/// Are these properties (flags and values) well formed, and such that nothing in them concerns the broker: no
/// headers, no reply-to, no expiration, no user-id? Most messages are; the others are decoded.
bool plain_properties(std::string_view flags_and_values);

/// Delivery mode 2. For properties that decode.
bool is_persistent(std::string_view flags_and_values);

/// The text of the 406 for an expiration that is not a number of milliseconds from 0 to ten years; none if it
/// is.
std::optional<std::string> invalid_expiration(std::string_view expiration);

/// The table without that field, all else in its order.
std::string without_header(protocol::TableView headers, std::string_view name);

}  // namespace trilby::broker
