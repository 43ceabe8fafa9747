// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "bench/routing_tool/workload.hpp"
#include "routing/destination.hpp"

namespace trilby::bench {

/// Times are CPU times. Counts are over all messages of the workload, once.
struct Figures {
    std::uint64_t routes = 0;
    double ns_per_route = 0;
    std::uint64_t matches = 0;          // bindings that matched
    std::uint64_t distinct_queues = 0;  // queues that were reached
    double bind_ns = 0, unbind_ns = 0;  // at the full number of bindings, which are there again afterwards
    double build_ms = 0;
    double bytes_per_binding = 0;
    double allocations_per_route = 0;
};

/// The workload through one exchange of a routing::Table, `passes` times; the median pass counts.
Figures measure(const Workload& workload, routing::ExchangeType type, unsigned passes);

}  // namespace trilby::bench
