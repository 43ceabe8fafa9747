// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace trilby::routing {

/// Random for each process, so that no peer can choose keys that fall into one bucket. Set before main.
inline constexpr std::size_t secret_lanes = 36;
extern const std::array<std::uint64_t, secret_lanes> hash_secret;

inline std::uint64_t load_8(const char* bytes) {
    std::uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

inline std::uint64_t load_4(const char* bytes) {
    std::uint32_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

/// Both halves of the product, xored.
inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Up to 272 bytes no multiplication waits for another: each 16 bytes have secrets of their own.
inline std::uint64_t hash_bytes(std::string_view bytes) {
    const char* at = bytes.data();
    const std::size_t size = bytes.size();
    const std::uint64_t* const secret = hash_secret.data();
    std::uint64_t sum = size * 0x9E37'79B9'7F4A'7C15ULL;
    if (size > 16) {
        const char* const last = at + size - 16;
        std::size_t lane = 4;
        for (; at < last; at += 16) {
            sum += fold(load_8(at) ^ secret[lane], load_8(at + 8) ^ secret[lane + 1]);
            lane += 2;
            if (lane == secret_lanes) {
                sum = fold(sum ^ secret[0], secret[1]);
                lane = 4;
            }
        }
        sum += fold(load_8(last) ^ secret[0], load_8(last + 8) ^ secret[1]);
    } else if (size >= 8) {
        sum += fold(load_8(at) ^ secret[0], load_8(at + size - 8) ^ secret[1]);
    } else if (size >= 4) {
        sum += fold(load_4(at) ^ secret[0], load_4(at + size - 4) ^ secret[1]);
    } else if (size > 0) {
        const auto octet = [at](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(at[i])}; };
        sum += fold((octet(0) << 16 | octet(size / 2) << 8 | octet(size - 1)) ^ secret[0], secret[1]);
    }
    return fold(sum ^ secret[2], secret[3]);
}

inline std::uint64_t hash_integers(std::uint64_t a, std::uint64_t b) {
    return fold(a ^ hash_secret[0], b ^ hash_secret[1]);
}

}  // namespace trilby::routing
