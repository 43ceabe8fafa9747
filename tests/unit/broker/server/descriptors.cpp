// SPDX-License-Identifier: Apache-2.0
#include "broker/server/descriptors.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace trilby::broker;

TEST_CASE("connections leave descriptors for the broker's own files, under every limit") {
    CHECK(most_connections(20000, 30, 2) == 20000 - 30 - 48);
    for (std::size_t limit = 0; limit < 5000; limit += 7)
        for (const std::size_t shards : {1, 4, 64}) {
            const std::size_t most = most_connections(limit, 40, shards);
            CHECK(most >= 1);
            if (limit > 42) CHECK(limit - 40 - most >= std::min<std::size_t>(32, (limit - 40) / 2));
        }
    CHECK(most_connections(64, 24, 2) == 20);
    CHECK(most_connections(10, 24, 2) == 1);
}

TEST_CASE("the soft limit becomes the hard one") {
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit lower{std::min<rlim_t>(before.rlim_max, 128), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
    CHECK(raise_descriptor_limit() == before.rlim_max);
    rlimit after{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_max);
}

TEST_CASE("open descriptors are counted") {
    const std::size_t before = open_descriptors();
    REQUIRE(before > 2);
    const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    CHECK(open_descriptors() == before + 1);
    ::close(file);
}
