// SPDX-License-Identifier: Apache-2.0
#include "broker/net/patience.hpp"

#include <doctest/doctest.h>

using trilby::broker::Patience;

TEST_CASE("as long as looks find something, there is one before each sleep") {
    Patience patience;
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(patience.worth_a_look());
        patience.looked(true);
    }
}

TEST_CASE("looks in vain become rare, and one that finds something brings them back") {
    Patience patience;
    const auto sleeps_until_a_look = [&] {
        unsigned sleeps = 0;
        while (!patience.worth_a_look()) ++sleeps;
        return sleeps;
    };
    CHECK(sleeps_until_a_look() == 0);
    for (const unsigned rest : {1u, 3u, 7u, 15u, 31u, 63u, 127u, 255u, 255u}) {
        patience.looked(false);
        CHECK(sleeps_until_a_look() == rest);
    }
    patience.looked(true);
    CHECK(sleeps_until_a_look() == 0);
}
