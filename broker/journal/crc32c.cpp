// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace trilby::broker::journal {

namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected

constexpr std::array<std::uint32_t, 256> byte_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ polynomial : value >> 1;
        table[i] = value;
    }
    return table;
}();

std::uint32_t by_table(std::uint32_t crc, const unsigned char* at, std::size_t size) {
    for (; size != 0; --size, ++at) crc = crc >> 8 ^ byte_table[(crc ^ *at) & 0xFF];
    return crc;
}

#if defined(__x86_64__)

std::uint64_t word_at(const unsigned char* at) {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

/// Of a value that is followed by `lane` zero octets: what joins two chains. A linear map of the 32 bits, as
/// four tables.
constexpr std::size_t lane = 128;
constexpr std::array<std::array<std::uint32_t, 256>, 4> shift_tables = [] {
    std::array<std::uint32_t, 32> columns{};
    for (unsigned bit = 0; bit < 32; ++bit) {
        std::uint32_t value = std::uint32_t{1} << bit;
        for (std::size_t i = 0; i < lane; ++i) value = value >> 8 ^ byte_table[value & 0xFF];
        columns[bit] = value;
    }
    std::array<std::array<std::uint32_t, 256>, 4> tables{};
    for (unsigned octet = 0; octet < 4; ++octet)
        for (unsigned value = 0; value < 256; ++value)
            for (unsigned bit = 0; bit < 8; ++bit)
                if (value >> bit & 1) tables[octet][value] ^= columns[octet * 8 + bit];
    return tables;
}();

std::uint32_t shifted(std::uint64_t crc) {
    return shift_tables[0][crc & 0xFF] ^ shift_tables[1][crc >> 8 & 0xFF] ^
           shift_tables[2][crc >> 16 & 0xFF] ^ shift_tables[3][crc >> 24 & 0xFF];
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t start, const unsigned char* at,
                                                               std::size_t size) {
    std::uint64_t crc = start;
    // Three chains hide the instruction's latency.
    for (; size >= 3 * lane; at += 3 * lane, size -= 3 * lane) {
        std::uint64_t second = 0;
        std::uint64_t third = 0;
        for (std::size_t i = 0; i < lane; i += 8) {
            crc = _mm_crc32_u64(crc, word_at(at + i));
            second = _mm_crc32_u64(second, word_at(at + lane + i));
            third = _mm_crc32_u64(third, word_at(at + 2 * lane + i));
        }
        crc = shifted(shifted(crc) ^ second) ^ third;
    }
    for (; size >= 8; at += 8, size -= 8) crc = _mm_crc32_u64(crc, word_at(at));
    auto rest = static_cast<std::uint32_t>(crc);
    for (; size != 0; --size, ++at) rest = _mm_crc32_u8(rest, *at);
    return rest;
}

#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t size) {
    const auto* at = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return ~by_instruction(~seed, at, size);
#endif
    return ~by_table(~seed, at, size);
}

}  // namespace trilby::broker::journal
