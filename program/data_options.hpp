// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "broker/server/configuration.hpp"

namespace trilby::broker {

/// How every command is told which broker's data it works on: the same flags, and the same directory when
/// they are left out.
struct DataOptions {
    std::string config;
    std::string data_dir;

    void add_to(CLI::App& command);
    /// Throws std::runtime_error with a sentence for the operator.
    Configuration configuration() const;
};

}  // namespace trilby::broker
