// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trilby::protocol {

/// With + / and padding: RFC 4648, section 4.
std::string base64(std::string_view octets);

/// Nothing: it is not what base64() writes of any octets.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace trilby::protocol
