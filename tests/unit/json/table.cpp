// SPDX-License-Identifier: Apache-2.0
#include "json/table.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "../protocol/random_values.hpp"

using namespace trilby;
using protocol::TableBuilder;
using protocol::TableView;

namespace {

std::string values_of(std::string_view raw) {
    std::string values;
    json::append_table(values, TableView(raw));
    return values;
}

std::expected<std::string, std::string> read(const std::string& values, const std::string& types = "") {
    simdjson::dom::parser parser, of_types;
    simdjson::dom::object object;
    REQUIRE(parser.parse(values).get_object().get(object) == simdjson::SUCCESS);
    if (types.empty()) return json::to_table(object);
    simdjson::dom::element element;
    REQUIRE(of_types.parse(types).get(element) == simdjson::SUCCESS);
    return json::to_table(object, element);
}

/// Why it could not be read.
std::string reason(const std::expected<std::string, std::string>& read) {
    return read ? "read" : read.error();
}

/// A table with one field of that type and payload.
std::string one(char type, std::string_view payload) {
    return TableBuilder().value("a", {type, payload}).take();
}

void comes_back(std::string_view raw, std::string_view values, std::string_view types) {
    CAPTURE(protocol::to_text(TableView(raw)));
    CHECK(values_of(raw) == values);
    CHECK(json::types_of(TableView(raw)) == types);
    const auto back = read(values_of(raw), json::types_of(TableView(raw)));
    CHECK_MESSAGE(back.has_value(), reason(back));
    if (back) CHECK(*back == raw);
}

}  // namespace

TEST_CASE("what JSON has a type for needs no second object") {
    const std::string inner = TableBuilder().boolean("deep", false).take();
    comes_back("", "{}", "");
    comes_back(TableBuilder()
                   .integer("n", -5)
                   .double_("d", 1.0)
                   .string("s", "é")
                   .boolean("t", true)
                   .void_("v")
                   .table("f", TableView(inner))
                   .array("a", protocol::ArrayBuilder().integer(1).string("x").take())
                   .take(),
               R"({"n":-5,"d":1.0,"s":"é","t":true,"v":null,"f":{"deep":false},"a":[1,"x"]})", "");
}

TEST_CASE("every other type is named beside its value") {
    using namespace std::string_view_literals;
    comes_back(one('b', "\x80"), R"({"a":-128})", R"({"a":"b"})");
    comes_back(one('B', "\xff"), R"({"a":255})", R"({"a":"B"})");
    comes_back(one('s', "\x80\x00"sv), R"({"a":-32768})", R"({"a":"s"})");
    comes_back(one('u', "\xff\xff"), R"({"a":65535})", R"({"a":"u"})");
    comes_back(one('I', "\xff\xff\xff\xff"), R"({"a":-1})", R"({"a":"I"})");
    comes_back(one('i', "\xff\xff\xff\xff"), R"({"a":4294967295})", R"({"a":"i"})");
    comes_back(one('L', "\x80\0\0\0\0\0\0\0"sv), R"({"a":-9223372036854775808})", R"({"a":"L"})");
    comes_back(one('T', "\xff\xff\xff\xff\xff\xff\xff\xff"), R"({"a":18446744073709551615})", R"({"a":"T"})");
    comes_back(one('f', "\x3d\xcc\xcc\xcd"), R"({"a":0.10000000149011612})", R"({"a":"f"})");
    comes_back(one('f', "\x7f\x80\0\0"sv), R"({"a":"Infinity"})", R"({"a":"f"})");
    comes_back(one('f', "\xff\xc0\0\1"sv), R"({"a":"NaN:ffc00001"})", R"({"a":"f"})");
    comes_back(one('d', "\xff\xf0\0\0\0\0\0\0"sv), R"({"a":"-Infinity"})", R"({"a":"d"})");
    comes_back(one('d', "\x7f\xf8\0\0\0\0\0\0"sv), R"({"a":"NaN"})", R"({"a":"d"})");
    comes_back(one('D', "\2\0\0\4\xe2"sv), R"({"a":"12.50"})", R"({"a":"D"})");
    comes_back(one('D', "\3\0\0\0\1"sv), R"({"a":"0.001"})", R"({"a":"D"})");
    comes_back(one('D', "\0\xff\xff\xff\xff"sv), R"({"a":"4294967295"})", R"({"a":"D"})");
    comes_back(one('x', "ab\xff"), R"({"a":"ab\udbff\udfff"})", R"({"a":"x"})");
    comes_back(one('t', "\7"), R"({"a":7})", R"({"a":"t"})");
}

TEST_CASE("types inside tables and arrays stand at the place of their values") {
    const std::string inner = TableBuilder().integer("plain", 1).integer32("narrow", 2).take();
    protocol::ArrayBuilder array;
    array.integer(1).table(TableView(inner)).value({'T', std::string_view("\0\0\0\0\0\0\0\1", 8)});
    comes_back(TableBuilder().table("f", TableView(inner)).array("a", array.take()).take(),
               R"({"f":{"plain":1,"narrow":2},"a":[1,{"plain":1,"narrow":2},1]})",
               R"({"f":{"narrow":"I"},"a":[null,{"narrow":"I"},"T"]})");
}

TEST_CASE("a name that is there twice has both its types") {
    comes_back(TableBuilder().integer("a", 1).integer32("a", 1).string("b", "x").take(),
               R"({"a":1,"a":1,"b":"x"})", R"({"a":"l","a":"I"})");
}

TEST_CASE("void can be said in RabbitMQ's word, and text that is that word stays text") {
    const std::string raw = TableBuilder().void_("a").string("b", "undefined").take();
    std::string values;
    json::append_table(values, TableView(raw), json::Void::undefined);
    CHECK(values == R"({"a":"undefined","b":"undefined"})");
    CHECK(json::types_of(TableView(raw), json::Void::undefined) == R"({"a":"V"})");
    CHECK(read(values, R"({"a":"V"})").value() == raw);
}

TEST_CASE("random tables of all types come back octet by octet") {
    for (const auto seed : protocol::test::seeds) {
        protocol::test::RandomValues random(seed);
        for (int round = 0; round < 2000; ++round) {
            const std::string raw(random.table_bytes());
            const auto back = read(values_of(raw), json::types_of(TableView(raw)));
            REQUIRE_MESSAGE(back.has_value(), reason(back));
            if (*back != raw) FAIL(fmt::format("seed {}: {}", seed, protocol::to_text(TableView(raw))));
        }
    }
}

TEST_CASE("types of fields that are gone, or that were put in another order, do no harm") {
    CHECK(read(R"({"a":1})", R"({"gone":"I"})").value() == TableBuilder().integer("a", 1).take());
    CHECK(read(R"({"a":1,"b":2})", R"({"b":"I","a":"L"})").value() ==
          one('L', std::string_view("\0\0\0\0\0\0\0\1", 8)) + TableBuilder().integer32("b", 2).take());
    CHECK(read(R"({"a":[1,2]})", R"({"a":["I"]})").value() ==
          TableBuilder()
              .array("a",
                     protocol::ArrayBuilder().value({'I', std::string_view("\0\0\0\1", 4)}).integer(2).take())
              .take());
    CHECK(read(R"({"a":{}})", R"({"a":null})").value() == TableBuilder().table("a", TableView()).take());
}

TEST_CASE("what cannot be is refused in words") {
    const auto error = [](const std::string& values, const std::string& types = "") {
        return reason(read(values, types));
    };
    CHECK(error(R"({"a":{"b":18446744073709551615}})") ==
          R"("a": "b" must be a whole number from -9223372036854775808 to 9223372036854775807)");
    CHECK(error(R"({"a":300})", R"({"a":"B"})") == R"("a" must be a whole number from 0 to 255)");
    CHECK(error(R"({"a":1.5})", R"({"a":"I"})") ==
          R"("a" must be a whole number from -2147483648 to 2147483647)");
    CHECK(error(R"({"a":1e300})", R"({"a":"f"})") ==
          R"("a" must be a number of its type, or "NaN", "Infinity" or "-Infinity")");
    CHECK(error(R"({"a":"NaN:0"})", R"({"a":"d"})").starts_with(R"("a" must be a number of its type)"));
    for (const char* decimal : {"\"\"", "\".5\"", "\"5.\"", "\"-1\"", "\"4294967296\"", "\"1.2.3\"", "1.5"})
        CHECK(error(fmt::format(R"({{"a":{}}})", decimal), R"({"a":"D"})")
                  .starts_with(R"("a" must be a string such as "12.50")"));
    CHECK(error(R"({"a":1})", R"({"a":"Q"})") == R"("a" has the type "Q", which no value has)");
    CHECK(error(R"({"a":1})", R"({"a":"II"})") == R"("a" has the type "II", which no value has)");
    CHECK(error(R"({"a":1})", R"({"a":{"b":"I"}})") ==
          R"("a" has types inside, but is neither an object nor a list)");
    CHECK(error(R"({"a":{}})", R"({"a":[]})") ==
          R"("a" must have an object of types, as it is an object itself)");
    CHECK(error(R"({"a":[]})", R"({"a":{}})") == R"("a" must have a list of types, as it is a list itself)");
    CHECK(error(R"({"a":1})", R"({"a":"S"})") == R"("a" must be a string, as its type says)");
    CHECK(error("{\"" + std::string(256, 'n') + "\":1}")
              .ends_with("is longer than the 255 bytes that a name may have"));
    std::string deep = "1";
    for (int level = 0; level < 70; ++level) deep = R"({"a":)" + deep + "}";
    CHECK(error(deep) == "must not be nested deeper than 64");
}
