// SPDX-License-Identifier: Apache-2.0
#include "broker/ids/sequence_map.hpp"

#include <map>
#include <new>
#include <random>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using trilby::broker::SequenceMap;

namespace {

void check_same(SequenceMap<int>& map, const std::map<std::uint64_t, int>& model) {
    REQUIRE(map.size() == model.size());
    REQUIRE(map.first() == (model.empty() ? map.end() : model.begin()->first));
    auto expected = model.begin();
    for (auto number = map.next(0); number != map.end(); number = map.next(number + 1), ++expected) {
        REQUIRE(expected != model.end());
        REQUIRE(number == expected->first);
        REQUIRE(*map.find(number) == expected->second);
    }
    REQUIRE(expected == model.end());
}

/// A range, whole or until something is thrown for one of its values.
void take_some(SequenceMap<int>& map, std::map<std::uint64_t, int>& model,
               trilby::broker::test::Random& random) {
    const std::uint64_t first = random() % (map.end() + 2);
    const std::uint64_t end = first + random() % 200;
    unsigned left = random() % 2 == 0 ? 1000 : static_cast<unsigned>(random() % 20);
    auto expected = model.lower_bound(first);
    try {
        map.take_each(first, end, [&](int value) {
            if (left-- == 0) throw std::bad_alloc();
            REQUIRE(expected != model.end());
            REQUIRE(value == expected->second);
            expected = model.erase(expected);
        });
        REQUIRE(expected == model.lower_bound(end));
    } catch (const std::bad_alloc&) {
        REQUIRE(expected != model.lower_bound(end));
    }
    check_same(map, model);
}

}  // namespace

TEST_CASE("a sequence map finds what an ordinary map finds") {
    const auto seed = trilby::broker::test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    for (int round = 0; round < 20; ++round) {
        SequenceMap<int> map(1);
        std::map<std::uint64_t, int> model;
        std::uint64_t end = 1;
        // More is added than taken at first, then the other way round; what is taken is mostly old.
        const unsigned keep_one_in = 1 + random() % 40;
        for (int step = 0; step < 6000; ++step) {
            const unsigned what = random() % 10;
            if (what < (step < 4000 ? 6u : 2u)) {
                const int value = 1 + static_cast<int>(random() % 1000);
                REQUIRE(map.push_back(value) == end);
                model[end++] = value;
            } else if (what == 9 && step % 3 == 0) {
                REQUIRE(map.skip() == end++);
            } else if (what == 8 && step % 20 == 0) {
                take_some(map, model, random);
            } else if (!model.empty()) {
                auto place = model.begin();
                if (random() % keep_one_in == 0)
                    place = std::next(place, static_cast<long>(random() % model.size()));
                REQUIRE(map.take(place->first) == place->second);
                model.erase(place);
            }
            const std::uint64_t number = random() % (end + 3);
            const int* found = map.find(number);
            REQUIRE((found != nullptr) == model.contains(number));
            if (found != nullptr) REQUIRE(*found == model[number]);
            if (step % 500 == 0) check_same(map, model);
        }
        check_same(map, model);
    }
}

TEST_CASE("one old value among a hundred thousand that went is still found") {
    SequenceMap<int> map(1);
    const auto old = map.push_back(7);
    for (int i = 0; i < 100000; ++i) map.take(map.push_back(1));
    CHECK(map.size() == 1);
    CHECK(map.first() == old);
    CHECK(*map.find(old) == 7);
    CHECK(map.next(old + 1) == map.end());
    CHECK(map.take(old) == 7);
    CHECK(map.empty());
    CHECK(map.first() == map.end());
}
