// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "broker/server/configuration.hpp"

// `trilby definitions …`: what is stored in a data directory that no broker uses. Each throws
// std::runtime_error with a sentence for the operator.

namespace trilby::broker {

/// Writes RabbitMQ's definitions export; "-" is standard output.
void export_definitions(const Configuration& configuration, const std::filesystem::path& file);
/// Adds what RabbitMQ's export holds, checked as at the broker's start, and prints what that did; "-" is
/// standard input. Into one virtual host, which is made if need be, unless `vhost` is empty.
void import_definitions(const Configuration& configuration, const std::filesystem::path& file,
                        const std::string& vhost);

}  // namespace trilby::broker
