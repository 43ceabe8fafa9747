// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "routes.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;
using trilby::protocol::ValueView;
using namespace std::string_view_literals;

namespace {

/// Whether a message with these headers goes through a binding with these arguments.
bool matches(const std::string& arguments, const std::string& headers) {
    Table table;
    const auto exchange = table.add_exchange("h", ExchangeType::headers);
    table.bind(exchange, to_queue(0), "a key that does not matter", TableView(arguments));
    const bool through = routes(table, exchange, "", headers) == Queues{0};
    CHECK(table.matching_bindings(exchange, "", headers) == (through ? 1 : 0));
    table.unbind(exchange, to_queue(0), "a key that does not matter", TableView(arguments));
    CHECK(routes(table, exchange, "", headers).empty());
    return through;
}

TableBuilder with(std::string_view match) {
    return std::move(TableBuilder().string("x-match", match));
}
std::string ab() {
    return TableBuilder().string("a", "1").string("b", "2").take();
}

}  // namespace

TEST_CASE("x-match all, also by default, wants every pair") {
    for (const bool by_default : {true, false}) {
        auto arguments = [&] { return by_default ? TableBuilder() : with("all"); };
        CHECK(matches(arguments().string("a", "1").take(), ab()));
        CHECK(matches(arguments().string("b", "2").string("a", "1").take(), ab()));
        CHECK_FALSE(matches(arguments().string("a", "2").take(), ab()));
        CHECK_FALSE(matches(arguments().string("a", "1").string("c", "3").take(), ab()));
        CHECK_FALSE(matches(arguments().string("a", "1").take(), ""));
    }
}

TEST_CASE("x-match any wants one pair") {
    CHECK(matches(with("any").string("a", "1").string("c", "3").take(), ab()));
    CHECK(matches(with("any").string("a", "1").string("b", "2").take(), ab()));
    CHECK_FALSE(matches(with("any").string("a", "2").string("c", "3").take(), ab()));
    CHECK_FALSE(matches(with("any").string("a", "1").take(), ""));
}

TEST_CASE("without criteria all matches everything, also without headers, and any nothing") {
    CHECK(matches("", ""));
    CHECK(matches("", ab()));
    CHECK(matches(with("all").take(), ""));
    CHECK(matches(with("all").string("x-a", "1").take(), ab()));
    CHECK_FALSE(matches(with("any").take(), ""));
    CHECK_FALSE(matches(with("any").take(), ab()));
}

TEST_CASE("criteria that begin with x- count only with -with-x") {
    const auto message = TableBuilder().string("x-a", "1").take();
    CHECK_FALSE(matches(with("all-with-x").string("x-a", "2").take(), message));
    CHECK(matches(with("all-with-x").string("x-a", "1").take(), message));
    CHECK(matches(with("any-with-x").string("x-a", "1").string("b", "2").take(), message));
    CHECK_FALSE(matches(with("any").string("x-a", "1").take(), message));
    CHECK(matches(with("all").string("x-a", "2").take(), message));
}

TEST_CASE("a void criterion wants the header to be there") {
    CHECK(matches(std::move(TableBuilder().void_("a")).take(), ab()));
    CHECK(matches(std::move(TableBuilder().void_("a")).take(), std::move(TableBuilder().void_("a")).take()));
    CHECK_FALSE(matches(std::move(TableBuilder().void_("c")).take(), ab()));
    CHECK_FALSE(matches(TableBuilder().string("a", "").take(), std::move(TableBuilder().void_("a")).take()));
    CHECK(matches(TableBuilder().void_("a").string("b", "2").take(), ab()));
}

TEST_CASE("integers are equal across widths; string, number and boolean are not") {
    const ValueView one_of_each_width[] = {{'b', "\1"},
                                           {'B', "\1"},
                                           {'s', "\0\1"sv},
                                           {'u', "\0\1"sv},
                                           {'I', "\0\0\0\1"sv},
                                           {'i', "\0\0\0\1"sv},
                                           {'l', "\0\0\0\0\0\0\0\1"sv},
                                           {'L', "\0\0\0\0\0\0\0\1"sv}};
    for (const auto& a : one_of_each_width) {
        for (const auto& b : one_of_each_width) {
            CHECK(matches(TableBuilder().value("n", a).take(), TableBuilder().value("n", b).take()));
        }
        CHECK_FALSE(matches(TableBuilder().value("n", a).take(), TableBuilder().string("n", "1").take()));
        CHECK_FALSE(matches(TableBuilder().value("n", a).take(), TableBuilder().boolean("n", true).take()));
        CHECK_FALSE(matches(TableBuilder().value("n", a).take(), TableBuilder().integer("n", 2).take()));
    }
    CHECK(matches(TableBuilder().integer("n", -1).take(), TableBuilder().value("n", {'b', "\xff"}).take()));
    CHECK_FALSE(
        matches(TableBuilder().integer("n", -1).take(), TableBuilder().value("n", {'B', "\xff"}).take()));
    CHECK(matches(TableBuilder().double_("n", 2.0).take(), TableBuilder().integer("n", 2).take()));
    CHECK_FALSE(matches(TableBuilder().double_("n", 2.5).take(), TableBuilder().integer("n", 2).take()));
    CHECK(matches(TableBuilder().double_("n", 2.5).take(), TableBuilder().double_("n", 2.5).take()));
    CHECK(matches(TableBuilder().boolean("n", true).take(), TableBuilder().value("n", {'t', "\2"}).take()));
    CHECK_FALSE(matches(TableBuilder().boolean("n", true).take(), TableBuilder().boolean("n", false).take()));
}

TEST_CASE("names and values are compared with their case, and of two fields with one name the first counts") {
    CHECK_FALSE(matches(TableBuilder().string("A", "1").take(), ab()));
    CHECK_FALSE(matches(TableBuilder().string("a", "x").take(), TableBuilder().string("a", "X").take()));
    const auto twice = TableBuilder().string("a", "1").string("a", "2").take();
    CHECK(matches(TableBuilder().string("a", "1").take(), twice));
    CHECK_FALSE(matches(TableBuilder().string("a", "2").take(), twice));
}

TEST_CASE("tables and arrays are compared as a whole") {
    const auto inner = TableBuilder().integer("z", 1).take(), other = TableBuilder().integer("z", 2).take();
    const auto binding = TableBuilder().table("t", TableView(inner)).take();
    CHECK(matches(binding, TableBuilder().table("t", TableView(inner)).take()));
    CHECK_FALSE(matches(binding, TableBuilder().table("t", TableView(other)).take()));
    CHECK_FALSE(matches(binding, TableBuilder().array("t", inner).take()));
}

TEST_CASE("a binding of many pairs wants each of them") {
    TableBuilder all, short_of_one;
    for (int i = 0; i < 20; ++i) {
        all.integer(std::to_string(i), i);
        if (i != 13) short_of_one.integer(std::to_string(i), i);
    }
    const auto arguments = all.take();
    CHECK(matches(arguments, arguments));
    CHECK_FALSE(matches(arguments, short_of_one.take()));
}

TEST_CASE("a headers table that is cut short counts as far as it can be read") {
    const auto message = ab();
    CHECK(matches(TableBuilder().string("a", "1").take(), message.substr(0, message.size() - 1)));
    CHECK_FALSE(matches(TableBuilder().string("b", "2").take(), message.substr(0, message.size() - 1)));
}

TEST_CASE("a wrong x-match is named in the words of RabbitMQ") {
    CHECK_FALSE(headers_binding_error({}));
    for (const auto* good : {"all", "any", "all-with-x", "any-with-x"}) {
        CHECK_FALSE(headers_binding_error(TableView(with(good).take())));
    }
    CHECK(headers_binding_error(TableView(with("foo").take())) ==
          "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x");
    const auto number = TableBuilder().integer32("x-match", 1).take();
    CHECK(headers_binding_error(TableView(number)) ==
          "Invalid x-match field type signedint (value 1); expected longstr");
}
