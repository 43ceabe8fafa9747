// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "broker/operations/caller.hpp"
#include "protocol/field_table.hpp"

namespace trilby::broker {

/// basic.consume: a queue that the caller may consume from, and as what. AMQP 0-9-1: 1.8.3.3.
struct Consumption {
    const QueueInfo* queue;
    std::int32_t priority = 0;
};
protocol::Outcome<Consumption> consume(const Caller& caller, std::string_view queue,
                                       protocol::TableView arguments);
/// Why its home did not let it.
Refused not_consumed(const Caller& caller, std::string_view queue, bool gone);

}  // namespace trilby::broker
