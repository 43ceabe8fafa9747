// SPDX-License-Identifier: Apache-2.0
#include "client/message_json.hpp"

#include <doctest/doctest.h>

#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

using namespace trilby;
using client::Delivery;
using client::outgoing_from_json;

namespace {

std::expected<client::Outgoing, std::string> outgoing(std::string_view line) {
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    REQUIRE(parser.parse(line.data(), line.size()).get(element) == simdjson::SUCCESS);
    return outgoing_from_json(element);
}

Delivery delivery(std::string body) {
    static const std::string headers =
        protocol::TableBuilder().string("agent", "ralph").integer("severity", 20).take();
    return {.delivery_tag = 1,
            .redelivered = false,
            .message = {.exchange = "amq.topic",
                        .routing_key = "org.example.a",
                        .properties = protocol::encode_properties(
                            {.headers = protocol::TableView(headers), .message_id = "id-1"}),
                        .body = std::move(body)}};
}

}  // namespace

TEST_CASE("a line of a message file becomes a persistent JSON message with its id and headers") {
    const auto message = outgoing(
        R"({"topic":"org.example.a","headers":{"severity":20,"user_ralph":true,"sent-at":"now"},"body":{"n":[1, 2]},"id":"x-1"})");
    REQUIRE(message);
    CHECK(message->topic == "org.example.a");
    CHECK(message->body == R"({"n":[1,2]})");
    const auto properties = protocol::decode_properties(message->properties);
    REQUIRE(properties);
    CHECK(properties->content_type == "application/json");
    CHECK(properties->content_encoding == "utf-8");
    CHECK(properties->delivery_mode == 2);
    CHECK(properties->message_id == "x-1");
    REQUIRE(properties->headers);
    CHECK(properties->headers->find("severity")->as_integer() == 20);
    CHECK(properties->headers->find("user_ralph")->as_boolean() == true);
    CHECK(properties->headers->find("sent-at")->as_string() == "now");
}

TEST_CASE("nested headers, arrays, nulls and fractions have a field table form") {
    const auto message = outgoing(R"({"topic":"t","headers":{"a":{"b":[1,"two",null]},"f":0.5},"body":1})");
    REQUIRE(message);
    const auto properties = protocol::decode_properties(message->properties);
    REQUIRE(properties);
    CHECK(protocol::valid_table(properties->headers->raw()));
    CHECK(properties->headers->find("f")->as_double() == 0.5);
    const auto inner = properties->headers->find("a")->as_table();
    REQUIRE(inner);
    const auto array = inner->find("b")->as_array();
    REQUIRE(array);
    auto item = array->begin();
    CHECK(item->as_integer() == 1);
    CHECK((++item)->as_string() == "two");
    CHECK((++item)->type == 'V');
}

TEST_CASE("a line without topic or body, or with headers that are no object, is refused and says which") {
    CHECK(outgoing(R"([1])").error().find("object") != std::string::npos);
    CHECK(outgoing(R"({"body":1})").error().find("topic") != std::string::npos);
    CHECK(outgoing(R"({"topic":1,"body":1})").error().find("topic") != std::string::npos);
    CHECK(outgoing(R"({"topic":"t"})").error().find("body") != std::string::npos);
    CHECK(outgoing(R"({"topic":"t","body":1,"headers":[1]})").error().find("headers") != std::string::npos);
    CHECK(outgoing(R"({"topic":")" + std::string(256, 'x') + R"(","body":1})").error().find("255") !=
          std::string::npos);
    CHECK(outgoing(R"({"topic":"t","body":1,"headers":{"big":18446744073709551615}})").error().find("big") !=
          std::string::npos);
}

TEST_CASE("what subscribe prints as JSON is a line that replay takes") {
    const std::string line = client::delivery_to_json(delivery(R"({ "a": "\u00e9\n" })"));
    CHECK(line.find('\n') == std::string::npos);
    const auto message = outgoing(line);
    REQUIRE(message);
    CHECK(message->topic == "org.example.a");
    CHECK(message->body == "{\"a\":\"\u00e9\\n\"}");
    const auto properties = protocol::decode_properties(message->properties);
    CHECK(properties->message_id == "id-1");
    CHECK(properties->headers->find("severity")->as_integer() == 20);
    CHECK(properties->headers->find("agent")->as_string() == "ralph");
}

TEST_CASE("a body that is no JSON stands beside it as text, or as base64 when it is no text") {
    CHECK(client::delivery_to_json(delivery("plain \"text\"")).find(R"("body_text":"plain \"text\"")") !=
          std::string::npos);
    CHECK(client::delivery_to_json(delivery(std::string("\xff\x00\x01\x02", 4)))
              .find(R"("body_base64":"/wABAg==")") != std::string::npos);
}

TEST_CASE("nothing that a publisher sends can steer the reader's terminal") {
    Delivery hostile = delivery("not json \x1b[2J\x07 \xc2\x9b 1");
    hostile.message.routing_key = "a\x1b]0;title\x07";
    for (const std::string& text : {client::delivery_to_text(hostile, client::Palette::for_terminal(false)),
                                    client::delivery_to_json(hostile)}) {
        CHECK(text.find('\x1b') == std::string::npos);
        CHECK(text.find('\x07') == std::string::npos);
        CHECK(text.find("\xc2\x9b") == std::string::npos);
    }
}

TEST_CASE("base64 pads what is left of the last three bytes") {
    CHECK(client::base64("") == "");
    CHECK(client::base64("f") == "Zg==");
    CHECK(client::base64("fo") == "Zm8=");
    CHECK(client::base64("foo") == "Zm9v");
    CHECK(client::base64("foobar") == "Zm9vYmFy");
}
