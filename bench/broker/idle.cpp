// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "bench/broker/connect.hpp"
#include "bench/broker/process_usage.hpp"
#include "bench/broker/run.hpp"
#include "client/channel.hpp"

namespace trilby::perf {
namespace {

/// Waits until the process has stopped growing.
std::uint64_t settled_kib(int process) {
    std::uint64_t last = 0;
    for (int round = 0; round < 50; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        const auto usage = usage_of(process);
        if (!usage || usage->resident_kib == last) break;
        last = usage->resident_kib;
    }
    return last;
}

}  // namespace

std::expected<IdleFindings, std::string> run_idle(const Scenario& scenario) {
    std::vector<std::unique_ptr<client::Connection>> connections;
    const auto open = [&](std::size_t count) -> client::Result<> {
        for (std::size_t i = 0; i < count; ++i) {
            auto connection = connect(scenario);
            if (!connection) return std::unexpected(connection.error());
            if (const auto channel = (*connection)->open_channel(); !channel)
                return std::unexpected(channel.error());
            connections.push_back(std::move(*connection));
        }
        return {};
    };
    // The first ones pay for what the broker sets up once.
    if (auto opened = open(20); !opened) return std::unexpected(text_of(opened.error()));
    IdleFindings findings{.connections = scenario.idle_connections};
    findings.before_kib = settled_kib(scenario.broker_process);
    if (auto opened = open(scenario.idle_connections); !opened)
        return std::unexpected(text_of(opened.error()));
    findings.after_kib = settled_kib(scenario.broker_process);
    return findings;
}

}  // namespace trilby::perf
