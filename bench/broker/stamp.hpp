// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

namespace trilby::perf {

/// What a message carries at the start of its body so that its receiver can tell lost, doubled and disordered
/// messages. This program writes and reads it, so it is in the machine's byte order.
struct Stamp {
    std::uint32_t producer = 0;
    std::uint32_t check = 0;
    std::uint64_t sequence = 0;  ///< from 0, by one for each message of the producer

    static constexpr std::size_t size = 16;
    /// With the time (nanoseconds of the steady clock) that measuring latency needs behind it.
    static constexpr std::size_t size_with_time = 24;

    static std::uint32_t check_of(std::uint32_t producer, std::uint64_t sequence) {
        return static_cast<std::uint32_t>(
            ((sequence ^ (std::uint64_t{producer} << 40)) * 0x9E3779B97F4A7C15u) >> 32);
    }

    static void write(char* at, std::uint32_t producer, std::uint64_t sequence) {
        const Stamp stamp{producer, check_of(producer, sequence), sequence};
        std::memcpy(at, &stamp, size);
    }
    static Stamp read(const char* at) {
        Stamp stamp;
        std::memcpy(&stamp, at, size);
        return stamp;
    }
    bool intact() const { return check == check_of(producer, sequence); }

    static void write_time(char* at, std::int64_t nanoseconds) {
        std::memcpy(at + size, &nanoseconds, sizeof nanoseconds);
    }
    static std::int64_t read_time(const char* at) {
        std::int64_t nanoseconds;
        std::memcpy(&nanoseconds, at + size, sizeof nanoseconds);
        return nanoseconds;
    }
};
static_assert(sizeof(Stamp) == Stamp::size);

/// Every byte of a body behind its stamp.
inline constexpr char filler = 'x';

}  // namespace trilby::perf
