// SPDX-License-Identifier: Apache-2.0
#include "broker/message/property_checks.hpp"

#include <doctest/doctest.h>

#include "protocol/properties.hpp"

using namespace trilby;
using namespace trilby::broker;

TEST_CASE("properties are plain when nothing in them concerns the broker") {
    CHECK(plain_properties(protocol::encode_properties({})));
    CHECK(plain_properties(
        protocol::encode_properties({.content_type = "text/plain", .delivery_mode = 2, .priority = 3})));
    CHECK(plain_properties(protocol::encode_properties(
        {.correlation_id = "c", .message_id = "m", .timestamp = 7, .type = "t", .app_id = "a"})));
}

TEST_CASE("headers, reply-to, expiration and user-id are not plain, nor is what cannot be read") {
    const std::string table = protocol::TableBuilder{}.string("a", "b").take();
    CHECK_FALSE(plain_properties(protocol::encode_properties({.headers = protocol::TableView(table)})));
    CHECK_FALSE(plain_properties(protocol::encode_properties({.reply_to = "r"})));
    CHECK_FALSE(plain_properties(protocol::encode_properties({.expiration = "1000"})));
    CHECK_FALSE(plain_properties(protocol::encode_properties({.user_id = "guest"})));
    std::string cut = protocol::encode_properties({.content_type = "text/plain", .message_id = "m"});
    for (std::size_t size = 2; size < cut.size(); ++size) CHECK_FALSE(plain_properties(cut.substr(0, size)));
    CHECK_FALSE(plain_properties(cut + "x"));
}

TEST_CASE("an expiration is a number of milliseconds from 0 to ten years") {
    for (const char* good : {"0", "1", "60000", "315360000000"})
        CHECK_FALSE(invalid_expiration(good).has_value());
    for (const char* bad : {"", "-1", "1.5", "abc", "10s", " 1", "315360000001", "99999999999999999999999"})
        CHECK(invalid_expiration(bad).has_value());
}

TEST_CASE("a header is taken out and the others keep their order") {
    const std::string table =
        protocol::TableBuilder{}.string("a", "1").string("BCC", "2").integer("c", 3).take();
    const std::string kept = without_header(protocol::TableView(table), "BCC");
    CHECK(kept == protocol::TableBuilder{}.string("a", "1").integer("c", 3).take());
    CHECK(without_header(protocol::TableView(table), "none") == table);
}
