// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "bench/broker/scenario.hpp"

namespace trilby::perf {

void add_options(CLI::App& app, Scenario& scenario);

/// Derives what follows from the options; a sentence when they contradict each other, else empty.
std::string complete(Scenario& scenario);

}  // namespace trilby::perf
