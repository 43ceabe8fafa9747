// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "protocol/field_table.hpp"
#include "routing/table.hpp"

namespace trilby::routing::testing {

inline Destination to_queue(QueueIndex index) {
    return {Destination::Kind::queue, index};
}
inline Destination to_exchange(ExchangeIndex index) {
    return {Destination::Kind::exchange, index};
}

/// Sorted, repetitions kept: a queue that stood twice in the result would be seen.
inline std::vector<QueueIndex> sorted(std::span<const QueueIndex> queues) {
    std::vector<QueueIndex> all(queues.begin(), queues.end());
    std::ranges::sort(all);
    return all;
}

inline std::vector<QueueIndex> routes(Table& table, ExchangeIndex exchange, std::string_view key,
                                      std::string_view headers = {}) {
    return sorted(table.route(exchange, key, headers));
}

using Queues = std::vector<QueueIndex>;

}  // namespace trilby::routing::testing
