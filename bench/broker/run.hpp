// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>

#include "bench/broker/checker.hpp"
#include "bench/broker/histogram.hpp"
#include "bench/broker/process_usage.hpp"
#include "bench/broker/scenario.hpp"

namespace trilby::perf {

/// What a run found; everything but the faults is of the measured phase alone.
struct Findings {
    std::uint64_t published = 0, delivered = 0, confirmed = 0, returned = 0;
    double seconds = 0;
    std::chrono::nanoseconds broker_cpu{0}, own_cpu{0};
    ProcessUsage broker;  // at the end
    Histogram latency, confirm_latency;
    Faults faults;
    std::string failure;  // what ended the run early

    bool good() const { return failure.empty() && faults.none(); }
};

/// The error is why it could not begin.
std::expected<Findings, std::string> run_load(const Scenario& scenario);

struct IdleFindings {
    std::size_t connections = 0;
    std::uint64_t before_kib = 0, after_kib = 0;

    double kib_per_connection() const {
        return (static_cast<double>(after_kib) - static_cast<double>(before_kib)) /
               static_cast<double>(connections);
    }
};

/// Opens connections with a channel each and looks at how much the broker grew.
std::expected<IdleFindings, std::string> run_idle(const Scenario& scenario);

}  // namespace trilby::perf
