// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace trilby::broker::journal {

/// CRC-32C (Castagnoli) of `size` octets, going on from `seed`, the value of what came before.
std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size);

}  // namespace trilby::broker::journal
