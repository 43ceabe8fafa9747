// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "broker/definitions/definitions.hpp"

namespace trilby::broker {

/// One line for each kind of thing in the file that is kept but not acted on: policies, parameters, arguments
/// of queues.
std::vector<std::string> unserved_definitions(const Definitions& definitions);

}  // namespace trilby::broker
