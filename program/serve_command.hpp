// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/log/writer.hpp"
#include "program/command_line.hpp"

namespace trilby::broker {

/// Adds `trilby serve`, which runs the broker until a signal ends it. Its lines go to `log`, which is written
/// out before the command says why it failed.
void add_serve_command(client::CommandLine& commands, log::Writer& log);

}  // namespace trilby::broker
