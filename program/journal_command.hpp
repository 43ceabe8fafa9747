// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

// `trilby journal …`: what stands in the journal of a data directory that no broker uses. Nothing is changed.
// Each throws std::runtime_error or std::system_error.

namespace trilby::broker {

/// Prints what recovery would say; false: something is damaged.
bool check_journal(const std::filesystem::path& data_directory);
/// Prints every living message, of one virtual host or of all, as a line of JSON (client/message_json.hpp) in
/// the order of the queues; damage on standard error.
bool dump_journal(const std::filesystem::path& data_directory, const std::optional<std::string>& vhost);

}  // namespace trilby::broker
