// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program/command_line.hpp"

namespace trilby::client {

/// Adds `publish`, `subscribe` and `replay`.
void add_client_commands(CommandLine& commands);

}  // namespace trilby::client
