// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

// `trilby journal …`: what stands in the journal of a data directory that no broker uses. Nothing is changed.
// Each throws std::runtime_error or std::system_error.

namespace trilby::broker {

/// Prints what recovery would say; false: something is damaged.
bool check_journal(const std::filesystem::path& data_directory);
/// Prints every living message, one JSON object a line, in the order of the log; damage on standard error.
bool dump_journal(const std::filesystem::path& data_directory);

}  // namespace trilby::broker
