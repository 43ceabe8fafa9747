// SPDX-License-Identifier: Apache-2.0
#include "broker/session/session_life.hpp"

#include <doctest/doctest.h>

using namespace trilby::broker;

namespace {

using Stage = SessionLife::Stage;
using std::chrono::seconds;

constexpr SessionLife::Time noon{std::chrono::hours{12}};

template <class F>
void each_stage(F visit) {
    for (unsigned stage = 0; stage < SessionLife::stages; ++stage) visit(static_cast<Stage>(stage));
}

}  // namespace

TEST_CASE("a session goes forward only, and can be dropped at any time") {
    each_stage([](Stage stage) {
        CHECK(SessionLife::may_follow(stage, Stage::dropped) == (stage != Stage::dropped));
        each_stage([&](Stage next) {
            if (next <= stage) CHECK_FALSE(SessionLife::may_follow(stage, next));
        });
    });
}

TEST_CASE("a session that has run is over only when it has given up what it holds, or is dropped") {
    each_stage([](Stage next) {
        CHECK(SessionLife::may_follow(Stage::running, next) ==
              (next == Stage::ending || next == Stage::dropped));
        CHECK(SessionLife::may_follow(Stage::ending, next) ==
              (next == Stage::giving_up || next == Stage::dropped));
    });
}

TEST_CASE("the handshake has one deadline, and running has none") {
    SessionLife life(noon);
    for (const Stage stage : {Stage::start_ok, Stage::tune_ok, Stage::open}) {
        CHECK(life.in_handshake());
        REQUIRE(life.enter(stage, noon + seconds{100}));
        CHECK_FALSE(life.expired(noon - seconds{1}));
        CHECK(life.expired(noon));
    }
    REQUIRE(life.enter(Stage::running));
    CHECK_FALSE(life.expired(noon + std::chrono::hours{10'000}));
}

TEST_CASE("what comes too late changes nothing") {
    SessionLife life(noon);
    REQUIRE(life.enter(Stage::leaving, noon));
    CHECK_FALSE(life.enter(Stage::ending));
    CHECK_FALSE(life.enter(Stage::start_ok));
    CHECK(life.stage() == Stage::leaving);
    CHECK(life.expired(noon));
}

TEST_CASE("a deadline can be brought forward, not put off") {
    SessionLife life(noon);
    life.hurry(noon + seconds{1});
    CHECK(life.expired(noon));
    life.hurry(noon - seconds{1});
    CHECK(life.expired(noon - seconds{1}));
}
