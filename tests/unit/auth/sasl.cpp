// SPDX-License-Identifier: Apache-2.0
#include "auth/sasl.hpp"

#include <doctest/doctest.h>

#include "protocol/field_table.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;
using trilby::auth::Credentials;
using trilby::auth::parse_amqplain;
using trilby::auth::parse_plain;
using trilby::protocol::TableBuilder;

TEST_CASE("PLAIN is NUL user NUL password") {
    CHECK(parse_plain("\0guest\0secret"sv) == Credentials{"guest", "secret"});
    CHECK(parse_plain("\0\xC3\xA4\0 \n"sv) == Credentials{"\xC3\xA4", " \n"});
}

TEST_CASE("PLAIN may have an empty user or password: the login decides") {
    CHECK(parse_plain("\0guest\0"sv) == Credentials{"guest", ""});
    CHECK(parse_plain("\0\0secret"sv) == Credentials{"", "secret"});
    CHECK(parse_plain("\0\0"sv) == Credentials{"", ""});
}

TEST_CASE("PLAIN with an authorisation identity, too few or too many NULs is malformed") {
    for (const auto response : {""sv, "\0"sv, "guest"sv, "guest\0secret"sv, "me\0guest\0secret"sv,
                                "\0guest"sv, "\0guest\0sec\0ret"sv, "\0guest\0secret\0"sv, "\0\0\0"sv}) {
        CAPTURE(response.size());
        CHECK_FALSE(parse_plain(response));
    }
}

TEST_CASE("AMQPLAIN is a bare table with LOGIN and PASSWORD in any order") {
    CHECK(parse_amqplain("\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06secret"sv) ==
          Credentials{"guest", "secret"});
    CHECK(parse_amqplain(
              TableBuilder{}.string("PASSWORD", "p").boolean("x", true).string("LOGIN", "u").take()) ==
          Credentials{"u", "p"});
}

TEST_CASE("AMQPLAIN without one of its fields, or with one that is no long string, is malformed") {
    CHECK_FALSE(parse_amqplain(""sv));
    CHECK_FALSE(parse_amqplain(TableBuilder{}.string("LOGIN", "u").take()));
    CHECK_FALSE(parse_amqplain(TableBuilder{}.string("PASSWORD", "p").take()));
    CHECK_FALSE(parse_amqplain(TableBuilder{}.string("login", "u").string("PASSWORD", "p").take()));
    CHECK_FALSE(parse_amqplain(TableBuilder{}.integer("LOGIN", 1).string("PASSWORD", "p").take()));
    CHECK_FALSE(parse_amqplain(TableBuilder{}.string("LOGIN", "u").boolean("PASSWORD", true).take()));
}

TEST_CASE("AMQPLAIN cut short anywhere, or with a length before it, is malformed") {
    const auto whole = "\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06secret"sv;
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(parse_amqplain(whole.substr(0, size)));
    CHECK_FALSE(parse_amqplain("\0\0\0\x24"s + std::string{whole}));
    CHECK_FALSE(parse_amqplain(std::string{whole} + "x"));
}
