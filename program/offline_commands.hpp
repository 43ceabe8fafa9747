// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program/command_line.hpp"

namespace trilby::broker {

/// Adds `trilby definitions …` and `trilby journal …`: what a stopped broker has stored; and `trilby config
/// …`.
void add_definitions_commands(client::CommandLine& commands);
void add_config_commands(client::CommandLine& commands);
void add_journal_commands(client::CommandLine& commands);

}  // namespace trilby::broker
