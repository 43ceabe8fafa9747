// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/topology.hpp"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "protocol/field_table.hpp"

using namespace trilby::perf;

TEST_CASE("topic patterns match as AMQP says: * is one word, # is any number of them") {
    CHECK(topic_matches("a.b.c", "a.b.c"));
    CHECK_FALSE(topic_matches("a.b", "a.b.c"));
    CHECK_FALSE(topic_matches("a.b.c", "a.b"));
    CHECK(topic_matches("a.*.c", "a.b.c"));
    CHECK_FALSE(topic_matches("a.*", "a"));
    CHECK(topic_matches("a.#", "a"));
    CHECK(topic_matches("#", ""));
    CHECK(topic_matches("#.c", "a.b.c"));
    CHECK(topic_matches("a.#.c", "a.c"));
    CHECK(topic_matches("a.#.#", "a"));
    CHECK_FALSE(topic_matches("#.b", "a.b.c"));
    CHECK(topic_matches("*", ""));
}

TEST_CASE(
    "the generated topic bindings take each message to as many queues as was asked, by the rules of "
    "matching") {
    Scenario scenario;
    scenario.exchange_type = "topic";
    scenario.topic_bindings = 1000;
    scenario.matches = 3;
    scenario.queues = 50;
    const auto topology = Topology::of(scenario);
    REQUIRE(topology);
    CHECK(topology->bindings.size() == 999);
    for (const Address& address : topology->addresses.front()) {
        std::vector<bool> matched(scenario.queues);
        for (const Binding& binding : topology->bindings)
            if (topic_matches(binding.key, address.key)) matched[binding.queue] = true;
        CAPTURE(address.key);
        CHECK(matched == address.queues);
        CHECK(std::count(matched.begin(), matched.end(), true) == 3);
    }
    std::set<std::size_t> used;
    for (const Binding& binding : topology->bindings) used.insert(binding.queue);
    CHECK(used.size() == scenario.queues);
}

TEST_CASE("the generated headers bindings take each message to as many queues as was asked") {
    Scenario scenario;
    scenario.exchange_type = "headers";
    scenario.headers_bindings = 100;
    scenario.matches = 2;
    scenario.queues = 10;
    const auto topology = Topology::of(scenario);
    REQUIRE(topology);
    CHECK(topology->bindings.size() == 100);
    for (const Address& address : topology->addresses.front()) {
        const trilby::protocol::TableView sent(address.headers);
        std::vector<bool> matched(scenario.queues);
        for (const Binding& binding : topology->bindings) {
            const trilby::protocol::TableView wanted(binding.arguments);
            if (wanted.find("service")->as_string() == sent.find("service")->as_string())
                matched[binding.queue] = true;
        }
        CHECK(matched == address.queues);
        CHECK(std::count(matched.begin(), matched.end(), true) == 2);
    }
}
