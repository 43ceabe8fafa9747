// SPDX-License-Identifier: Apache-2.0
#include "protocol/properties.hpp"

#include <string>
#include <string_view>
#include <tuple>

#include <doctest/doctest.h>

#include "protocol/bytes.hpp"
#include "tests/unit/protocol/random_values.hpp"

using namespace trilby::protocol;
using namespace std::literals;

namespace {

bool same(const std::optional<TableView>& a, const std::optional<TableView>& b) {
    return a.has_value() == b.has_value() && (!a || a->raw() == b->raw());
}
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
    return a == b;
}

bool same_properties(const Properties& a, const Properties& b) {
    return std::apply([&](const auto&... field) { return (same(a.*field.member, b.*field.member) && ...); },
                      Properties::fields);
}

template <class Choose>
Properties random_properties(test::RandomValues& random, Choose choose) {
    Properties properties;
    int place = 0;
    const auto fill = [&](auto& property) {
        if (choose(place++)) random.fill(property.emplace());
    };
    std::apply([&](const auto&... field) { (fill(properties.*field.member), ...); }, Properties::fields);
    return properties;
}

}  // namespace

TEST_CASE("any choice of properties comes back as it was") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        test::RandomValues random{seed};
        for (int round = 0; round < 200; ++round) {
            const auto sent = random_properties(random, [&](int) { return random.one_in(2); });
            const auto bytes = encode_properties(sent);
            const auto received = decode_properties(bytes);
            REQUIRE(received);
            CHECK(same_properties(sent, *received));
        }
    }
}

TEST_CASE("each of the fourteen properties has its own flag, from bit 15 down") {
    test::RandomValues random{1};
    CHECK(std::tuple_size_v<decltype(Properties::fields)> == 14);
    for (int chosen = 0; chosen < 14; ++chosen) {
        CAPTURE(chosen);
        const auto sent = random_properties(random, [&](int place) { return place == chosen; });
        const auto bytes = encode_properties(sent);
        CHECK(load_big_endian<std::uint16_t>(bytes.data()) == 0x8000u >> chosen);
        const auto received = decode_properties(bytes);
        REQUIRE(received);
        CHECK(same_properties(sent, *received));
    }
}

TEST_CASE("properties look on the wire as RabbitMQ's clients write them") {
    const auto headers = TableBuilder{}.boolean("b", true).take();
    const Properties properties{.content_type = "text/plain",
                                .headers = TableView{headers},
                                .delivery_mode = 2,
                                .message_id = "m",
                                .timestamp = 1};
    CHECK(encode_properties(properties) ==
          "\xB0\xC0"
          "\x0A"
          "text/plain"
          "\x00\x00\x00\x04\x01"
          "bt\x01"
          "\x02"
          "\x01m"
          "\x00\x00\x00\x00\x00\x00\x00\x01"s);
    CHECK(encode_properties({}) == "\0\0"s);
}

TEST_CASE("a property can be present and empty") {
    const auto bytes = encode_properties({.content_type = "", .headers = TableView{}});
    const auto received = decode_properties(bytes);
    REQUIRE(received);
    CHECK(received->content_type == "");
    CHECK(received->headers.has_value());
    CHECK(!received->content_encoding);
}

TEST_CASE("properties cut short at any byte, or followed by another, are malformed") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        test::RandomValues random{seed};
        const auto bytes = encode_properties(random_properties(random, [&](int) { return true; }));
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            std::string cut = bytes.substr(0, size);
            cut.shrink_to_fit();
            CHECK(!decode_properties(cut));
        }
        CHECK(!decode_properties(bytes + "x"));
    }
}

TEST_CASE("a flag that belongs to no property, the continuation flag among them, is malformed") {
    CHECK(decode_properties("\x10\x00\x02"sv));
    CHECK(!decode_properties("\x10\x01\x00\x00\x02"sv));
    CHECK(!decode_properties("\x10\x01\x02"sv));
    CHECK(!decode_properties("\x10\x02\x02"sv));
}

TEST_CASE("headers that cannot be read to their end make the properties malformed") {
    CHECK(
        decode_properties("\x20\x00\x00\x00\x00\x04\x01"
                          "at\x01"sv));
    CHECK(
        !decode_properties("\x20\x00\x00\x00\x00\x04\x01"
                           "aU\x01"sv));
    CHECK(
        !decode_properties("\x20\x00\x00\x00\x00\x03\x01"
                           "at"sv));
}

TEST_CASE("a content header is class, weight, body size and properties") {
    const auto payload = "\x00\x3C\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x10\x00\x02"s;
    const auto header = decode_content_header(payload);
    REQUIRE(header);
    CHECK(header->class_id == 60);
    CHECK(header->weight == 0);
    CHECK(header->body_size == 0x100000002);
    CHECK(header->properties == "\x10\x00\x02"sv);
    for (std::size_t size = 0; size < 14; ++size) CHECK(!decode_content_header(payload.substr(0, size)));
    CHECK(decode_content_header(payload.substr(0, 14)));
}
