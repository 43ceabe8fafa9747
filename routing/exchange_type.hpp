// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "routing/table.hpp"

namespace trilby::routing {

/// By the name that clients declare with; none for a type that the broker does not have.
inline std::optional<ExchangeType> exchange_type(std::string_view name) {
    if (name == "direct") return ExchangeType::direct;
    if (name == "fanout") return ExchangeType::fanout;
    if (name == "topic") return ExchangeType::topic;
    if (name == "headers") return ExchangeType::headers;
    return std::nullopt;
}

inline std::string_view name_of(ExchangeType type) {
    switch (type) {
        case ExchangeType::direct: return "direct";
        case ExchangeType::fanout: return "fanout";
        case ExchangeType::topic: return "topic";
        case ExchangeType::headers: return "headers";
    }
    return "";
}

}  // namespace trilby::routing
