// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

// `trilby config …`: what a broker would be told. Each throws std::runtime_error with a sentence for the
// operator; an empty path: no file, every key has its default.

namespace trilby::broker {

/// Says that the file, and the definitions that it names, can be used.
void check_configuration(const std::filesystem::path& file);

/// Prints every key with its value, as TOML that is read as the same, and where each is from.
void show_configuration(const std::filesystem::path& file);

}  // namespace trilby::broker
