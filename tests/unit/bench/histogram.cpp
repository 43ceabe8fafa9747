// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/histogram.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include <doctest/doctest.h>

using trilby::perf::Histogram;

TEST_CASE("percentiles of small values are exact") {
    Histogram histogram;
    for (int value = 1; value <= 100; ++value) histogram.add(value);
    CHECK(histogram.percentile(50) == 50);
    CHECK(histogram.percentile(99) == 99);
    CHECK(histogram.percentile(100) == 100);
    CHECK(histogram.percentile(99.9) == 100);
    CHECK(histogram.percentile(0) == 1);
    CHECK(histogram.largest() == 100);
    CHECK(histogram.count() == 100);
}

TEST_CASE("one slow message shows in the maximum and not in the median") {
    Histogram histogram;
    for (int i = 0; i < 999; ++i) histogram.add(20'000);
    histogram.add(5'000'000'000);
    CHECK(histogram.largest() == 5'000'000'000);
    CHECK(histogram.percentile(50) < 20'200);
    CHECK(histogram.percentile(99.9) < 20'200);
    CHECK(histogram.percentile(99.95) == 5'000'000'000);
}

TEST_CASE("nothing recorded has percentiles of zero, and time never runs backwards") {
    Histogram histogram;
    CHECK(histogram.percentile(50) == 0);
    histogram.add(-5);
    CHECK(histogram.percentile(50) == 0);
    CHECK(histogram.count() == 1);
}

TEST_CASE("a percentile is the sorted value of that rank, at most one part in 128 above it") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    std::vector<std::uint64_t> values;
    Histogram histogram;
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t value = (random() >> 1) >> (random() % 63);
        values.push_back(value);
        histogram.add(static_cast<std::int64_t>(value));
    }
    std::sort(values.begin(), values.end());
    for (const double percent : {1.0, 50.0, 95.0, 99.0, 99.9}) {
        const auto exact =
            values[static_cast<std::size_t>(percent / 100 * static_cast<double>(values.size()) + 0.5) - 1];
        const auto found = histogram.percentile(percent);
        CAPTURE(percent);
        CHECK(found >= exact);
        CHECK(found - exact <= exact / 128);
    }
}
