// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/checker.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

using namespace trilby::perf;

namespace {

Stamp stamp(std::uint32_t producer, std::uint64_t sequence) {
    std::array<char, Stamp::size> bytes{};
    Stamp::write(bytes.data(), producer, sequence);
    return Stamp::read(bytes.data());
}

/// One producer, one queue that gets everything, `streams` consumers.
Checker plain(std::size_t streams = 1) {
    return Checker(1, 1, streams, {Pattern({true})});
}

Faults after(Checker& checker, std::initializer_list<std::uint64_t> sequences, std::uint64_t published) {
    for (const auto sequence : sequences) checker.arrived(0, 0, stamp(0, sequence));
    return checker.finish(std::array{published});
}

}  // namespace

TEST_CASE("messages that all come once and in order are no fault") {
    Checker checker = plain();
    const Faults faults = after(checker, {0, 1, 2, 3}, 4);
    CHECK(faults.none());
    CHECK(faults.first.empty());
}

TEST_CASE("a message that never comes is lost, in the middle, at the end, or all of them") {
    Checker middle = plain(), end = plain(), all = plain();
    CHECK(after(middle, {0, 1, 3, 4}, 5).lost == 1);
    CHECK(after(end, {0, 1, 2}, 5).lost == 2);
    const Faults faults = after(all, {}, 3);
    CHECK(faults.lost == 3);
    CHECK(faults.first == "3 messages of producer 0 never came from queue 0");
}

TEST_CASE("what was taken before is neither lost nor welcome again") {
    Checker rest = plain(), again = plain();
    rest.taken_before(2);
    CHECK(after(rest, {2, 3}, 4).none());
    again.taken_before(2);
    CHECK(after(again, {1, 2, 3}, 4).doubled == 1);
}

TEST_CASE("a message that comes again is doubled, at once or later") {
    Checker at_once = plain(), later = plain(), early = plain();
    CHECK(after(at_once, {0, 1, 1, 2}, 3).doubled == 1);
    CHECK(after(later, {0, 1, 2, 0}, 3).doubled == 1);
    const Faults faults = after(early, {0, 2, 2, 1}, 3);
    CHECK(faults.doubled == 1);
    CHECK(faults.first == "message 2 of producer 0 came again from queue 0");
}

TEST_CASE("a message that comes after a later one is disordered and not lost") {
    Checker checker = plain();
    const Faults faults = after(checker, {0, 2, 1, 3}, 4);
    CHECK(faults.disordered == 1);
    CHECK(faults.lost == 0);
    CHECK(faults.doubled == 0);
    CHECK(faults.first == "message 1 of producer 0 came after a later one from queue 0");
}

TEST_CASE("two consumers of one queue may interleave, but each sees its messages in order") {
    Checker fair = plain(2), unfair = plain(2);
    for (const std::uint64_t sequence : {1u, 3u, 5u}) fair.arrived(1, 0, stamp(0, sequence));
    for (const std::uint64_t sequence : {0u, 2u, 4u}) fair.arrived(0, 0, stamp(0, sequence));
    CHECK(fair.finish(std::array<std::uint64_t, 1>{6}).none());
    for (const std::uint64_t sequence : {0u, 2u}) unfair.arrived(0, 0, stamp(0, sequence));
    for (const std::uint64_t sequence : {3u, 1u}) unfair.arrived(1, 0, stamp(0, sequence));
    CHECK(unfair.finish(std::array<std::uint64_t, 1>{4}).disordered == 1);
}

TEST_CASE("a message in a queue that its key does not belong to is misrouted") {
    Checker checker(1, 2, 2, {Pattern({true, false}), Pattern({true, true})});
    checker.arrived(0, 0, stamp(0, 0));
    checker.arrived(0, 0, stamp(0, 1));
    checker.arrived(1, 1, stamp(0, 0));
    checker.arrived(1, 1, stamp(0, 1));
    const Faults faults = checker.finish(std::array<std::uint64_t, 1>{2});
    CHECK(faults.misrouted == 1);
    CHECK(faults.lost == 0);
}

TEST_CASE("a stamp that was not written, or of a producer that is not there, is damage") {
    Checker checker = plain();
    Stamp broken = stamp(0, 0);
    broken.sequence = 7;
    checker.arrived(0, 0, broken);
    checker.arrived(0, 0, stamp(1, 0));
    CHECK(checker.finish(std::array<std::uint64_t, 1>{0}).damaged == 2);
}

TEST_CASE("what is due follows from what was published and where its keys go") {
    const Checker checker(
        2, 2, 2, {Pattern({true, false, true}), Pattern({true}), Pattern({false}), Pattern({false, true})});
    CHECK(checker.due(std::array<std::uint64_t, 2>{0, 0}) == 0);
    CHECK(checker.due(std::array<std::uint64_t, 2>{3, 0}) == 2 + 3);
    CHECK(checker.due(std::array<std::uint64_t, 2>{4, 3}) == 3 + 4 + 0 + 1);
}

TEST_CASE("whatever is left out, repeated or swapped in a random run is counted exactly") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        const std::uint64_t published = 200;
        const Pattern pattern({true, false, true, true, false});
        std::vector<std::uint64_t> arriving;
        std::uint64_t dropped = 0, repeated = 0;
        for (std::uint64_t sequence = 0; sequence < published; ++sequence) {
            if (pattern.rank(sequence) == Pattern::not_taken) continue;
            const auto fate = random() % 10;
            if (fate == 0)
                ++dropped;
            else
                arriving.push_back(sequence);
            if (fate == 1) arriving.push_back(sequence), ++repeated;
        }
        if (round % 2 == 1) std::shuffle(arriving.begin(), arriving.end(), random);
        std::uint64_t disordered = 0, above_last = 0;
        std::set<std::uint64_t> seen;
        for (const auto sequence : arriving) {
            if (!seen.insert(sequence).second) continue;
            if (sequence < above_last)
                ++disordered;
            else
                above_last = sequence + 1;
        }

        Checker checker(1, 1, 1, {pattern});
        for (const auto sequence : arriving) checker.arrived(0, 0, stamp(0, sequence));
        const Faults faults = checker.finish(std::array{published});
        CHECK(faults.lost == dropped);
        CHECK(faults.doubled == repeated);
        CHECK(faults.disordered == disordered);
        CHECK(faults.misrouted == 0);
    }
}
