// SPDX-License-Identifier: Apache-2.0
#include "protocol/frame.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "protocol/properties.hpp"

using namespace trilby::protocol;
using namespace std::literals;

namespace {

struct Frame {
    FrameHead head;
    std::string payload;
};

/// Takes a stream of whole frames apart.
std::vector<Frame> frames_of(std::string_view stream) {
    std::vector<Frame> frames;
    while (!stream.empty()) {
        REQUIRE(stream.size() >= frame_overhead);
        const auto head = read_frame_head(stream.data());
        REQUIRE(stream.size() >= frame_overhead + head.size);
        CHECK(stream[frame_head_size + head.size] == frame_end);
        frames.push_back({head, std::string{stream.substr(frame_head_size, head.size)}});
        stream.remove_prefix(frame_overhead + head.size);
    }
    return frames;
}

std::vector<std::size_t> body_sizes(std::size_t body_size, std::uint32_t frame_max) {
    std::string body(body_size, '\0');
    for (std::size_t i = 0; i < body_size; ++i) body[i] = static_cast<char>(i * 7);
    std::string out;
    append_content(out, 3, body_size, "\0\0"sv, body, frame_max);
    const auto frames = frames_of(out);
    REQUIRE(!frames.empty());
    CHECK(frames[0].head.type == 2);
    CHECK(decode_content_header(frames[0].payload)->body_size == body_size);
    std::vector<std::size_t> sizes;
    std::string joined;
    for (std::size_t i = 1; i < frames.size(); ++i) {
        CHECK(frames[i].head.type == 3);
        CHECK(frames[i].head.channel == 3);
        joined += frames[i].payload;
        sizes.push_back(frames[i].payload.size());
    }
    CHECK(joined == body);
    return sizes;
}

}  // namespace

TEST_CASE("a frame head is type, channel and size, whatever the type") {
    const auto head = read_frame_head("\x09\x01\x02\x03\x04\x05\x06");
    CHECK(head.type == 9);
    CHECK(head.channel == 0x0102);
    CHECK(head.size == 0x03040506);
    char written[frame_head_size];
    write_frame_head(written, head);
    CHECK(std::string_view{written, sizeof written} == "\x09\x01\x02\x03\x04\x05\x06");
}

TEST_CASE("a heartbeat is an empty frame on channel 0") {
    std::string out;
    append_heartbeat(out);
    CHECK(out == "\x08\x00\x00\x00\x00\x00\x00\xCE"s);
}

TEST_CASE("the protocol header is that of 0-9-1") {
    CHECK(protocol_header() == "AMQP\x00\x00\x09\x01"sv);
}

TEST_CASE("content is a header frame and the body in frames no larger than agreed") {
    using Sizes = std::vector<std::size_t>;
    CHECK(body_sizes(1, 4096) == Sizes{1});
    CHECK(body_sizes(4088, 4096) == Sizes{4088});
    CHECK(body_sizes(4089, 4096) == Sizes{4088, 1});
    CHECK(body_sizes(3 * 4088, 4096) == Sizes{4088, 4088, 4088});
    CHECK(body_sizes(200000, 0) == Sizes{200000});
}

TEST_CASE("an empty body takes no body frame") {
    CHECK(body_sizes(0, 4096).empty());
}

TEST_CASE("content looks on the wire as RabbitMQ writes it") {
    std::string out = "before";
    append_content(out, 1, 2, "\x10\x00\x02"sv, "hi", 4096);
    CHECK(out ==
          "before"
          "\x02\x00\x01\x00\x00\x00\x0F\x00\x3C\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x10\x00\x02\xCE"
          "\x03\x00\x01\x00\x00\x00\x02hi\xCE"s);
}
