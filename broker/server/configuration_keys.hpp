// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "broker/server/configuration.hpp"
#include "broker/server/configuration_value.hpp"

namespace trilby::broker {

/// Whether a changed value counts at the next reload or at the next start.
enum class Changes : bool { at_restart, while_running };

/// All that is known of a key of the configuration: there is no other list of them.
struct ConfigurationKey {
    std::string_view name;
    Changes changes;
    void (*read)(Value value, Configuration& into);
    /// As it is written in a file; empty: it has no value.
    std::string (*show)(const Configuration& configuration);
    bool (*same)(const Configuration& one, const Configuration& other);
    void (*copy)(Configuration& to, const Configuration& from);
};

/// By name.
std::span<const ConfigurationKey> all_configuration_keys();

}  // namespace trilby::broker
