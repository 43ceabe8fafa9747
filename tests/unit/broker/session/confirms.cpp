// SPDX-License-Identifier: Apache-2.0
#include "broker/session/confirms.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

std::string written(Confirms& confirms) {
    std::string text;
    confirms.write(
        [&](DeliveryTag tag, bool multiple) { text += fmt::format("{}{} ", multiple ? "..." : "", tag); },
        [&](DeliveryTag tag) { text += fmt::format("-{} ", tag); });
    return text;
}

}  // namespace

TEST_CASE("what is safe is confirmed together, and once") {
    Confirms confirms;
    CHECK(written(confirms).empty());
    confirms.add();
    confirms.all_safe();
    CHECK(written(confirms) == "1 ");
    for (int i = 0; i < 3; ++i) confirms.add();
    CHECK(confirms.has_new());
    confirms.await_disk();
    CHECK_FALSE(confirms.has_new());
    CHECK(confirms.awaits_disk());
    CHECK(written(confirms).empty());
    confirms.safe_to(3);
    CHECK(written(confirms) == "...3 ");
    CHECK(confirms.awaits_disk());
    confirms.safe_to(4);
    CHECK(written(confirms) == "4 ");
    CHECK_FALSE(confirms.awaits_disk());
}

TEST_CASE("one that is refused is told by itself, and one that is undecided holds up those behind it") {
    Confirms confirms;
    for (int i = 0; i < 2; ++i) confirms.add();
    const DeliveryTag third = confirms.add_undecided();
    const DeliveryTag fourth = confirms.add_undecided();
    for (int i = 0; i < 2; ++i) confirms.add();
    confirms.all_safe();
    CHECK(written(confirms) == "...2 ");
    confirms.decide(fourth, false);
    CHECK(written(confirms).empty());
    confirms.decide(third, true);
    CHECK(written(confirms) == "3 -4 ...6 ");
}

TEST_CASE("each publish is told once and as it was decided, in any order of events") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    test::Random random(seed);
    for (int round = 0; round < 200; ++round) {
        Confirms confirms;
        std::vector<DeliveryTag> open;
        std::vector<int> wanted(1), got(1);  // by tag: 1 ack, 2 nack
        DeliveryTag last = 0;
        const auto look = [&] {
            confirms.write(
                [&](DeliveryTag tag, bool multiple) {
                    REQUIRE(multiple == (tag - last > 1));
                    while (last < tag) got[++last] = 1;
                },
                [&](DeliveryTag tag) {
                    REQUIRE(tag == last + 1);
                    got[++last] = 2;
                });
        };
        for (int step = 0; step < 60; ++step) {
            const auto choice = random() % 5;
            if (choice < 2) {
                const bool undecided = choice == 1;
                const DeliveryTag tag = undecided ? confirms.add_undecided() : confirms.add();
                REQUIRE(tag == wanted.size());
                wanted.push_back(undecided ? 0 : 1);
                got.push_back(0);
                if (undecided) open.push_back(tag);
            } else if (choice == 2 && !open.empty()) {
                const auto at = open.begin() + static_cast<long>(random() % open.size());
                wanted[*at] = random() % 2 == 0 ? 1 : 2;
                confirms.decide(*at, wanted[*at] == 1);
                open.erase(at);
            } else if (choice == 3) {
                confirms.safe_to(random() % wanted.size());
            } else {
                look();
            }
        }
        for (const DeliveryTag tag : open) {
            wanted[tag] = 1;
            confirms.decide(tag, true);
        }
        confirms.all_safe();
        look();
        REQUIRE(got == wanted);
    }
}
