// SPDX-License-Identifier: Apache-2.0
#include "client/message_json.hpp"

#include <doctest/doctest.h>

#include "client/message.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"
#include "tests/unit/protocol/random_values.hpp"

using namespace trilby;
using client::Message;
using client::outgoing_from_json;
using protocol::Properties;

namespace {

std::expected<client::Outgoing, std::string> outgoing(std::string_view line) {
    simdjson::dom::parser parser;
    simdjson::dom::element element;
    REQUIRE(parser.parse(line.data(), line.size()).get(element) == simdjson::SUCCESS);
    return outgoing_from_json(element);
}

std::string to_json(const Message& message) {
    return client::message_to_json({message.exchange, message.routing_key, message.properties, message.body},
                                   {});
}

Message there_and_back(const Message& message) {
    const std::string line = to_json(message);
    CAPTURE(line);
    CHECK(line.find_first_of("\n\r\x1b\x7f") == std::string::npos);
    const auto read = outgoing(line);
    REQUIRE_MESSAGE(read, read.error());
    return {read->exchange.value_or("?"), read->topic, read->properties, read->body};
}

Message with_body(std::string body) {
    return {.exchange = "amq.topic",
            .routing_key = "org.example.a",
            .properties = protocol::encode_properties({}),
            .body = std::move(body)};
}

/// A message of which anything may be there or not, and hold anything.
Message random_message(protocol::test::RandomValues& random) {
    Properties properties;
    const auto maybe = [&](auto& property) {
        if (random.one_in(3)) return;
        using Value = typename std::remove_reference_t<decltype(property)>::value_type;
        Value value{};
        random.fill(value);
        property = value;
    };
    std::apply([&](const auto&... field) { (maybe(properties.*field.member), ...); }, Properties::fields);
    constexpr std::string_view bodies[] = {"",
                                           "null",
                                           "{}",
                                           R"({"a":[1,-0.0,1e400,"\u00e9"]})",
                                           R"({ "spaced" : 1 })",
                                           R"({"twice":1,"twice":2})",
                                           "18446744073709551616",
                                           "1.0",
                                           "\"\\/\"",
                                           "two\nlines",
                                           "\xef\xbf\xbf \xf4\x8f\xbf\x80",
                                           "\xef\xbb\xbf{}"};
    return {
        .exchange = std::string(random.bytes(255)),
        .routing_key = std::string(random.bytes(255)),
        .properties = protocol::encode_properties(properties),
        .body = std::string(random.one_in(2) ? random.bytes(300) : bodies[random.below(std::size(bodies))])};
}

}  // namespace

TEST_CASE("every message comes back from its line octet for octet") {
    for (const auto seed : protocol::test::seeds) {
        protocol::test::RandomValues random(seed);
        for (int i = 0; i < 400; ++i) {
            const Message message = random_message(random);
            CHECK((there_and_back(message) == message));
        }
    }
}

TEST_CASE("each kind of body stands where it can be read") {
    CHECK(to_json(with_body(R"({"n":[1,2]})")).find(R"("body":{"n":[1,2]})") != std::string::npos);
    CHECK(to_json(with_body(R"({ "n": 1 })")).find(R"("body":{"n":1},"body_text":"{ \"n\": 1 }")") !=
          std::string::npos);
    CHECK(to_json(with_body("plain \"text\"")).find(R"("body_text":"plain \"text\"")") != std::string::npos);
    CHECK(to_json(with_body(std::string("\xff\x00\x01\x02", 4))).find(R"("body_base64":"/wABAg==")") !=
          std::string::npos);
}

TEST_CASE("a body nested as deep as a parser reads comes back too") {
    const std::string deep = std::string(1000, '[') + std::string(1000, ']');
    CHECK(there_and_back(with_body(deep)).body == deep);
}

TEST_CASE("what is not there is not put there") {
    const Message bare{
        .exchange = "", .routing_key = "", .properties = protocol::encode_properties({}), .body = ""};
    CHECK((there_and_back(bare) == bare));
}

TEST_CASE("properties that cannot be read travel as they are") {
    Message odd = with_body("x");
    odd.properties = std::string("\x80\x01\x05", 3);  // another word of flags, and no text where one is due
    CHECK((there_and_back(odd) == odd));
}

TEST_CASE("a line written by hand becomes a persistent JSON message with its id and headers") {
    const auto message = outgoing(
        R"({"topic":"org.example.a","headers":{"severity":20,"user_ralph":true,"sent-at":"now"},"body":{"n":[1, 2]},"id":"x-1"})");
    REQUIRE(message);
    CHECK(message->topic == "org.example.a");
    CHECK_FALSE(message->exchange);
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
    const auto message =
        outgoing(R"({"topic":"t","headers":{"a":{"b":[1,"two",null]},"f":0.5},"body":null})");
    REQUIRE(message);
    CHECK(message->body == "null");
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

TEST_CASE("a line that says something impossible is refused and told which") {
    const auto why = [](std::string_view line) { return outgoing(line).error(); };
    CHECK(why(R"([1])").find("object") != std::string::npos);
    CHECK(why(R"({"body":1})").find("topic") != std::string::npos);
    CHECK(why(R"({"topic":1,"body":1})").find("topic") != std::string::npos);
    CHECK(why(R"({"topic":"t"})").find("body") != std::string::npos);
    CHECK(why(R"({"topic":"t","body_base64":"/wABAg"})").find("base64") != std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"headers":[1]})").find("headers") != std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"headers":{"a":"x"},"header_types":{"a":"I"}})").find("\"a\"") !=
          std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"headers":{"big":18446744073709551615}})").find("big") !=
          std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"priority":256})").find("priority") != std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"timestamp":-1})").find("timestamp") != std::string::npos);
    CHECK(why(R"({"topic":"t","body":1,"queues":["q"]})").find("queue") != std::string::npos);
    CHECK(why(R"({"topic":")" + std::string(256, 'x') + R"(","body":1})").find("255") != std::string::npos);
}

TEST_CASE("where a message was is said, and read back") {
    const Message message = with_body("{}");
    const std::string line = client::message_to_json(
        {message.exchange, message.routing_key, message.properties, message.body},
        {.redelivered = true, .virtual_host = "/", .held_by = {{"one", 0}, {"two", 3}}});
    CHECK(line.find(R"("redelivered":true)") != std::string::npos);
    CHECK(line.find(R"({"queue":"two","deliveries":3})") != std::string::npos);
    const auto read = outgoing(line);
    REQUIRE(read);
    CHECK(read->virtual_host == "/");
    CHECK(read->queues == std::vector<std::string>{"one", "two"});
}
