// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "bench/broker/scenario.hpp"
#include "client/connection.hpp"

namespace trilby::perf {

/// Without heartbeats: nobody would send them while a loop is busy with a load.
inline client::Result<std::unique_ptr<client::Connection>> connect(const Scenario& scenario) {
    return client::Connection::open(scenario.url,
                                    {.name = "trilby-perf", .heartbeat = std::chrono::seconds(0)});
}

inline std::string text_of(const client::Error& error) {
    return error.code == 0 ? error.text : "the broker refused: " + error.text;
}

}  // namespace trilby::perf
