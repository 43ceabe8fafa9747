// SPDX-License-Identifier: Apache-2.0
#include "auth/login_throttle.hpp"

#include <doctest/doctest.h>

using namespace trilby::auth;
using namespace std::chrono_literals;
using Time = LoginThrottle::Time;

namespace {

/// Some time after the clock began, as every program is.
const Time start = Time{} + 1000h;

/// An attempt with a wrong password; returns how long it waited, or a negative time if it was refused unseen.
std::chrono::milliseconds guess(LoginThrottle& throttle, const std::string& address, Time now) {
    const auto at = throttle.admit(address, "user", now);
    throttle.failed(address, "user", at.value_or(now));
    return at ? std::chrono::duration_cast<std::chrono::milliseconds>(*at - now) : -1ms;
}

}  // namespace

TEST_CASE("a few wrong passwords cost nothing, more cost a second each") {
    LoginThrottle throttle;
    Time now = start;
    for (unsigned i = 0; i < LoginThrottle::free_failures; ++i)
        CHECK(guess(throttle, "10.0.0.1", now) == 0ms);
    std::chrono::milliseconds waited{0};
    for (int i = 0; i < 100; ++i) {
        const auto wait = guess(throttle, "10.0.0.1", now);
        REQUIRE(wait >= 0ms);
        waited += wait;
        now += wait;
    }
    CHECK(waited > 90s);
    CHECK(waited <= 100s);
}

TEST_CASE("attempts at the same time wait in line, and those beyond it are refused unseen") {
    LoginThrottle throttle;
    unsigned seen = 0;
    for (int i = 0; i < 1000; ++i)
        if (const auto at = throttle.admit("10.0.0.1", "user", start)) {
            ++seen;
            CHECK(*at - start <= LoginThrottle::longest_wait);
            throttle.failed("10.0.0.1", "user", start);
        }
    CHECK(seen < 20);
    CHECK(throttle.admit("10.0.0.1", "user", start + LoginThrottle::longest_wait + 2s));
}

TEST_CASE("other users of the address, and the user elsewhere, do not wait") {
    LoginThrottle throttle;
    for (int i = 0; i < 1000; ++i) guess(throttle, "10.0.0.1", start);
    CHECK(throttle.admit("10.0.0.1", "other", start) == start);
    CHECK(throttle.admit("10.0.0.2", "user", start) == start);
    CHECK_FALSE(throttle.admit("10.0.0.1", "user", start));
}

TEST_CASE("an IPv6 network is one, an IPv4 address in IPv6 is not") {
    LoginThrottle throttle;
    for (int i = 0; i < 1000; ++i) guess(throttle, "2001:db8::" + std::to_string(i), start);
    CHECK_FALSE(throttle.admit("2001:db8::ffff", "user", start));
    CHECK(throttle.admit("2001:db8:0:1::1", "user", start) == start);
    for (int i = 0; i < 1000; ++i) guess(throttle, "::ffff:10.0.0.1", start);
    CHECK_FALSE(throttle.admit("::ffff:10.0.0.1", "user", start));
    CHECK(throttle.admit("::ffff:10.0.0.2", "user", start) == start);
}

TEST_CASE("who was quiet for a minute begins anew") {
    LoginThrottle throttle;
    for (int i = 0; i < 100; ++i) guess(throttle, "10.0.0.1", start);
    const Time later = start + LoginThrottle::longest_wait + LoginThrottle::forgotten_after;
    CHECK(throttle.admit("10.0.0.1", "user", later) == later);
    CHECK(throttle.failed("10.0.0.1", "user", later) > 1);  // what was not told
    CHECK(throttle.failed("10.0.0.1", "user", later) == 1);
}

TEST_CASE("the first failures have a line each, then there are sums, and no failure is forgotten") {
    LoginThrottle throttle;
    unsigned lines = 0, told = 0;
    const auto say = [&](unsigned failures) {
        lines += failures != 0 ? 1 : 0;
        told += failures;
    };
    for (int i = 0; i < 3000; ++i) say(throttle.failed("10.0.0.1", "user", start + i * 10ms));
    CHECK(lines == LoginThrottle::free_failures + 2);
    for (const auto& sum : throttle.sums(start + 60s)) {
        CHECK(sum.network == "10.0.0.1");
        CHECK(sum.user == "user");
        say(sum.failures);
    }
    CHECK(throttle.sums(start + 120s).empty());
    CHECK(told == 3000);
}

TEST_CASE("it does not grow") {
    LoginThrottle throttle;
    for (unsigned i = 0; i < 5 * LoginThrottle::most_entries; ++i)
        throttle.failed("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256), "user",
                        start + i * 1ms);
    CHECK(throttle.entries() == LoginThrottle::most_entries);
    const Time later = start + 1h;
    CHECK(throttle.sums(later).empty());
    throttle.failed("10.9.9.9", "user", later);
    CHECK(throttle.entries() == 1);
}
