// SPDX-License-Identifier: Apache-2.0
#include "auth/loopback.hpp"

#include <doctest/doctest.h>

using trilby::auth::is_loopback;

TEST_CASE("loopback is 127.0.0.0/8, ::1 and the mapped form of the former") {
    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("127.255.0.9"));
    CHECK(is_loopback("::1"));
    CHECK(is_loopback("::ffff:127.0.0.1"));
    CHECK(is_loopback("::ffff:127.1.2.3"));
}

TEST_CASE("other addresses, and what is no address, are not loopback") {
    for (const char* address : {"128.0.0.1",       "10.0.0.127", "0.0.0.0",     "::",         "::2",
                                "::ffff:10.0.0.1", "fe80::1",    "::127.0.0.1", "localhost",  "",
                                "127.0.0.1:5672",  "127.1",      "127.0.0.256", "127.0.0.-1", "127..0.1",
                                "127.0.0.1.",      "::ffff:",    "::1%lo",      "[::1]",      " 127.0.0.1"}) {
        CAPTURE(address);
        CHECK_FALSE(is_loopback(address));
    }
    CHECK_FALSE(is_loopback(std::string("127.0.0.1\0.example", 18)));
}
