// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/frame.hpp"

namespace trilby::perf {

/// Calls `on_frame(head, payload)` for each whole frame, at most `most` of them, where it lies; returns how
/// many bytes they took. Nothing more is looked at after a frame without its end: `on_frame` is told by a
/// head of type 0.
template <std::size_t most = std::numeric_limits<std::size_t>::max(), class OnFrame>
std::size_t walk_frames(std::string_view bytes, OnFrame on_frame) {
    std::size_t at = 0;
    for (std::size_t count = 0; count < most && bytes.size() - at >= protocol::frame_overhead; ++count) {
        const auto head = protocol::read_frame_head(bytes.data() + at);
        const std::size_t whole = head.size + protocol::frame_overhead;
        if (bytes.size() - at < whole) break;
        if (bytes[at + whole - 1] != protocol::frame_end) {
            on_frame(protocol::FrameHead{}, std::string_view{});
            return bytes.size();
        }
        on_frame(head, bytes.substr(at + protocol::frame_head_size, head.size));
        at += whole;
    }
    return at;
}

/// Class and method of a method frame's payload in one number, to compare with method_code<M>.
inline std::uint32_t method_code_of(std::string_view payload) {
    return payload.size() < 4 ? 0 : protocol::load_big_endian<std::uint32_t>(payload.data());
}
template <class M>
inline constexpr std::uint32_t method_code = std::uint32_t{M::id.class_id} << 16 | M::id.method_id;

}  // namespace trilby::perf
