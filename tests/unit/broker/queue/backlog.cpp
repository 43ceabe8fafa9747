// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/backlog.hpp"

#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

/// Messages as the backlog sees them: addresses.
Kept message(std::uintptr_t number) {
    return Kept(reinterpret_cast<Message*>(number * 16));
}

/// Ready entries by number, with whether they were handed out before; and those that are out.
struct Model {
    std::map<EntryNumber, bool> ready;
    std::set<EntryNumber> out;
};

}  // namespace

TEST_CASE("a backlog gives the oldest first, and what came back at its old place with the mark") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    for (int round = 0; round < 50; ++round) {
        Backlog backlog;
        Model model;
        EntryNumber last = 0;
        const auto any_out = [&] {
            return *std::next(model.out.begin(), static_cast<long>(random() % model.out.size()));
        };
        for (int step = 0; step < 2000; ++step) {
            switch (random() % 6) {
                case 0:
                case 1:
                    backlog.add(message(++last));
                    model.ready[last] = false;
                    break;
                case 2: {
                    if (!model.ready.empty()) break;
                    ++last;
                    REQUIRE(backlog.add_handed_out(message(last)) == last);
                    model.out.insert(last);
                    break;
                }
                case 3: {
                    if (model.ready.empty()) break;
                    const auto [number, again] = *model.ready.begin();
                    const bool for_good = random() % 4 == 0;
                    const Backlog::Entry entry = backlog.first();
                    for_good ? backlog.remove(entry) : backlog.hand_out(entry);
                    REQUIRE(entry.number == number);
                    REQUIRE(entry.kept == message(number));
                    REQUIRE(entry.redelivered == again);
                    model.ready.erase(number);
                    if (!for_good) model.out.insert(number);
                    break;
                }
                case 4: {
                    if (model.out.empty()) break;
                    const EntryNumber number = any_out();
                    REQUIRE(backlog.settle(number) == message(number));
                    REQUIRE(backlog.settle(number) == Kept());
                    model.out.erase(number);
                    break;
                }
                case 5: {
                    if (model.out.empty()) break;
                    const EntryNumber number = any_out();
                    backlog.give_back(number);
                    model.out.erase(number);
                    model.ready[number] = true;
                    break;
                }
            }
            REQUIRE(backlog.ready() == model.ready.size());
            REQUIRE(backlog.unacknowledged() == model.out.size());
        }
        std::set<Message*> all;
        while (!backlog.clear([&](Kept one) {
            all.insert(one.message());
            return random() % 8 != 0;
        })) {
        }
        REQUIRE(all.size() == model.ready.size() + model.out.size());
        REQUIRE(backlog.ready() == 0);
        REQUIRE(backlog.unacknowledged() == 0);
    }
}

TEST_CASE("giving back what is not there changes nothing") {
    Backlog backlog;
    backlog.add(message(1));
    const auto entry = backlog.first();
    backlog.hand_out(entry);
    backlog.settle(entry.number);
    backlog.give_back(entry.number);
    backlog.give_back(99);
    CHECK(backlog.ready() == 0);
}
