// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

#include "routing/table.hpp"

namespace trilby::broker {

struct PredeclaredExchange {
    const char* name;
    routing::ExchangeType type;
    bool internal = false;
};

/// Every virtual host has these from its first day; they are neither stored nor exported.
inline constexpr PredeclaredExchange predeclared_exchanges[] = {
    {"amq.direct", routing::ExchangeType::direct}, {"amq.fanout", routing::ExchangeType::fanout},
    {"amq.topic", routing::ExchangeType::topic},   {"amq.headers", routing::ExchangeType::headers},
    {"amq.match", routing::ExchangeType::headers}, {"amq.rabbitmq.trace", routing::ExchangeType::topic, true},
};

inline bool is_predeclared(std::string_view exchange) {
    return std::ranges::any_of(predeclared_exchanges, [&](const auto& one) { return one.name == exchange; });
}

}  // namespace trilby::broker
