// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace trilby::scarce {

/// The program's operator new, and the pages that it maps itself, fail in the broker when they are told to:
/// the allocation of that number from now on, counted from 1, and so many behind it. 0: none fails.
void fail_at(std::uint64_t number, std::uint64_t together);
/// Allocations in the broker since `fail_at`.
std::uint64_t counted();
/// Did one fail?
bool has_failed();
/// Blocks that are not freed, in the broker or out of it.
std::int64_t blocks();

}  // namespace trilby::scarce
