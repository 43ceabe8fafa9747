// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "broker/journal/files.hpp"

namespace trilby::broker::journal {

/// Gives a segment that is damaged or cannot be placed a name that the journal never looks at, "….seg.aside",
/// and another one if that is taken: for whoever wants to rescue something. Throws std::system_error.
void move_aside(Files& files, const std::string& name);

}  // namespace trilby::broker::journal
