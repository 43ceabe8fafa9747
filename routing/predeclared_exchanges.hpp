// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

#include "routing/table.hpp"

namespace trilby::routing {

struct PredeclaredExchange {
    const char* name;
    ExchangeType type;
    bool internal = false;
};

/// Every virtual host has these from its first day; they are neither stored nor exported.
inline constexpr PredeclaredExchange predeclared_exchanges[] = {
    {"amq.direct", ExchangeType::direct}, {"amq.fanout", ExchangeType::fanout},
    {"amq.topic", ExchangeType::topic},   {"amq.headers", ExchangeType::headers},
    {"amq.match", ExchangeType::headers}, {"amq.rabbitmq.trace", ExchangeType::topic, true},
};

inline bool is_predeclared(std::string_view exchange) {
    return std::ranges::any_of(predeclared_exchanges, [&](const auto& one) { return one.name == exchange; });
}

}  // namespace trilby::routing
