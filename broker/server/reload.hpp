// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "broker/server/configuration.hpp"

namespace trilby::broker {

/// Keys of the configuration whose values changed.
struct ChangedKeys {
    std::vector<std::string_view> taken;
    std::vector<std::string_view> need_restart;
};

/// Takes from `fresh` what a running broker can change: `running` has it afterwards, and keeps the rest.
ChangedKeys take_over(Configuration& running, const Configuration& fresh);

}  // namespace trilby::broker
