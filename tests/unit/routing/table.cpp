// SPDX-License-Identifier: Apache-2.0
#include "routing/table.hpp"

#include <set>
#include <string>
#include <tuple>

#include <doctest/doctest.h>

#include "routes.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

TEST_CASE("a direct exchange routes by the whole key") {
    Table table;
    const auto exchange = table.add_exchange("d", ExchangeType::direct);
    table.bind(exchange, to_queue(0), "a", {});
    table.bind(exchange, to_queue(1), "a", {});
    table.bind(exchange, to_queue(2), "#", {});
    table.bind(exchange, to_queue(3), "", {});
    CHECK(routes(table, exchange, "a") == Queues{0, 1});
    CHECK(routes(table, exchange, "#") == Queues{2});
    CHECK(routes(table, exchange, "") == Queues{3});
    CHECK(routes(table, exchange, "b").empty());
}

TEST_CASE("a fanout exchange ignores keys, and a queue bound to it by two keys gets one") {
    Table table;
    const auto exchange = table.add_exchange("f", ExchangeType::fanout);
    CHECK(routes(table, exchange, "a").empty());
    table.bind(exchange, to_queue(0), "a", {});
    table.bind(exchange, to_queue(0), "b", {});
    table.bind(exchange, to_queue(1), "a", {});
    CHECK(routes(table, exchange, "c") == Queues{0, 1});
    table.unbind(exchange, to_queue(0), "a", {});
    CHECK(routes(table, exchange, "c") == Queues{0, 1});
    table.unbind(exchange, to_queue(0), "b", {});
    CHECK(routes(table, exchange, "c") == Queues{1});
}

TEST_CASE("the default exchange routes to the queue of that name") {
    Table table;
    table.add_queue("q", 5);
    table.add_queue("r", 2);
    CHECK(sorted(table.route_default("q")) == Queues{5});
    CHECK(table.find_queue("r") == 2);
    CHECK(table.route_default("s").empty());
    table.remove_queue(5);
    CHECK(table.route_default("q").empty());
    CHECK_FALSE(table.find_queue("q"));
    table.add_queue("s", 5);
    CHECK(sorted(table.route_default("s")) == Queues{5});
}

TEST_CASE("binding twice is one binding; other arguments are another, in any order of their fields") {
    Table table;
    const auto exchange = table.add_exchange("d", ExchangeType::direct);
    const auto xy = TableBuilder().integer("x", 1).integer("y", 2).take();
    const auto yx = TableBuilder().integer("y", 2).integer("x", 1).take();
    CHECK(table.bind(exchange, to_queue(0), "k", {}));
    CHECK_FALSE(table.bind(exchange, to_queue(0), "k", {}));
    CHECK(table.bind(exchange, to_queue(0), "k", TableView(xy)));
    CHECK_FALSE(table.bind(exchange, to_queue(0), "k", TableView(yx)));
    CHECK(table.bindings_from(exchange) == 2);
    CHECK(routes(table, exchange, "k") == Queues{0});
    CHECK(table.unbind(exchange, to_queue(0), "k", {}));
    CHECK(routes(table, exchange, "k") == Queues{0});
    CHECK_FALSE(table.unbind(exchange, to_queue(0), "k", {}));
    CHECK(table.unbind(exchange, to_queue(0), "k", TableView(yx)));
    CHECK(routes(table, exchange, "k").empty());
    CHECK(table.bindings_from(exchange) == 0);
}

TEST_CASE("what is not bound cannot be unbound") {
    Table table;
    const auto a = table.add_exchange("a", ExchangeType::topic),
               b = table.add_exchange("b", ExchangeType::topic);
    table.bind(a, to_queue(0), "k", {});
    CHECK_FALSE(table.unbind(b, to_queue(0), "k", {}));
    CHECK_FALSE(table.unbind(a, to_queue(1), "k", {}));
    CHECK_FALSE(table.unbind(a, to_exchange(0), "k", {}));
    CHECK_FALSE(table.unbind(a, to_queue(0), "l", {}));
    CHECK(routes(table, a, "k") == Queues{0});
}

TEST_CASE("exchanges bound to exchanges pass messages on, each once, cycles and all") {
    Table table;
    const auto a = table.add_exchange("a", ExchangeType::topic),
               b = table.add_exchange("b", ExchangeType::topic),
               c = table.add_exchange("c", ExchangeType::fanout);
    table.bind(a, to_exchange(b), "k.#", {});
    table.bind(b, to_exchange(c), "#", {});
    table.bind(c, to_exchange(a), "", {});
    table.bind(a, to_queue(0), "k.*", {});
    table.bind(b, to_queue(1), "k.x", {});
    table.bind(c, to_queue(0), "", {});
    table.bind(c, to_queue(2), "", {});
    CHECK(routes(table, a, "k.x") == Queues{0, 1, 2});
    CHECK(routes(table, a, "l").empty());
    CHECK(routes(table, c, "l") == Queues{0, 2});
    table.unbind(b, to_exchange(c), "#", {});
    CHECK(routes(table, a, "k.x") == Queues{0, 1});
}

TEST_CASE("an alternate exchange takes what led nowhere, neither to a queue nor to an exchange") {
    Table table;
    const auto first = table.add_exchange("first", ExchangeType::topic);
    table.set_alternate(first, "second");
    table.bind(first, to_queue(0), "a.#", {});
    CHECK(routes(table, first, "b").empty());  // the alternate does not exist yet: ignored
    const auto second = table.add_exchange("second", ExchangeType::direct);
    table.set_alternate(second, "third");
    const auto third = table.add_exchange("third", ExchangeType::fanout);
    table.bind(second, to_queue(1), "b", {});
    table.bind(third, to_queue(2), "", {});
    CHECK(routes(table, first, "a") == Queues{0});
    CHECK(routes(table, first, "b") == Queues{1});
    CHECK(routes(table, first, "c") == Queues{2});
    table.set_alternate(third, "first");  // a chain may end where it began
    table.unbind(third, to_queue(2), "", {});
    CHECK(routes(table, first, "c").empty());

    const auto dead_end = table.add_exchange("dead end", ExchangeType::fanout);
    table.bind(first, to_exchange(dead_end), "c", {});
    table.bind(third, to_queue(2), "", {});
    CHECK(routes(table, first, "c").empty());  // it went to an exchange, whatever became of it there
    table.remove_exchange(dead_end);
    CHECK(routes(table, first, "c") == Queues{2});
    table.remove_exchange(second);
    CHECK(routes(table, first, "c").empty());
    table.set_alternate(first, "third");
    CHECK(routes(table, first, "c") == Queues{2});
    table.set_alternate(first, "");
    CHECK(routes(table, first, "c").empty());
}

TEST_CASE("an alternate is used though another exchange has already reached the same queue") {
    Table table;
    const auto a = table.add_exchange("a", ExchangeType::fanout),
               b = table.add_exchange("b", ExchangeType::direct),
               c = table.add_exchange("c", ExchangeType::fanout);
    table.bind(a, to_exchange(b), "", {});
    table.bind(a, to_queue(0), "", {});
    table.bind(b, to_queue(0), "k", {});
    table.set_alternate(b, "c");
    table.bind(c, to_queue(1), "", {});
    CHECK(routes(table, a, "k") == Queues{0});  // b leads to queue 0, which was there: not nowhere
    CHECK(routes(table, a, "l") == Queues{0, 1});
}

TEST_CASE("several keys route to the union of their queues, each once") {
    Table table;
    const auto exchange = table.add_exchange("t", ExchangeType::topic);
    table.bind(exchange, to_queue(0), "a.#", {});
    table.bind(exchange, to_queue(1), "#.b", {});
    table.bind(exchange, to_queue(2), "c", {});
    table.bind(exchange, to_queue(3), "#.z.#", {});
    const std::string_view keys[] = {"a.b", "c", "c", "x.b", "q.z", "z.z"};
    CHECK(sorted(table.route(exchange, keys, {})) == Queues{0, 1, 2, 3});
    CHECK(sorted(table.route(exchange, std::span(keys).subspan(1, 1), {})) == Queues{2});
    CHECK(table.route(exchange, std::span<const std::string_view>(), {}).empty());

    table.set_alternate(exchange, "other");
    const auto other = table.add_exchange("other", ExchangeType::direct);
    table.bind(other, to_queue(4), "nowhere", {});
    const std::string_view one_of_two[] = {"nowhere", "c"}, none[] = {"nowhere", "neither"};
    CHECK(sorted(table.route(exchange, one_of_two, {})) == Queues{2});
    CHECK(sorted(table.route(exchange, none, {})) == Queues{4});
}

TEST_CASE("a removed queue takes its bindings along, and its index can be used again") {
    Table table;
    const auto t = table.add_exchange("t", ExchangeType::topic),
               d = table.add_exchange("d", ExchangeType::direct),
               f = table.add_exchange("f", ExchangeType::fanout),
               h = table.add_exchange("h", ExchangeType::headers);
    table.add_queue("q", 0);
    table.add_queue("r", 1);
    for (const QueueIndex queue : {0U, 1U}) {
        for (const auto exchange : {t, d, f, h}) table.bind(exchange, to_queue(queue), "k", {});
    }
    table.remove_queue(0);
    for (const auto exchange : {t, d, f, h}) {
        CHECK(routes(table, exchange, "k") == Queues{1});
        CHECK(table.bindings_from(exchange) == 1);
    }
    table.add_queue("new", 0);
    for (const auto exchange : {t, d, f, h}) CHECK(routes(table, exchange, "k") == Queues{1});
}

TEST_CASE("a removed exchange takes its bindings along, from it and to it, and its index is used again") {
    Table table;
    const auto a = table.add_exchange("a", ExchangeType::topic),
               b = table.add_exchange("b", ExchangeType::topic),
               c = table.add_exchange("c", ExchangeType::fanout);
    table.bind(a, to_exchange(b), "#", {});
    table.bind(b, to_exchange(c), "*", {});
    table.bind(b, to_exchange(b), "#.x", {});
    table.bind(c, to_queue(0), "", {});
    CHECK(routes(table, a, "k") == Queues{0});
    table.remove_exchange(b);
    CHECK_FALSE(table.find_exchange("b"));
    CHECK(table.bindings_from(a) == 0);
    CHECK(table.bindings() == 1);
    CHECK(routes(table, a, "k").empty());
    const auto again = table.add_exchange("b", ExchangeType::direct);
    CHECK(again == b);
    CHECK(table.find_exchange("b") == again);
    CHECK(routes(table, again, "k").empty());
    CHECK(routes(table, a, "k").empty());
}

TEST_CASE("bindings can be listed by destination and by source") {
    Table table;
    const auto a = table.add_exchange("a", ExchangeType::topic),
               b = table.add_exchange("b", ExchangeType::headers);
    const auto arguments = TableBuilder().integer("n", 1).take();
    table.bind(a, to_queue(4), "x", {});
    table.bind(b, to_queue(4), "y", TableView(arguments));
    table.bind(a, to_queue(5), "z", {});
    std::set<std::tuple<ExchangeIndex, std::string, std::string>> found;
    table.each_binding_of(to_queue(4),
                          [&](ExchangeIndex source, std::string_view key, TableView table_arguments) {
                              found.emplace(source, key, table_arguments.raw());
                          });
    CHECK(found ==
          std::set<std::tuple<ExchangeIndex, std::string, std::string>>{{a, "x", ""}, {b, "y", arguments}});
    std::set<std::tuple<QueueIndex, std::string>> from_a;
    table.each_binding_from(a, [&](Destination destination, std::string_view key, TableView) {
        from_a.emplace(destination.index, key);
    });
    CHECK(from_a == std::set<std::tuple<QueueIndex, std::string>>{{4, "x"}, {5, "z"}});
}

TEST_CASE("the generation changes with everything that may change a route, and only with that") {
    Table table;
    auto last = table.generation();
    const auto changed = [&] { return std::exchange(last, table.generation()) != table.generation(); };
    const auto a = table.add_exchange("a", ExchangeType::topic);
    CHECK(changed());
    table.set_alternate(a, "b");
    CHECK(changed());
    table.add_queue("q", 0);
    CHECK(changed());
    table.bind(a, to_queue(0), "#", {});
    CHECK(changed());
    table.bind(a, to_queue(0), "#", {});
    table.unbind(a, to_queue(0), "k", {});
    table.route(a, "k", {});
    CHECK_FALSE(changed());
    table.unbind(a, to_queue(0), "#", {});
    CHECK(changed());
    table.remove_queue(0);
    CHECK(changed());
    table.remove_exchange(a);
    CHECK(changed());
}
