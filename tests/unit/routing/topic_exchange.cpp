// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <doctest/doctest.h>

#include "routes.hpp"
#include "routing/topic_key.hpp"
#include "routing/topic_pattern.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;

namespace {

struct Case {
    std::string_view pattern, key;
    bool matches;
};

const Case cases[] = {
    {"#", "", true},
    {"#", "a", true},
    {"#", "a.b", true},
    {"#", ".", true},
    {"*", "a", true},
    {"*", "", false},
    {"*", "a.b", false},
    {"a.#", "a", true},
    {"a.#", "a.b", true},
    {"a.#", "a.b.c", true},
    {"a.#", "a.", true},
    {"a.#", "ab", false},
    {"a.#", "", false},
    {"a.*", "a.", true},
    {"a.*", "a.b", true},
    {"a.*", "a", false},
    {"a.*", "a.b.c", false},
    {"#.b", "b", true},
    {"#.b", "a.b", true},
    {"#.b", ".b", true},
    {"#.b", "ab", false},
    {"#.b", "b.a", false},
    {"a.#.b", "a.b", true},
    {"a.#.b", "a.x.b", true},
    {"a.#.b", "a.x.y.b", true},
    {"a.#.b", "a", false},
    {"a.#.b", "b", false},
    {"", "", true},
    {"", "a", false},
    {"", ".", false},
    {"*.*", ".", true},
    {"*.*", "a.b", true},
    {"*.*", "a", false},
    {"a*", "a*", true},
    {"a*", "ab", false},
    {"#a", "a", false},
    {"#.#", "", true},
    {"#.*", "", false},
    {"#.*", "a", true},
    {"*.#", "a.b", true},
    {"*.#.*", "a", false},
    {"*.#.*", "a.b", true},
    {"*.#.*", "a.b.c", true},
    {"#.*.#", "a", true},
    {"#.a.#.b", "x.a.y.b", true},
    {"#.a.#.b", "b.a", false},
    {"a..b", "a..b", true},
    {"a.*.b", "a..b", true},
    {"a.b", "a..b", false},
    {".", ".", true},
    {".*", ".a", true},
    {"*.", "a.", true},
    {"org.fedoraproject.*.bodhi.#", "org.fedoraproject.prod.bodhi.update.comment", true},
    {"org.fedoraproject.*.bodhi.#", "org.fedoraproject.prod.koji.build", false},
    {"org.fedoraproject.#", "org.fedoraproject", true},
    {"org.fedoraproject.#", "org.fedoraproject.", true},
    {"org.fedoraproject.*", "org.fedoraproject", false},
    {"org.fedoraproject.*", "org.fedoraproject.", true},
    {"*.*.prod", "org.fedoraproject.prod", true},
    {"#.fedoraproject.#.tag", "org.fedoraproject.prod.buildsys.tag", true},
    {"*.a-word-of-more-than-sixteen-bytes.#", "x.a-word-of-more-than-sixteen-bytes", true},
    {"*.a-word-of-more-than-sixteen-bytes.#", "x.a-word-of-MORE-than-sixteen-bytes", false},
};

}  // namespace

TEST_CASE("a topic binding matches the keys of RabbitMQ's table and no others") {
    for (const auto& [pattern, key, matches] : cases) {
        CAPTURE(pattern);
        CAPTURE(key);
        CHECK(topic_matches(pattern, key) == matches);
        Table table;
        const auto exchange = table.add_exchange("t", ExchangeType::topic);
        table.bind(exchange, to_queue(7), pattern, {});
        CHECK(routes(table, exchange, key) == (matches ? Queues{7} : Queues{}));
        CHECK(table.matching_bindings(exchange, key, {}) == (matches ? 1 : 0));
        table.unbind(exchange, to_queue(7), pattern, {});
        CHECK(routes(table, exchange, key).empty());
    }
}

TEST_CASE("all topic bindings of the table work side by side in one exchange") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    for (QueueIndex i = 0; const auto& each : cases) table.bind(exchange, to_queue(i++), each.pattern, {});
    for (const auto& message : cases) {
        Queues expected;
        for (QueueIndex i = 0; const auto& each : cases) {
            if (topic_matches(each.pattern, message.key)) expected.push_back(i);
            ++i;
        }
        CAPTURE(message.key);
        CHECK(routes(table, exchange, message.key) == expected);
    }
}

TEST_CASE("a queue bound by several matching patterns is in the result once") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    for (const auto* pattern : {"#", "a.#", "a.*", "a.b", "#.b", "*.b", "#.a.#", "#.#"}) {
        table.bind(exchange, to_queue(3), pattern, {});
    }
    CHECK(routes(table, exchange, "a.b") == Queues{3});
    CHECK(table.matching_bindings(exchange, "a.b", {}) == 8);
}

TEST_CASE("a topic pattern has one normal form") {
    CHECK(TopicPattern("#.#.#").text() == "#");
    CHECK(TopicPattern("#.*").text() == "*.#");
    CHECK(TopicPattern("#.*.#.*.a.#").text() == "*.*.#.a.#");
    CHECK(TopicPattern("a..#").text() == "a..#");
    CHECK(TopicPattern(".#").text() == ".#");
    CHECK(TopicPattern("*.").text() == "*.");
}

TEST_CASE("patterns of one normal form are two bindings, and each is removed by its own name") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    CHECK(table.bind(exchange, to_queue(1), "#.*", {}));
    CHECK(table.bind(exchange, to_queue(1), "*.#", {}));
    CHECK(table.bindings_from(exchange) == 2);
    CHECK_FALSE(table.unbind(exchange, to_queue(1), "*.#.#", {}));
    CHECK(table.unbind(exchange, to_queue(1), "#.*", {}));
    CHECK(routes(table, exchange, "a") == Queues{1});
    CHECK(table.unbind(exchange, to_queue(1), "*.#", {}));
    CHECK(routes(table, exchange, "a").empty());
}

TEST_CASE("keys of 255 bytes route, be they one word or 256 empty ones") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    const std::string word(255, 'w'), dots(255, '.'), other = std::string(254, 'w') + 'x';
    table.bind(exchange, to_queue(0), word, {});
    table.bind(exchange, to_queue(1), dots, {});
    table.bind(exchange, to_queue(2), "*", {});
    table.bind(exchange, to_queue(3), "*.#." + std::string(252, '.'), {});
    CHECK(routes(table, exchange, word) == Queues{0, 2});
    CHECK(routes(table, exchange, other) == Queues{2});
    CHECK(routes(table, exchange, dots) == Queues{1, 3});
}
