// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace trilby::client {

/// Adds `publish`, `subscribe` and `replay`. The one that is chosen runs while `app` parses, and leaves the
/// exit code: 0, 1 when something failed, 2 for a usage error. What went wrong is one sentence on standard
/// error.
void add_client_commands(CLI::App& app, int& exit_code);

}  // namespace trilby::client
