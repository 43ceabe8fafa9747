// SPDX-License-Identifier: Apache-2.0
#include "protocol/field_table.hpp"

#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/protocol/random_values.hpp"

using namespace trilby::protocol;
using namespace std::literals;

static_assert(std::forward_iterator<TableView::iterator>);
static_assert(std::forward_iterator<ArrayView::iterator>);

namespace {

/// One value under the name "a".
std::string table_of(std::string_view letter_and_payload) {
    return "\x01"
           "a"s +
           std::string{letter_and_payload};
}

ValueView value_in(const std::string& raw) {
    REQUIRE(valid_table(raw));
    const auto value = TableView{raw}.find("a");
    REQUIRE(value);
    return *value;
}

std::string nested_tables(int depth) {
    std::string raw;
    while (depth-- > 0) raw = TableBuilder{}.table("t", TableView{raw}).take();
    return raw;
}

/// Walks everything there is, also what is malformed, and checks that no view leaves `whole`.
void walk(std::string_view whole, const ValueView& value) {
    REQUIRE(value.bytes.data() >= whole.data());
    REQUIRE(value.bytes.data() + value.bytes.size() <= whole.data() + whole.size());
    value.as_integer();
    value.as_boolean();
    value.as_double();
    value.as_timestamp();
    if (const auto table = value.as_table()) {
        for (const auto& field : *table) walk(whole, field.value);
    }
    if (const auto array = value.as_array()) {
        for (const auto& element : *array) walk(whole, element);
    }
}

}  // namespace

TEST_CASE("integers of every width are read with their sign") {
    const auto integer = [](std::string_view bytes) { return value_in(table_of(bytes)).as_integer(); };
    CHECK(integer("b\xFF") == -1);
    CHECK(integer("B\xFF") == 255);
    CHECK(integer("s\x80\x00"sv) == -32768);
    CHECK(integer("u\x80\x00"sv) == 32768);
    CHECK(integer("I\xFF\xFF\xFF\xFE") == -2);
    CHECK(integer("i\xFF\xFF\xFF\xFE") == 4294967294);
    CHECK(integer("l\x80\x00\x00\x00\x00\x00\x00\x00"sv) == std::numeric_limits<std::int64_t>::min());
    CHECK(integer("L\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF") == -1);
}

TEST_CASE("a value is only what its letter says") {
    const std::vector<std::string> all = {"t\x02"s,
                                          "b\x01"s,
                                          "B\x01"s,
                                          "s\x00\x01"s,
                                          "u\x00\x01"s,
                                          "I\x00\x00\x00\x01"s,
                                          "i\x00\x00\x00\x01"s,
                                          "l\x00\x00\x00\x00\x00\x00\x00\x01"s,
                                          "L\x00\x00\x00\x00\x00\x00\x00\x01"s,
                                          "f\x3F\xC0\x00\x00"s,
                                          "d\x3F\xF8\x00\x00\x00\x00\x00\x00"s,
                                          "D\x02\x00\x00\x00\x7B"s,
                                          "S\x00\x00\x00\x02hi"s,
                                          "x\x00\x00\x00\x02hi"s,
                                          "A\x00\x00\x00\x02t\x01"s,
                                          "T\x00\x00\x00\x00\x00\x00\x00\x01"s,
                                          "F\x00\x00\x00\x04\x01kt\x01"s,
                                          "V"s};
    REQUIRE(all.size() == test::type_letters.size());
    for (const auto& bytes : all) {
        const auto raw = table_of(bytes);
        const auto value = value_in(raw);
        const auto among = [&](std::string_view letters) {
            return letters.find(value.type) != std::string_view::npos;
        };
        CAPTURE(value.type);
        CHECK(value.as_integer() == (among("bBsuIilL") ? std::optional<std::int64_t>{1} : std::nullopt));
        CHECK(value.as_string() == (among("Sx") ? std::optional{"hi"sv} : std::nullopt));
        CHECK(value.as_boolean() == (among("t") ? std::optional{true} : std::nullopt));
        CHECK(value.as_double() == (among("fd") ? std::optional{1.5} : std::nullopt));
        CHECK(value.as_timestamp() == (among("T") ? std::optional<std::uint64_t>{1} : std::nullopt));
        CHECK(value.as_table().has_value() == among("F"));
        CHECK(value.as_array().has_value() == among("A"));
        if (among("F")) CHECK(value.as_table()->find("k")->as_boolean() == true);
        if (among("A")) CHECK(value.as_array()->begin()->as_boolean() == true);
    }
}

TEST_CASE("type letters have RabbitMQ's words, and the letters it does not know have none") {
    CHECK(type_word('t') == "bool");
    CHECK(type_word('b') == "byte");
    CHECK(type_word('B') == "unsignedbyte");
    CHECK(type_word('s') == "short");
    CHECK(type_word('u') == "unsignedshort");
    CHECK(type_word('I') == "signedint");
    CHECK(type_word('i') == "unsignedint");
    CHECK(type_word('l') == "long");
    CHECK(type_word('L') == "long");
    CHECK(type_word('f') == "float");
    CHECK(type_word('d') == "double");
    CHECK(type_word('D') == "decimal");
    CHECK(type_word('S') == "longstr");
    CHECK(type_word('x') == "binary");
    CHECK(type_word('A') == "array");
    CHECK(type_word('T') == "timestamp");
    CHECK(type_word('F') == "table");
    CHECK(type_word('V') == "void");
    for (int letter = 0; letter < 256; ++letter) {
        const char c = static_cast<char>(letter);
        const bool known = test::type_letters.find(c) != std::string_view::npos;
        CAPTURE(letter);
        CHECK(type_word(c).empty() == !known);
        const std::string payload(9, '\0');  // nine zeros are a value of every type, too long for each
        CHECK(!valid_table(table_of(c + payload)));
        if (!known) CHECK(!valid_table(table_of(std::string{c})));
    }
}

TEST_CASE("what the builder writes is found again") {
    const auto inner = TableBuilder{}.boolean("yes", true).boolean("no", false).take();
    const auto list = ArrayBuilder{}.string("x").integer(-7).boolean(true).table(TableView{inner}).take();
    TableBuilder builder;
    const auto raw = builder.string("string", "text")
                         .integer("integer", -5)
                         .integer32("integer32", -6)
                         .double_("double", 2.25)
                         .timestamp("timestamp", 1262304000)
                         .void_("void")
                         .table("table", TableView{inner})
                         .array("array", list)
                         .value("value", {'u', "\x01\x00"sv})
                         .take();
    CHECK(builder.take().empty());
    REQUIRE(valid_table(raw));
    const TableView table{raw};
    CHECK(table.find("string")->as_string() == "text");
    CHECK(table.find("integer")->as_integer() == -5);
    CHECK(table.find("integer")->type == 'l');
    CHECK(table.find("integer32")->as_integer() == -6);
    CHECK(table.find("integer32")->type == 'I');
    CHECK(table.find("double")->as_double() == 2.25);
    CHECK(table.find("timestamp")->as_timestamp() == 1262304000);
    CHECK(table.find("void")->type == 'V');
    CHECK(table.find("table")->as_table()->find("no")->as_boolean() == false);
    CHECK(table.find("value")->as_integer() == 256);
    CHECK(!table.find("absent"));
    CHECK(!table.find("strin"));

    const auto array = *table.find("array")->as_array();
    const std::vector<ValueView> values(array.begin(), array.end());
    REQUIRE(values.size() == 4);
    CHECK(values[0].as_string() == "x");
    CHECK(values[1].as_integer() == -7);
    CHECK(values[2].as_boolean() == true);
    CHECK(values[3].as_table()->find("yes")->as_boolean() == true);
}

TEST_CASE("fields come in their order, duplicates included, and the first of a name is found") {
    const auto raw = TableBuilder{}.integer("b", 1).integer("a", 2).integer("b", 3).take();
    std::string names;
    for (const auto& field : TableView{raw}) names += field.name;
    CHECK(names == "bab");
    CHECK(TableView{raw}.find("b")->as_integer() == 1);
}

TEST_CASE("an empty table has no fields") {
    CHECK(TableView{}.empty());
    CHECK(TableView{}.begin() == TableView{}.end());
    CHECK(!TableView{}.find(""));
    CHECK(valid_table(""));
    CHECK(ArrayView{}.begin() == ArrayView{}.end());
}

TEST_CASE("names may be empty or 255 bytes long") {
    const std::string longest(255, 'n');
    const auto raw = TableBuilder{}.integer("", 1).integer(longest, 2).take();
    REQUIRE(valid_table(raw));
    CHECK(TableView{raw}.find("")->as_integer() == 1);
    CHECK(TableView{raw}.find(longest)->as_integer() == 2);
}

TEST_CASE("a table is valid down to the depth limit and not one deeper") {
    CHECK(valid_table(nested_tables(64)));
    CHECK(!valid_table(nested_tables(65)));
    CHECK(valid_table(nested_tables(2), 2));
    CHECK(!valid_table(nested_tables(2), 1));
    const auto in_array = TableBuilder{}.array("a", ArrayBuilder{}.table(TableView{}).take()).take();
    CHECK(valid_table(in_array, 2));
    CHECK(!valid_table(in_array, 1));
}

TEST_CASE("a table nested beyond any limit neither validates nor exhausts the stack") {
    std::string raw;
    const std::string head =
        "\x00"
        "F"s;  // grows outwards: a table inside a table, 20000 deep
    std::vector<std::string> heads;
    for (std::uint32_t size = 0; size < 20000 * 6; size += 6) {
        std::string length(4, '\0');
        store_big_endian(length.data(), size);
        heads.push_back(head + length);
    }
    for (auto at = heads.rbegin(); at != heads.rend(); ++at) raw += *at;
    CHECK(!valid_table(raw));
    CHECK(to_text(TableView{raw}).size() < 1000);
}

TEST_CASE("random tables are valid, and cut at any byte they are a prefix of the same fields") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        test::RandomValues random{seed};
        for (int round = 0; round < 50; ++round) {
            const auto raw = random.table_bytes();
            REQUIRE(valid_table(raw));
            const TableView whole{raw};
            std::vector<const char*> boundaries{raw.data()};
            for (const auto& field : whole)
                boundaries.push_back(field.value.bytes.data() + field.value.bytes.size());
            CHECK(boundaries.back() == raw.data() + raw.size());
            for (std::size_t size = 0; size < raw.size(); ++size) {
                const auto cut = raw.substr(0, size);
                std::size_t complete = 0;
                while (boundaries[complete + 1] <= cut.data() + size) ++complete;
                CHECK(valid_table(cut) == (boundaries[complete] == cut.data() + size));
                const TableView table{cut};
                CHECK(static_cast<std::size_t>(std::distance(table.begin(), table.end())) == complete);
            }
        }
    }
}

TEST_CASE("no view of a malformed table leaves its bytes") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        test::RandomValues random{seed};
        for (int round = 0; round < 500; ++round) {
            std::string raw{random.table_bytes()};
            for (auto changes = raw.empty() ? 0 : random.below(5); changes > 0; --changes) {
                raw[random.below(raw.size())] = static_cast<char>(random.below(256));
            }
            raw.resize(raw.size() - random.below(raw.size() + 1) / 4);
            raw.shrink_to_fit();
            walk(raw, {'F', raw});
            walk(raw, {'A', raw});
            const TableView table{raw};
            for (const auto& field : table) CHECK(table.find(field.name).has_value());
            to_text(table);
        }
    }
}

TEST_CASE("a table as text reads like a literal on one line") {
    const auto inner = TableBuilder{}.boolean("d", true).take();
    const auto list = ArrayBuilder{}.integer(1).string("two").table(TableView{inner}).take();
    const auto raw =
        TableBuilder{}.integer("a", 1).string("b", "x").table("c", TableView{inner}).array("e", list).take();
    CHECK(to_text(TableView{raw}) == R"({a: 1, b: "x", c: {d: true}, e: [1, "two", {d: true}]})");
    CHECK(to_text(TableView{}) == "{}");

    const auto odd =
        TableBuilder{}.void_("v").double_("f", -0.5).timestamp("t", 7).string("two words", "\n\"").take();
    CHECK(to_text(TableView{odd}) == R"({v: void, f: -0.5, t: 7, "two words": "\x0a\""})");
    CHECK(to_text(ValueView{'D', "\x02\x00\x00\x00\x7B"sv}) == "123e-2");
    CHECK(to_text(ValueView{'D', "\x00\x00\x00\x00\x7B"sv}) == "123");
    CHECK(to_text(ValueView{'b', "\x80"sv}) == "-128");
}
