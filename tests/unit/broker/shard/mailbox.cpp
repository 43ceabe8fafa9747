// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/mailbox.hpp"

#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using trilby::broker::Mailbox;

TEST_CASE("what was pushed is seen after publish, in order, and not before") {
    Mailbox<int> mailbox(4, 1000);
    std::vector<int> seen;
    const auto take = [&](std::size_t limit) {
        return mailbox.drain(limit, [&](int item) { seen.push_back(item); });
    };
    for (int i = 0; i < 3; ++i) mailbox.push(i);
    CHECK_FALSE(mailbox.has_mail());
    CHECK(take(10) == 0);
    CHECK(mailbox.publish());
    CHECK_FALSE(mailbox.publish());
    CHECK(take(2) == 2);
    CHECK(take(10) == 1);
    CHECK(seen == std::vector<int>{0, 1, 2});
}

TEST_CASE("a full mailbox keeps the rest with its sender, who is told once when there is room") {
    Mailbox<int> mailbox(2, 1000);
    for (int i = 0; i < 5; ++i) mailbox.push(i);
    mailbox.publish();
    CHECK(mailbox.stalled());
    CHECK_FALSE(mailbox.room_for_waiting());
    std::vector<int> seen;
    mailbox.drain(1, [&](int item) { seen.push_back(item); });
    CHECK(mailbox.sender_waits());
    CHECK_FALSE(mailbox.sender_waits());
    CHECK(mailbox.room_for_waiting());
    while (mailbox.publish() || mailbox.has_mail())
        mailbox.drain(10, [&](int item) { seen.push_back(item); });
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
    CHECK_FALSE(mailbox.stalled());
}

TEST_CASE("octets fill a mailbox too, but an item larger than all of it passes alone") {
    Mailbox<int> mailbox(100, 1000);
    mailbox.push(1, 600);
    mailbox.push(2, 600);
    CHECK(mailbox.stalled());
    mailbox.publish();
    CHECK(mailbox.drain(10, [](int) {}) == 1);
    mailbox.push(3, 5000);
    mailbox.publish();
    CHECK(mailbox.drain(10, [](int) {}) == 1);
    mailbox.publish();
    int last = 0;
    CHECK(mailbox.drain(10, [&](int item) { last = item; }) == 1);
    CHECK(last == 3);
}

TEST_CASE("between two threads every item arrives once and in order, whatever the ring's size") {
    const auto seed = trilby::broker::test::random_seed();
    INFO("seed ", seed);
    for (const std::size_t capacity : {1, 2, 3, 8, 1000}) {
        Mailbox<std::uint64_t> mailbox(capacity, 4000);
        constexpr std::uint64_t items = 100000;
        std::jthread sender([&mailbox, seed] {
            trilby::broker::test::Random random(seed);
            for (std::uint64_t next = 0; next < items || mailbox.stalled();) {
                for (auto burst = random() % 20; burst != 0 && next < items && !mailbox.stalled(); --burst)
                    mailbox.push(next++, random() % 300);
                mailbox.publish();
                if (mailbox.stalled()) std::this_thread::yield();
            }
            mailbox.publish();
        });
        trilby::broker::test::Random random(seed + 1);
        std::uint64_t expected = 0;
        std::uint64_t wrong = 0;
        while (expected < items) {
            const std::size_t taken =
                mailbox.drain(1 + random() % 50, [&](std::uint64_t item) { wrong += item != expected++; });
            if (taken == 0) std::this_thread::yield();
            mailbox.sender_waits();
        }
        CHECK(wrong == 0);
    }
}
