// SPDX-License-Identifier: Apache-2.0
#include "client/in_order.hpp"

#include <doctest/doctest.h>

using trilby::client::InOrder;

TEST_CASE("numbers that were given up to bound the memory still count as missing") {
    InOrder numbers;
    bool all_new = true;
    for (std::uint64_t number = 1; number < InOrder::reach + 100; ++number) all_new &= numbers.add(number);
    CHECK(all_new);
    CHECK(numbers.missing_below(InOrder::reach + 100) == 1);
    CHECK_FALSE(numbers.add(0));
}

TEST_CASE("confirms count each number once, alone or all together") {
    InOrder numbers;
    CHECK(numbers.add(2));
    CHECK(numbers.add_all_below(2) == 2);
    CHECK(numbers.next() == 3);
    CHECK(numbers.add(5));
    CHECK(numbers.add_all_below(8) == 4);
    CHECK(numbers.add_all_below(8) == 0);
    CHECK_FALSE(numbers.add(7));
    CHECK(numbers.missing_below(10) == 2);
}
