// SPDX-License-Identifier: Apache-2.0
#include "broker/asking/direct_reply.hpp"

#include <random>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

TEST_CASE("the name of a direct reply says where it goes") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 1000; ++i) {
        const ReplyAddress address{AskerId{random()}, static_cast<std::uint16_t>(random()), random()};
        const std::string name = address.name();
        CHECK(name.starts_with("amq.rabbitmq.reply-to."));
        const auto parsed = ReplyAddress::parse(name);
        REQUIRE(parsed.has_value());
        CHECK(parsed->connection == address.connection);
        CHECK(parsed->channel == address.channel);
        CHECK(parsed->secret == address.secret);
        CHECK_FALSE(ReplyAddress::parse(name + "0").has_value());
        CHECK_FALSE(ReplyAddress::parse(std::string_view(name).substr(0, name.size() - 1)).has_value());
    }
}

TEST_CASE("what is not the name of a direct reply is refused") {
    for (const char* name :
         {"", "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to.", "amq.rabbitmq.reply-to.xyz", "queue"})
        CHECK_FALSE(ReplyAddress::parse(name).has_value());
}
