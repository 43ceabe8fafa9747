// SPDX-License-Identifier: Apache-2.0
#include "program/nearest_word.hpp"

#include <doctest/doctest.h>

using trilby::client::nearest_word;

namespace {
const std::vector<std::string> commands{"serve", "publish", "subscribe", "replay", "journal", "check"};
}

TEST_CASE("a letter too many, too few, wrong, or swapped with its neighbour is forgiven") {
    CHECK(nearest_word("subscribee", commands) == "subscribe");
    CHECK(nearest_word("sbscribe", commands) == "subscribe");
    CHECK(nearest_word("subzcribe", commands) == "subscribe");
    CHECK(nearest_word("subscirbe", commands) == "subscribe");
    CHECK(nearest_word("reply", commands) == "replay");
    CHECK(nearest_word("chek", commands) == "check");
}

TEST_CASE("another word is not taken for one that is known") {
    CHECK_FALSE(nearest_word("sing", commands));
    CHECK_FALSE(nearest_word("", commands));
    CHECK_FALSE(nearest_word("x", {"y"}));
    CHECK_FALSE(nearest_word("publish", {}));
    CHECK_FALSE(nearest_word(std::string(100'000, 's'), commands));
}

TEST_CASE("of several the nearest") {
    CHECK(nearest_word("stob", {"stub", "stop", "stops"}) == "stub");
    CHECK(nearest_word("--rates", {"--rate", "--rates-of"}) == "--rate");
}
