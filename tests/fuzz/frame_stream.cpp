// SPDX-License-Identifier: Apache-2.0
// A byte stream taken apart into frames as a connection does it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"
#include "tests/fuzz/require.hpp"

using namespace trilby::protocol;
using trilby::fuzz::require;

namespace {

/// What was understood and written again is understood the same way. The bytes themselves may differ: nobody
/// looks at the unused bits of an octet of bits.
void read_method(std::string_view payload, std::uint16_t channel) {
    const auto method = decode_method(payload);
    if (!method) {
        const auto& [id, unknown_method, arguments] = method.error();
        require(unknown_method == (method_name(id).empty() && payload.size() >= 4));
        require(payload.ends_with(arguments));
        return;
    }
    std::string once;
    append_method(once, channel, *method);
    require(once.size() == frame_overhead + payload.size());
    const auto again = decode_method(std::string_view{once}.substr(frame_head_size, payload.size()));
    require(again.has_value() && again->index() == method->index());
    std::string twice;
    append_method(twice, channel, *again);
    require(once == twice);
    require(to_text(*method) == to_text(*again));
}

void read_header(std::string_view payload, std::uint16_t channel) {
    const auto header = decode_content_header(payload);
    if (!header) return;
    decode_properties(header->properties);
    std::string written;
    append_content_header(written, channel, header->body_size, header->properties);
    if (header->class_id == 60 && header->weight == 0) {
        require(std::string_view{written}.substr(frame_head_size, payload.size()) == payload);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::uint32_t frame_max = 131072;
    std::string_view input{reinterpret_cast<const char*>(data), size};
    if (input.starts_with(protocol_header())) input.remove_prefix(protocol_header().size());
    while (input.size() >= frame_head_size) {
        const auto head = read_frame_head(input.data());
        if (head.size > frame_max - frame_overhead || input.size() < head.size + frame_overhead) break;
        if (input[frame_head_size + head.size] != frame_end) break;
        const auto payload = input.substr(frame_head_size, head.size);
        if (head.type == static_cast<std::uint8_t>(FrameType::method)) read_method(payload, head.channel);
        if (head.type == static_cast<std::uint8_t>(FrameType::header)) read_header(payload, head.channel);
        input.remove_prefix(head.size + frame_overhead);
    }
    return 0;
}
