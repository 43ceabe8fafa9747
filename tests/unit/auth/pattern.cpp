// SPDX-License-Identifier: Apache-2.0
#include "auth/pattern.hpp"

#include <string>

#include <doctest/doctest.h>

using trilby::auth::Pattern;

namespace {

bool matches(std::string_view regex, std::string_view name) {
    const auto pattern = Pattern::compile(regex);
    REQUIRE(pattern);
    return pattern->matches(name);
}

std::string error_of(std::string_view regex) {
    const auto pattern = Pattern::compile(regex);
    return pattern ? "accepted" : pattern.error();
}

}  // namespace

TEST_CASE("a pattern is searched for, not anchored") {
    CHECK(matches("prod", "xprodx"));
    CHECK(matches("prod", "prod"));
    CHECK_FALSE(matches("prod", "pro"));
    CHECK_FALSE(matches("^prod$", "xprodx"));
    CHECK(matches("^prod$", "prod"));
    CHECK(matches("^org\\.fedoraproject\\.prod\\.(bodhi|pungi)\\..*",
                  "org.fedoraproject.prod.bodhi.update.edit"));
    CHECK_FALSE(
        matches("^org\\.fedoraproject\\.prod\\.(bodhi|pungi)\\..*", "org.fedoraproject.prod.koji.tag"));
}

TEST_CASE("the empty pattern matches the empty name only") {
    for (const char* regex : {"", "^$"}) {
        CHECK(matches(regex, ""));
        CHECK_FALSE(matches(regex, "q"));
        CHECK_FALSE(matches(regex, "\n"));
        CHECK_FALSE(matches(regex, std::string_view{"\0", 1}));
    }
}

TEST_CASE("the pattern .* matches every name") {
    for (const char* regex : {".*", "^.*", "^.*$"}) {
        CHECK(matches(regex, ""));
        CHECK(matches(regex, "amq.topic"));
        CHECK(matches(regex, "\xFF\xC3"));
    }
    CHECK(matches(".*", "two\nlines"));
}

TEST_CASE("a name is bytes: a dot is one of them, whatever the encoding") {
    CHECK(matches("^..$", "\xC3\xA4"));
    CHECK_FALSE(matches("^.$", "\xC3\xA4"));
    CHECK(matches("^.$", "\xFF"));
    CHECK(matches("^\xC3\xA4$", "\xC3\xA4"));
    CHECK(matches("b", std::string_view{"a\0b", 3}));
    CHECK(matches("^a.b$", std::string_view{"a\0b", 3}));
}

TEST_CASE("a pattern keeps its text, and copies match alike") {
    const auto pattern = Pattern::compile("^(amq\\.topic)|(bodhi.*)$");
    REQUIRE(pattern);
    const Pattern copy = *pattern;
    CHECK(copy.text() == "^(amq\\.topic)|(bodhi.*)$");
    CHECK(copy.matches("amq.topic"));
    CHECK(copy.matches("amq.topic.x"));  // the anchors belong to one alternative each
    CHECK(copy.matches("x.bodhi"));
    CHECK_FALSE(copy.matches("amq.direct"));
    CHECK(Pattern::compile("")->text() == "");
}

TEST_CASE("a pattern that is no regular expression is refused with the reason") {
    CHECK(error_of("(") == "'(' is not a valid regular expression: missing ): (");
    CHECK(error_of("*") == "'*' is not a valid regular expression: no argument for repetition operator: *");
    CHECK(error_of("[a") == "'[a' is not a valid regular expression: missing ]: [a");
}

TEST_CASE("what only PCRE has is refused and named") {
    CHECK(error_of("^(?!amq)").find("lookahead, lookbehind") != std::string::npos);
    CHECK(error_of("(?<=a)b").find("lookahead, lookbehind") != std::string::npos);
    CHECK(error_of("(a)\\1").find("back references") != std::string::npos);
    CHECK(error_of("a++").find("possessive") != std::string::npos);
    CHECK(error_of("a{1001}").find("1000 repetitions") != std::string::npos);
}

TEST_CASE("a pattern that would take much memory is refused") {
    CHECK(error_of("((a{30}){30}){30}").find("not a valid regular expression") != std::string::npos);
    CHECK(error_of(std::string(2'000'000, 'x')).find("not a valid regular expression") != std::string::npos);
}
