// SPDX-License-Identifier: Apache-2.0
#include "json/text.hpp"

#include <doctest/doctest.h>
#include <simdjson.h>

using namespace trilby;

namespace {

std::string written(std::string_view octets) {
    std::string json;
    json::append_string(json, octets);
    return json;
}

std::string read_back(std::string_view octets) {
    simdjson::dom::parser parser;
    std::string_view text;
    REQUIRE(parser.parse(written(octets)).get_string().get(text) == simdjson::SUCCESS);
    return json::octets_of(text);
}

}  // namespace

TEST_CASE("text is written as it is, but for what steers a terminal") {
    CHECK(written("") == R"("")");
    CHECK(written("a \"b\" \\ é\n") == R"("a \"b\" \\ é\n")");
    CHECK(written("\x1b[2J \x7f \xc2\x9b") == R"("\u001b[2J \u007f \u009b")");
    CHECK(written("\xc2\xa0") == "\"\xc2\xa0\"");
}

TEST_CASE("an octet that is not UTF-8 is a private character that names it") {
    CHECK(written("a\xff") == R"("a\udbff\udfff")");
    CHECK(written("\x80é") == R"("\udbff\udf80é")");
    CHECK(read_back("a\xff") == "a\xff");
}

TEST_CASE("every octet, pair of octets and private character comes back") {
    for (int first = 0; first < 256; ++first)
        for (int second = 0; second < 256; ++second) {
            const std::string octets{static_cast<char>(first), static_cast<char>(second)};
            if (read_back(octets) != octets) FAIL(octets);
        }
    for (const std::string_view octets :
         {"\xf4\x8f\xbe\x80", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbd\xbf", "\xf4\x8f\xbe",
          "\xf4\x8f\xbe\x80\xbe\x80", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xe2\x82\xac\xe2\x82"})
        CHECK(read_back(octets) == octets);
}
