// SPDX-License-Identifier: Apache-2.0
#include "program/message_text.hpp"

#include <vector>

#include <doctest/doctest.h>

#include "client/printable.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

using namespace trilby;
using client::Delivery;
using client::Palette;

namespace {

const std::string forged =
    "\n\norg.example.forged\n  id: "
    "forged\n\033[1morg.example.bold\033[0m\r\norg.example.cr\xe2\x80\xa8separated";

/// A message that tries to look like several, with every field that is printed.
Delivery hostile(std::string body) {
    const std::string headers = protocol::TableBuilder().string("agent" + forged, "ralph" + forged).take();
    return {.delivery_tag = 1,
            .redelivered = true,
            .message = {.exchange = "amq.topic",
                        .routing_key = "org.example.true" + forged,
                        .properties = protocol::encode_properties(
                            {.headers = protocol::TableView(headers), .message_id = "id-1" + forged}),
                        .body = std::move(body)}};
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    return lines;
}

}  // namespace

TEST_CASE("whatever a message holds, only its topic stands at the start of a line") {
    for (const std::string& body : {forged, "\"" + std::string("x\\n\\norg.example.forged") + "\"",
                                    std::string("{\"a\\nb\":\"c\\nd\"}"), "\xff" + forged,
                                    std::string(200, ' ') + "org.example.forged", std::string("a\n\n\nb")}) {
        const auto lines = lines_of(client::delivery_to_text(hostile(body), Palette::of(false), 80));
        REQUIRE(lines.size() >= 3);
        CHECK(lines.front().starts_with("org.example.true"));
        CHECK(lines.back().empty());
        for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
            CAPTURE(lines[i]);
            CHECK(lines[i].starts_with("  "));
            CHECK(lines[i].size() <= 80);
        }
    }
}

TEST_CASE("a line of the body cannot be taken for a header") {
    const auto lines =
        lines_of(client::delivery_to_text({.message = {.routing_key = "t",
                                                       .properties = protocol::encode_properties({}),
                                                       .body = "a\n  id: 1"}},
                                          Palette::of(false), 0));
    CHECK(lines == std::vector<std::string>{"t", "  | a", "  |   id: 1", ""});
}

TEST_CASE("nothing that a publisher sends can steer the reader's terminal") {
    for (const std::string& body :
         {std::string("not json \x1b[2J\x07 \xc2\x9b 1"), std::string("{\"a\":\"\xc2\x9b\x7f\"}")}) {
        const std::string text = client::delivery_to_text(hostile(body), Palette::of(false), 0);
        for (const std::string_view steering : {"\x1b", "\x07", "\r", "\x7f", "\xc2\x9b", "\xe2\x80\xa8"})
            CHECK(text.find(steering) == std::string::npos);
    }
    CHECK(client::printable("a\tb\xc3\xa9\xf0\x9f\x8e\xa9") == "a\tb\xc3\xa9\xf0\x9f\x8e\xa9");
    CHECK(client::printable("\xe2\x80\xae\xff\xc3") == "???");
}

TEST_CASE("colours are there when they are wanted, and take no room") {
    const Delivery message{
        .message = {.routing_key = "t", .properties = protocol::encode_properties({}), .body = R"({"a":1})"}};
    CHECK(client::delivery_to_text(message, Palette::of(false), 0).find('\x1b') == std::string::npos);
    const std::string coloured = client::delivery_to_text(message, Palette::of(true), 20);
    CHECK(coloured.find('\x1b') != std::string::npos);
    CHECK(lines_of(coloured).size() == 5);
}
