// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "bench/broker/pattern.hpp"
#include "bench/broker/scenario.hpp"

namespace trilby::perf {

struct Binding {
    std::size_t queue = 0;
    std::string key;        // a pattern where the exchange is a topic exchange
    std::string arguments;  // raw field table
};

/// What a publish says, and where it should go.
struct Address {
    std::string key;
    std::string headers;  // raw field table
    std::vector<bool> queues;
};

/// The exchange, its queues and bindings, and what each producer publishes in turn.
struct Topology {
    std::string exchange;
    bool own_exchange = false;
    std::vector<std::string> queues;
    std::vector<Binding> bindings;
    std::vector<std::vector<Address>> addresses;  // of each producer; message n goes to address n % size

    static std::expected<Topology, std::string> of(const Scenario& scenario);

    std::vector<Pattern> patterns() const;  // [producer * queues + queue]
};

/// Whether a topic exchange would match: * is one word, # any number of them.
bool topic_matches(std::string_view pattern, std::string_view key);

}  // namespace trilby::perf
