// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/broker/run.hpp"
#include "bench/broker/scenario.hpp"

namespace trilby::perf {

/// One line of JSON, or a table for a reader when the scenario asks for that.
std::string report(const Scenario& scenario, const Findings& findings);
std::string report(const Scenario& scenario, const IdleFindings& findings);

}  // namespace trilby::perf
