// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace trilby::perf {

/// What a process has used so far.
struct ProcessUsage {
    std::chrono::nanoseconds cpu{
        0};  ///< user and system, of its living threads where the kernel counts exactly
    std::uint64_t resident_kib = 0, peak_resident_kib = 0;
};

/// nullopt: there is no such process.
std::optional<ProcessUsage> usage_of(pid_t process);

std::chrono::nanoseconds own_cpu();

}  // namespace trilby::perf
