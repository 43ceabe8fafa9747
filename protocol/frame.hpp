// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/byte_order.hpp"

namespace trilby::protocol {

// A frame is type(1) channel(2) size(4) payload(size) end(1) (2.3).

enum class FrameType : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };

inline constexpr std::size_t frame_head_size = 7;
inline constexpr std::size_t frame_overhead = 8;  ///< head and end
inline constexpr char frame_end = static_cast<char>(0xCE);
inline constexpr std::uint32_t frame_min_size = 4096;  ///< no peer may negotiate less

/// As received: any octet can stand where the type belongs.
struct FrameHead {
    std::uint8_t type = 0;
    std::uint16_t channel = 0;
    std::uint32_t size = 0;  ///< of the payload
};

inline FrameHead read_frame_head(const char* seven_bytes) {
    return {static_cast<std::uint8_t>(seven_bytes[0]), load_big_endian<std::uint16_t>(seven_bytes + 1),
            load_big_endian<std::uint32_t>(seven_bytes + 3)};
}

inline void write_frame_head(char* seven_bytes, FrameHead head) {
    seven_bytes[0] = static_cast<char>(head.type);
    store_big_endian(seven_bytes + 1, head.channel);
    store_big_endian(seven_bytes + 3, head.size);
}

/// The eight bytes a client says first, and a server's answer to any others.
std::string_view protocol_header();

void append_heartbeat(std::string& out);

/// Header frame of class basic. `properties` are flags and values as in a received content header.
void append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                           std::string_view properties);

/// Header frame, then `body` cut into body frames of at most `frame_max` bytes with their overhead (0: no
/// limit). An empty body takes no body frame. `body` may be the first part of `body_size` bytes.
void append_content(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                    std::string_view properties, std::string_view body, std::uint32_t frame_max);

}  // namespace trilby::protocol
