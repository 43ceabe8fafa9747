// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace trilby::broker {

/// How much memory, in bytes, this process may take at most: the least of what the machine has and what its
/// control group (version 1 or 2) and those above it allow. `root` is where /proc and /sys are looked for. 0:
/// nothing could be found out.
std::uint64_t memory_limit(const std::filesystem::path& root = "/");

/// Octets of this process in memory; 0 if it cannot be told.
std::uint64_t resident_memory();

}  // namespace trilby::broker
