// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/timers.hpp"

#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Timer::Time begin{hours{1000}};

struct Alarm final : Timer {
    std::function<void()> act = [] {};
    int rung = 0;

  private:
    void due() override {
        ++rung;
        act();
    }
};

}  // namespace

TEST_CASE("a timer rings once, not early, and late by a tick at most") {
    for (const auto wait : {milliseconds{0}, milliseconds{1}, milliseconds{250}, milliseconds{999},
                            milliseconds{127'900}, milliseconds{128'000}, milliseconds{600'000}}) {
        Alarm alarm;
        Timer::Time now = begin;
        TimerWheel wheel;
        wheel.advance(now);
        wheel.set(alarm, now + wait);
        CHECK(alarm.at() == now + wait);
        while (alarm.rung == 0) {
            now += milliseconds{10};
            wheel.advance(now);
            REQUIRE(now <= begin + wait + 2 * TimerWheel::tick);
        }
        CHECK(now >= begin + wait);
        CHECK(now <= begin + wait + TimerWheel::tick + milliseconds{10});
        CHECK(alarm.at() == Timer::never);
        wheel.advance(now + hours{1});
        CHECK(alarm.rung == 1);
    }
}

TEST_CASE("what is set again, cancelled or gone does not ring as it was set first") {
    TimerWheel wheel;
    wheel.advance(begin);
    Alarm later, sooner, cancelled;
    auto gone = std::make_unique<Alarm>();
    for (Alarm* alarm : {&later, &sooner, &cancelled, gone.get()}) wheel.set(*alarm, begin + seconds{10});
    wheel.set(later, begin + seconds{20});
    wheel.set(sooner, begin + seconds{5});
    wheel.cancel(cancelled);
    gone.reset();
    wheel.advance(begin + seconds{6});
    CHECK(sooner.rung == 1);
    wheel.advance(begin + seconds{15});
    CHECK(later.rung == 0);
    CHECK(cancelled.rung == 0);
    wheel.advance(begin + seconds{21});
    CHECK(later.rung == 1);
}

TEST_CASE("a timer that rings may set itself, cancel others, and throw") {
    TimerWheel wheel;
    wheel.advance(begin);
    Alarm first, second, third;
    for (Alarm* alarm : {&first, &second, &third}) wheel.set(*alarm, begin);
    first.act = [&] {
        wheel.set(first, begin + seconds{2});
        wheel.cancel(second);
        throw std::runtime_error("now");
    };
    CHECK_THROWS(wheel.advance(begin + seconds{1}));
    CHECK(first.rung + third.rung == 1);
    wheel.advance(begin + seconds{1});
    CHECK(second.rung == 0);
    CHECK(third.rung == 1);
    CHECK_THROWS(wheel.advance(begin + seconds{3}));
    CHECK(first.rung == 2);
}

TEST_CASE("each rings once in its time, whatever is set and cancelled") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    test::Random random(seed);
    TimerWheel wheel;
    Timer::Time now = begin;
    wheel.advance(now);
    std::vector<Alarm> alarms(50);
    std::vector<Timer::Time> wanted(alarms.size(), Timer::never);
    for (int step = 0; step < 20000; ++step) {
        const std::size_t one = random() % alarms.size();
        switch (random() % 4) {
            case 0:
                wanted[one] = now + milliseconds{random() % 400'000};
                wheel.set(alarms[one], wanted[one]);
                break;
            case 1:
                wanted[one] = Timer::never;
                wheel.cancel(alarms[one]);
                break;
            default: now += milliseconds{random() % (random() % 50 == 0 ? 300'000 : 300)}; wheel.advance(now);
        }
        for (std::size_t i = 0; i < alarms.size(); ++i) {
            if (std::exchange(alarms[i].rung, 0) != 0) {
                REQUIRE(wanted[i] <= now);
                wanted[i] = Timer::never;
            }
            REQUIRE(alarms[i].at() == wanted[i]);
            REQUIRE((wanted[i] == Timer::never || wanted[i] > now - 2 * TimerWheel::tick));
        }
    }
}
