// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/log/gatherer.hpp"
#include "broker/log/line.hpp"

using namespace trilby::broker::log;
using namespace std::chrono_literals;

namespace {

/// Local time is that of `zone` while it lives.
class Zone {
  public:
    explicit Zone(const char* zone) {
        ::setenv("TZ", zone, 1);
        ::tzset();
    }
    ~Zone() {
        ::unsetenv("TZ");
        ::tzset();
    }
};

constexpr std::chrono::system_clock::time_point noon{1'795'953'600'123ms};  // 2026-11-29, in UTC

std::string line(const Line& line, const Style& style = {}) {
    std::string out;
    append_line(out, line, style);
    return out;
}

/// What a gatherer lets through, with the clock in the test's hand.
struct Log {
    Gatherer gatherer;
    Gatherer::Clock::time_point now{1h};
    std::vector<std::string> written;

    void say(Event event, const std::string& by, const std::string& message) {
        const Fields fields{.event = event, .gathered_by = by};
        const Line one{.time = noon, .level = Level::warning, .message = message, .fields = &fields};
        if (gatherer.passes(one, now)) written.push_back(message);
    }
    void pass(std::chrono::seconds time) {
        now += time;
        gatherer.take_due(now, [this](const Line& one) { keep(one); });
    }
    void keep(const Line& one) {
        written.push_back(std::string(one.message) + " +" + std::to_string(one.more));
    }
};

}  // namespace

TEST_CASE("a line has a time with its offset, a level, and a sentence") {
    const Line one{.time = noon, .level = Level::warning, .message = "memory alarm"};
    {
        const Zone zone("UTC0");
        CHECK(line(one) == "2026-11-29T12:00:00.123+00:00 warning memory alarm\n");
    }
    {
        const Zone zone("NST3:30");
        CHECK(line(one) == "2026-11-29T08:30:00.123-03:30 warning memory alarm\n");
    }
    {
        const Zone zone("IST-5:30");
        CHECK(line(one) == "2026-11-29T17:30:00.123+05:30 warning memory alarm\n");
    }
}

TEST_CASE("colours are of the level, and only where they are wanted") {
    const Zone zone("UTC0");
    const Line one{.time = noon, .level = Level::error, .message = "x"};
    CHECK(line(one, {.colours = true}) == "2026-11-29T12:00:00.123+00:00 \033[31merror\033[0m x\n");
}

TEST_CASE("systemd's journal gets priorities and stamps itself") {
    const auto of = [](Level level) {
        return line({.time = noon, .level = level, .message = "x"}, {.journal = true});
    };
    CHECK(of(Level::debug) == "<7>x\n");
    CHECK(of(Level::info) == "<6>x\n");
    CHECK(of(Level::warning) == "<4>x\n");
    CHECK(of(Level::error) == "<3>x\n");
    CHECK(of(Level::critical) == "<2>x\n");
}

TEST_CASE("a message stays on its line, whoever forgot to quote what is in it") {
    const Zone zone("UTC0");
    const Line one{.time = noon, .message = "a\nb\033[31m\r"};
    CHECK(line(one) == "2026-11-29T12:00:00.123+00:00 info a\\x0ab\\x1b[31m\\x0d\n");
    CHECK(line(one, {.format = Format::json}) ==
          R"({"time":"2026-11-29T12:00:00.123+00:00","level":"info","message":"a\\x0ab\\x1b[31m\\x0d"})"
          "\n");
    const std::string endless(1 << 20, 'x');
    CHECK(line({.time = noon, .message = endless}).size() < 17'000);
}

TEST_CASE("JSON has the members of what happened") {
    const Zone zone("UTC0");
    const Fields fields{.event = Event::connection_closed,
                        .connection = "127.0.0.1:5 -> 127.0.0.1:5672",
                        .name = "a \"name\"\n",
                        .peer = "127.0.0.1:5",
                        .user = "guest",
                        .vhost = "/",
                        .code = 320,
                        .text = "CONNECTION_FORCED",
                        .lasted = 1500ms,
                        .published = 7,
                        .delivered = 0};
    CHECK(line({.time = noon, .message = "m", .fields = &fields, .more = 4312, .within = 10s},
               {.format = Format::json}) ==
          R"({"time":"2026-11-29T12:00:00.123+00:00","level":"info","event":"connection_closed",)"
          R"("connection":"127.0.0.1:5 -> 127.0.0.1:5672","name":"a \"name\"\\x0a","peer":"127.0.0.1:5",)"
          R"("user":"guest","vhost":"/","code":320,"text":"CONNECTION_FORCED",)"
          R"("lasted_ms":1500,"published":7,"delivered":0,"more":4312,"message":"m; and 4,312 more in 10 s"})"
          "\n");
}

TEST_CASE("the first lines of a kind are written, then one in ten seconds with the number of the others") {
    Log log;
    for (int i = 1; i <= 1000; ++i) log.say(Event::login_refused, "192.0.2.1", std::to_string(i));
    log.say(Event::login_refused, "192.0.2.2", "another peer");
    log.say(Event::handshake_failed, "192.0.2.1", "another event");
    REQUIRE(log.written.size() == 12);
    CHECK(log.written[9] == "10");
    log.pass(9s);
    CHECK(log.written.size() == 12);
    log.pass(1s);
    REQUIRE(log.written.size() == 13);
    CHECK(log.written.back() == "1000 +989");

    // As long as it goes on, there is only that line.
    for (int i = 0; i < 500; ++i) log.say(Event::login_refused, "192.0.2.1", "on");
    CHECK(log.written.size() == 13);
    log.pass(10s);
    CHECK(log.written.back() == "on +499");

    // After a quiet time all begins again.
    log.pass(10s);
    CHECK(!log.gatherer.next());
    log.say(Event::login_refused, "192.0.2.1", "again");
    CHECK(log.written.back() == "again");
}

TEST_CASE("one line that was held back is written as it is") {
    Log log;
    for (int i = 1; i <= 11; ++i) log.say(Event::channel_closed, "user", std::to_string(i));
    CHECK(log.written.size() == 10);
    log.gatherer.take_all(log.now, [&](const Line& one) { log.keep(one); });
    CHECK(log.written.back() == "11 +0");
}

TEST_CASE("what is not of a kind is always written") {
    Log log;
    for (int i = 0; i < 100; ++i) log.say(Event::other, "", "x");
    CHECK(log.written.size() == 100);
    CHECK(!log.gatherer.next());
}

TEST_CASE("whoever comes with new names is gathered as well, and the table stays small") {
    Log log;
    const std::size_t addresses = 50'000;
    for (std::size_t i = 0; i < addresses; ++i) log.say(Event::login_refused, std::to_string(i), "x");
    CHECK(log.written.size() == Gatherer::most_kinds + 10);
    log.pass(10s);
    CHECK(log.written.back() == "x +" + std::to_string(addresses - Gatherer::most_kinds - 10 - 1));
}
