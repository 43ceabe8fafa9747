// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>

namespace trilby::protocol {

/// 0/0 where a close has no method to blame.
struct MethodId {
    std::uint16_t class_id = 0;
    std::uint16_t method_id = 0;

    constexpr auto operator<=>(const MethodId&) const = default;
};

}  // namespace trilby::protocol
