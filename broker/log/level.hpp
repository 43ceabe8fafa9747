// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace trilby::broker::log {

enum class Level : std::uint8_t { debug, info, warning, error, critical };

/// "debug"
constexpr std::string_view to_text(Level level) {
    constexpr std::string_view names[] = {"debug", "info", "warning", "error", "critical"};
    return names[static_cast<std::uint8_t>(level)];
}

}  // namespace trilby::broker::log
