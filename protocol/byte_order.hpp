// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstring>

namespace trilby::protocol {

/// Reads a number in network byte order; `from` has sizeof(T) readable bytes at any alignment.
template <std::unsigned_integral T>
T load_big_endian(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    return value;
}

/// Writes a number in network byte order; `to` has room for sizeof(T) bytes at any alignment.
template <std::unsigned_integral T>
void store_big_endian(char* to, T value) {
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace trilby::protocol
