// SPDX-License-Identifier: Apache-2.0
#include "protocol/bytes.hpp"

#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "tests/unit/protocol/random_values.hpp"

using namespace trilby::protocol;
using namespace std::literals;

TEST_CASE("neighbouring bits share an octet from its low end, and anything else ends the run") {
    std::string out;
    Writer to{out};
    to.bit(true);
    to.bit(false);
    to.bit(true);
    to.octet(7);
    to.bit(true);
    for (int i = 0; i < 7; ++i) to.bit(false);
    to.bit(true);  // the ninth opens a second octet
    to.short_string("");
    to.bit(false);
    CHECK(out == "\x05\x07\x01\x01\x00\x00"s);

    Reader from{out};
    CHECK(from.bit());
    CHECK(!from.bit());
    CHECK(from.bit());
    CHECK(from.octet() == 7);
    CHECK(from.bit());
    for (int i = 0; i < 7; ++i) CHECK(!from.bit());
    CHECK(from.bit());
    CHECK(from.short_string().empty());
    CHECK(!from.bit());
    CHECK(from.ok());
    CHECK(from.at_end());
}

TEST_CASE("any pattern of bits and octets comes back") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        test::RandomValues random{seed};
        std::string pattern;  // '0', '1', or 'o' for an octet
        for (auto i = random.below(60); i > 0; --i) pattern += "01o"[random.below(3)];
        CAPTURE(pattern);
        std::string out;
        Writer to{out};
        for (const char c : pattern) c == 'o' ? to.octet(0x5A) : to.bit(c == '1');
        Reader from{out};
        for (const char c : pattern) {
            if (c == 'o') {
                CHECK(from.octet() == 0x5A);
            } else {
                CHECK(from.bit() == (c == '1'));
            }
        }
        CHECK(from.ok());
        CHECK(from.at_end());
    }
}

TEST_CASE("numbers are big-endian") {
    std::string out;
    Writer to{out};
    to.octet(0x01);
    to.short_int(0x0203);
    to.long_int(0x04050607);
    to.long_long(0x08090A0B0C0D0E0F);
    CHECK(out == "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"s);
    Reader from{out};
    CHECK(from.octet() == 0x01);
    CHECK(from.short_int() == 0x0203);
    CHECK(from.long_int() == 0x04050607);
    CHECK(from.long_long() == 0x08090A0B0C0D0E0F);
    CHECK(from.ok());
}

TEST_CASE("strings carry their length in one octet or four") {
    const std::string longest(255, 's');
    std::string out;
    Writer to{out};
    to.short_string(longest);
    to.long_string("abc");
    CHECK(out == "\xFF" + longest +
                     "\x00\x00\x00\x03"
                     "abc"s);
    Reader from{out};
    CHECK(from.short_string() == longest);
    CHECK(from.rest() ==
          "\x00\x00\x00\x03"
          "abc"s);
    CHECK(from.long_string() == "abc");
    CHECK(from.at_end());
}

TEST_CASE("after one failed read every later one yields a zero value") {
    Reader from{
        "\x00\x00\x00\x04"
        "abc"sv};
    CHECK(from.long_string().empty());
    CHECK(!from.ok());
    CHECK(from.octet() == 0);
    CHECK(from.short_int() == 0);
    CHECK(from.long_int() == 0);
    CHECK(from.long_long() == 0);
    CHECK(!from.bit());
    CHECK(from.short_string().empty());
    CHECK(from.table().empty());
    CHECK(from.rest().empty());
    CHECK(!from.ok());
}

TEST_CASE("a reader of nothing fails at the first read only") {
    Reader from{std::string_view{}};
    CHECK(from.ok());
    CHECK(from.at_end());
    CHECK(!from.bit());
    CHECK(!from.ok());
}

TEST_CASE("a table with an unknown type letter does not get past the reader") {
    Reader good{
        "\x00\x00\x00\x04\x01"
        "at\x01"sv};
    CHECK(good.table().find("a")->as_boolean() == true);
    CHECK(good.ok());
    Reader bad{
        "\x00\x00\x00\x04\x01"
        "aU\x01"sv};
    CHECK(bad.table().empty());
    CHECK(!bad.ok());
}
