// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame.hpp"

#include <algorithm>
#include <cassert>

namespace trilby::protocol {

namespace {

constexpr std::uint16_t basic_class = 60;
constexpr std::size_t fixed_header_size = 12;  // class, weight, body size

void append_head(std::string& out, FrameType type, std::uint16_t channel, std::size_t size) {
    char head[frame_head_size];
    write_frame_head(head, {static_cast<std::uint8_t>(type), channel, static_cast<std::uint32_t>(size)});
    out.append(head, sizeof head);
}

}  // namespace

std::string_view protocol_header() {
    return {"AMQP\0\0\x09\x01", 8};
}

void append_heartbeat(std::string& out) {
    append_head(out, FrameType::heartbeat, 0, 0);
    out += frame_end;
}

void append_content_header(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                           std::string_view properties) {
    char fixed[fixed_header_size];
    store_big_endian(fixed, basic_class);
    store_big_endian(fixed + 2, std::uint16_t{0});
    store_big_endian(fixed + 4, body_size);
    append_head(out, FrameType::header, channel, sizeof fixed + properties.size());
    out.append(fixed, sizeof fixed);
    out += properties;
    out += frame_end;
}

void append_content(std::string& out, std::uint16_t channel, std::uint64_t body_size,
                    std::string_view properties, std::string_view body, std::uint32_t frame_max) {
    assert(frame_max == 0 || frame_max > frame_overhead);
    assert(body.size() <= body_size);
    append_content_header(out, channel, body_size, properties);
    const std::size_t largest = frame_max != 0 ? frame_max - frame_overhead : body.size();
    while (!body.empty()) {
        const auto piece = body.substr(0, largest);
        append_head(out, FrameType::body, channel, piece.size());
        out += piece;
        out += frame_end;
        body.remove_prefix(piece.size());
    }
}

}  // namespace trilby::protocol
