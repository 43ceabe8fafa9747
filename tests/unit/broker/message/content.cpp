// SPDX-License-Identifier: Apache-2.0
#include "broker/message/content.hpp"

#include <doctest/doctest.h>

#include "protocol/frame.hpp"
#include "protocol/properties.hpp"

using namespace trilby;
using broker::Content;
using namespace std::string_view_literals;

namespace {

std::string header(std::uint64_t body_size, std::string_view properties) {
    std::string frame;
    protocol::append_content_header(frame, 1, body_size, properties);
    return frame.substr(protocol::frame_head_size, frame.size() - protocol::frame_overhead);
}

}  // namespace

TEST_CASE("a content put together from parts is what one piece would have been") {
    const std::string properties = protocol::encode_properties({.content_type = "text/plain"});
    for (const std::size_t part : {1, 3, 10}) {
        Content content;
        CHECK_FALSE(content.expected());
        content.begin("\2ex\3key"sv, 1);
        CHECK(content.expect() == Content::Expect::header);
        content.header(header(10, properties), 10);
        CHECK(content.expect() == Content::Expect::body);
        const std::string body = "0123456789";
        for (std::size_t at = 0; at < body.size(); at += part) {
            CHECK(content.body_left() == body.size() - at);
            content.body(std::string_view(body).substr(at, part));
        }
        CHECK_FALSE(content.expected());
        const broker::Publication publication = content.publication();
        CHECK(publication.exchange() == "ex");
        CHECK(publication.routing_key() == "key");
        CHECK(publication.properties() == properties);
        CHECK(publication.body() == body);
        CHECK(content.flags() == 1);
        CHECK(publication.tail.back() == protocol::frame_end);
        CHECK(publication.tail.size() ==
              1 + publication.header_frame_size + body.size() + protocol::frame_overhead);
    }
}

TEST_CASE("a content without a body is complete with its header") {
    Content content;
    content.begin("\0\1q"sv, 0);
    content.header(header(0, "\0\0"sv), 0);
    CHECK_FALSE(content.expected());
    CHECK(content.publication().body().empty());
    CHECK(content.publication().routing_key() == "q");
    content.clear();
    content.begin("\0\1r"sv, 0);
    CHECK(content.expect() == Content::Expect::header);
}
