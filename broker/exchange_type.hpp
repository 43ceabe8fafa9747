// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "routing/table.hpp"

namespace trilby::broker {

/// By the name that clients declare with; none for a type that the broker does not have.
inline std::optional<routing::ExchangeType> exchange_type(std::string_view name) {
    if (name == "direct") return routing::ExchangeType::direct;
    if (name == "fanout") return routing::ExchangeType::fanout;
    if (name == "topic") return routing::ExchangeType::topic;
    if (name == "headers") return routing::ExchangeType::headers;
    return std::nullopt;
}

inline std::string_view name_of(routing::ExchangeType type) {
    switch (type) {
        case routing::ExchangeType::direct: return "direct";
        case routing::ExchangeType::fanout: return "fanout";
        case routing::ExchangeType::topic: return "topic";
        case routing::ExchangeType::headers: return "headers";
    }
    return "";
}

}  // namespace trilby::broker
