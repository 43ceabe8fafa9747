// SPDX-License-Identifier: Apache-2.0
#include <ctime>
#include <string>

#include <doctest/doctest.h>

#include "routes.hpp"
#include "routing/topic_key.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

namespace {

/// Of this process, so that a busy machine does not count.
double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr double slower = 8;
#else
constexpr double slower = 1;
#endif

/// Generous: what takes exponential or quadratic time here takes minutes, not milliseconds.
template <class Work>
void takes_less_than_a_second(Work work) {
    const double start = cpu_seconds();
    work();
    CHECK(cpu_seconds() - start < slower);
}

std::string repeated(std::string_view words, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) {
        if (i > 0) text += '.';
        text += words;
    }
    return text;
}

}  // namespace

TEST_CASE("many # in a pattern do not multiply") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    const std::string key = repeated("a", 128), pattern = "#." + repeated("a.#", 62);
    REQUIRE(key.size() == 255);
    table.bind(exchange, to_queue(0), pattern + ".b", {});
    table.bind(exchange, to_queue(1), pattern, {});
    for (QueueIndex i = 2; i < 60; ++i) table.bind(exchange, to_queue(i), "#." + repeated("a.#", i), {});
    takes_less_than_a_second([&] {
        for (int i = 0; i < 100; ++i)
            CHECK(table.route(exchange, key + std::to_string(i % 10), {}).size() >= 1);
    });
    CHECK(routes(table, exchange, key).size() == 59);
}

TEST_CASE("patterns of stars and of every mixture with # cost each node at most once for each word") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    const std::string parts[] = {"*", "#", "a", "b"};
    QueueIndex queue = 0;
    for (std::size_t number = 0; number < 4096; ++number) {
        std::string pattern;
        for (std::size_t rest = number, i = 0; i < 6; rest /= 4, ++i) {
            if (i > 0) pattern += '.';
            pattern += parts[rest % 4];
        }
        table.bind(exchange, to_queue(queue++), pattern, {});
    }
    takes_less_than_a_second([&] {
        for (const auto* word : {"a", "b", "a.b", "c", ""}) {
            const auto key = repeated(word, 60);
            for (int i = 0; i < 5; ++i) table.route(exchange, key, {});
        }
    });
}

TEST_CASE("what ends in words behind a # is looked for before the last so many words of a key only") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    constexpr std::uint32_t patterns = 1 << 12;
    for (std::uint32_t number = 0; number < patterns; ++number) {
        std::string pattern;
        for (unsigned i = 0; i < 12; ++i) pattern += (number >> i & 1) != 0 ? "a." : "*.";
        table.bind(exchange, to_queue(0), pattern + "#.a.b", {});
        if (number % 16 == 0) table.bind(exchange, to_queue(1), pattern + "#.b." + repeated("a", 80), {});
    }
    const auto key = repeated("a", 124);
    CHECK(routes(table, exchange, key + ".b") == Queues{0});
    CHECK(routes(table, exchange, repeated("a", 12) + ".b." + repeated("a", 80)) == Queues{1});
    table.take_steps();
    CHECK(routes(table, exchange, key + ".c").empty());
    // Some nodes for each pattern, not each node for each word.
    CHECK(table.take_steps() < 15 * patterns);
}

TEST_CASE("what was removed leads nowhere, even while many of its bindings are left to be taken apart") {
    Table table;
    const auto source = table.add_exchange("source", ExchangeType::direct);
    const auto topic = table.add_exchange("topic", ExchangeType::topic);
    const auto end = table.add_exchange("end", ExchangeType::fanout);
    const auto other = table.add_exchange("other", ExchangeType::fanout);
    table.set_alternate(source, "other");
    table.bind(other, to_queue(9), "", {});
    table.bind(end, to_queue(8), "", {});
    constexpr int count = 2000;
    for (int i = 0; i < count; ++i) {
        table.bind(source, to_queue(1), std::to_string(i), {});
        table.bind(source, to_exchange(end), std::to_string(count + i), {});
        table.bind(topic, to_queue(1), "#." + std::to_string(i), {});
    }
    const std::string first = "0", last = std::to_string(count - 1);
    CHECK(routes(table, source, last) == Queues{1});
    table.add_queue("q", 1);
    table.remove_queue(1);
    for (bool done = false; !done; done = table.tidy(100)) {
        CHECK(routes(table, source, first) == Queues{9});
        CHECK(routes(table, source, last) == Queues{9});
        CHECK(routes(table, topic, last).empty());
        CHECK(routes(table, source, std::to_string(count)) == Queues{8});
    }
    CHECK(table.bindings() == count + 2);
    table.remove_exchange(end);
    CHECK_FALSE(table.find_exchange("end"));
    for (bool done = false; !done; done = table.tidy(100)) {
        CHECK(routes(table, source, std::to_string(count)) == Queues{9});
        CHECK(routes(table, source, std::to_string(2 * count - 1)) == Queues{9});
    }
    CHECK(table.bindings() == 1);
    CHECK(table.bindings_from(source) == 0);
    table.bind(source, to_queue(1), "k", {});
    CHECK(routes(table, source, "k") == Queues{1});
}

TEST_CASE("a pattern fits or does not in time that grows with both lengths, not faster") {
    takes_less_than_a_second([] {
        for (int i = 0; i < 1000; ++i) {
            CHECK_FALSE(topic_matches("#." + repeated("a.#", 62) + ".b", repeated("a", 128)));
        }
    });
}

TEST_CASE("keys and patterns longer than AMQP allows are routed like others") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    const auto key = repeated("word", 1000), other = key + ".x";
    table.bind(exchange, to_queue(0), key, {});
    table.bind(exchange, to_queue(1), "#." + key, {});
    table.bind(exchange, to_queue(2), "*." + std::string(300, 'y') + ".#", {});
    for (int i = 0; i < 3; ++i) {
        CHECK(routes(table, exchange, key) == Queues{0, 1});
        CHECK(routes(table, exchange, other).empty());
        CHECK(routes(table, exchange, "x." + std::string(300, 'y') + ".z") == Queues{2});
        CHECK(routes(table, exchange, "x." + std::string(301, 'y') + ".z").empty());
    }
}

TEST_CASE("a message with one header many times, or a binding with many, costs what its size is") {
    Table table;
    const auto exchange = table.add_exchange("h", ExchangeType::headers);
    TableBuilder many;
    for (int i = 0; i < 5000; ++i) many.integer(std::to_string(i), i);
    const auto arguments = many.take();
    table.bind(exchange, to_queue(0), "", TableView(arguments));
    std::string same;
    for (int i = 0; i < 20'000; ++i) same += TableBuilder().integer("7", 7).take();
    const auto any = same + TableBuilder().string("x-match", "any").take();
    table.bind(exchange, to_queue(1), "", TableView(any));
    takes_less_than_a_second([&] {
        for (int i = 0; i < 20; ++i) {
            CHECK(routes(table, exchange, "", arguments) == Queues{0, 1});
            CHECK(routes(table, exchange, "", same) == Queues{1});
        }
    });
}

TEST_CASE("100,000 bindings come and go in microseconds each, also of one queue or one pattern") {
    Table table;
    const auto topic = table.add_exchange("t", ExchangeType::topic);
    const auto fanout = table.add_exchange("f", ExchangeType::fanout);
    constexpr QueueIndex count = 100'000;
    const auto pattern = [](QueueIndex i) {
        return "*." + std::to_string(i % 1000) + '.' + std::to_string(i);
    };
    const double start = cpu_seconds();
    for (QueueIndex i = 0; i < count; ++i) {
        table.bind(topic, to_queue(0), pattern(i), {});
        table.bind(fanout, to_queue(i), "", {});
    }
    CHECK(routes(table, topic, "x.7.7") == Queues{0});
    CHECK(table.route(fanout, "", {}).size() == count);
    for (QueueIndex i = 1; i < count; ++i) table.unbind(fanout, to_queue(i), "", {});
    table.remove_queue(0);
    CHECK(routes(table, topic, "x.7.7").empty());
    CHECK(table.bindings() > 0);  // nobody waits for so many
    CHECK(table.tidy(SIZE_MAX));
    CHECK(table.bindings() == 0);
    // 400,000 changes: 10 µs each on a slow and busy machine.
    CHECK(cpu_seconds() - start < 4 * slower);
}
