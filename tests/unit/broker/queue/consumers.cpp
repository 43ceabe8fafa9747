// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/consumers.hpp"

#include <algorithm>
#include <ctime>
#include <list>
#include <map>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

Consumer consumer(std::uint64_t id, std::int32_t priority = 0) {
    Consumer made;
    made.id = ConsumerId{id};
    made.window = 1000;
    made.priority = priority;
    return made;
}

}  // namespace

TEST_CASE("consumers of a priority have their turns one after the other") {
    Consumers consumers;
    for (const std::uint64_t id : {1, 2, 3}) consumers.add(consumer(id));
    for (int round = 0; round < 3; ++round)
        for (const std::uint64_t id : {1, 2, 3}) {
            Consumer* next = consumers.next();
            REQUIRE(next != nullptr);
            CHECK(next->id == ConsumerId{id});
            consumers.turn(*next);
        }
}

TEST_CASE("a lower priority has its turn only while no higher one can take a message") {
    Consumers consumers;
    consumers.add(consumer(1, 0));
    Consumer& high = consumers.add(consumer(2, 5));
    CHECK(consumers.next() == &high);
    high.credit = 0;
    consumers.turn(high);
    CHECK(consumers.next()->id == ConsumerId{1});
    high.credit = 1;
    consumers.review(high);
    CHECK(consumers.next() == &high);
}

TEST_CASE("the next consumer is the one that a list for each priority says") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    for (int round = 0; round < 30; ++round) {
        Consumers consumers;
        std::map<std::int32_t, std::list<std::uint64_t>, std::greater<>> lines;  // of those that can
        std::vector<std::uint64_t> all;
        std::uint64_t last = 0;
        const auto leave = [&](std::uint64_t id) {
            for (auto& [priority, line] : lines) line.remove(id);
        };
        const auto listed = [&](std::uint64_t id) {
            for (auto& [priority, line] : lines)
                if (std::find(line.begin(), line.end(), id) != line.end()) return true;
            return false;
        };
        for (int step = 0; step < 3000; ++step) {
            const unsigned what = random() % 8;
            if (all.empty() || what == 0) {
                Consumer one = consumer(++last, static_cast<std::int32_t>(random() % 3));
                one.credit = random() % 2;
                if (one.credit > 0) lines[one.priority].push_back(last);
                consumers.add(one);
                all.push_back(last);
            } else {
                const std::size_t place = random() % all.size();
                Consumer* one = consumers.find(ConsumerId{all[place]});
                REQUIRE(one != nullptr);
                if (what == 1 && all.size() > 3) {
                    leave(all[place]);
                    consumers.remove(*one);
                    REQUIRE(consumers.find(ConsumerId{all[place]}) == nullptr);
                    all.erase(all.begin() + static_cast<long>(place));
                } else if (what < 5) {  // a limit changes: its place stays if it could and can
                    (random() % 2 ? one->credit : one->window) = random() % 2;
                    consumers.review(*one);
                    if (!one->available()) leave(all[place]);
                    if (one->available() && !listed(all[place])) lines[one->priority].push_back(all[place]);
                } else if (Consumer* next = consumers.next()) {
                    next->credit = random() % 3;
                    const auto id = std::to_underlying(next->id);
                    leave(id);
                    if (next->available()) lines[next->priority].push_back(id);
                    consumers.turn(*next);
                }
            }
            std::uint64_t expected = 0;
            for (const auto& [priority, line] : lines)
                if (!line.empty()) {
                    expected = line.front();
                    break;
                }
            const Consumer* next = consumers.next();
            REQUIRE((next == nullptr ? 0 : std::to_underlying(next->id)) == expected);
            REQUIRE(consumers.size() == all.size());
        }
    }
}

TEST_CASE("who may ask the channel for a share stands in line for that, and only while it may") {
    Consumers consumers;
    for (const std::uint64_t id : {1, 2, 3}) {
        Consumer one = consumer(id);
        one.granted = id != 3;
        consumers.add(one);
    }
    CHECK(consumers.to_ask() == 2);
    CHECK(consumers.next()->id == ConsumerId{3});
    Consumer& first = *consumers.next_to_ask();
    CHECK(first.id == ConsumerId{1});
    first.asked = true;
    consumers.review(first);
    CHECK(consumers.next_to_ask()->id == ConsumerId{2});
    first.asked = false;
    first.grants = 1;
    consumers.review(first);
    CHECK(consumers.to_ask() == 1);
    CHECK(consumers.next()->id == ConsumerId{3});
    first.grants = 0;
    consumers.review(first);
    CHECK(consumers.to_ask() == 2);
    CHECK(consumers.next_to_ask()->id == ConsumerId{2});
    consumers.remove(*consumers.find(ConsumerId{2}));
    CHECK(consumers.next_to_ask() == &first);
}

TEST_CASE("a message does not take longer because there are 50,000 priorities") {
    Consumers consumers;
    constexpr std::uint64_t count = 50'000;
    for (std::uint64_t id = 1; id <= count; ++id) consumers.add(consumer(id, static_cast<std::int32_t>(id)));
    const auto start = std::clock();
    for (std::uint64_t id = count; id != 0; --id) {
        Consumer* const next = consumers.next();
        REQUIRE(next->id == ConsumerId{id});
        next->credit = 0;
        consumers.turn(*next);
    }
    CHECK(consumers.next() == nullptr);
    for (std::uint64_t id = 1; id <= count; ++id) consumers.remove(*consumers.find(ConsumerId{id}));
    // A look at each priority for each message would take ten seconds.
    CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 2);
}
