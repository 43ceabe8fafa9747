// SPDX-License-Identifier: Apache-2.0
// Ids of a few bits: when there is none left, what asks for one is refused.
#include <stdexcept>

#include <doctest/doctest.h>

#include "broker/catalog/catalog.hpp"
#include "broker/catalog/import.hpp"
#include "broker/ids/slot_table.hpp"
#include "broker/session/session.hpp"
#include "broker/shard/shard.hpp"

using namespace trilby::broker;

TEST_CASE("a table without a slot left refuses, and takes again what was given back") {
    int values[4] = {1, 2, 3, 4};
    SlotTable<ConsumerId, int*> table(0, 3);
    const ConsumerId first = table.insert(&values[0]);
    table.insert(&values[1]);
    table.insert(&values[2]);
    CHECK(table.full());
    CHECK_THROWS_AS(table.insert(&values[3]), std::length_error);
    CHECK(table.size() == 3);
    table.take(first);
    const ConsumerId again = table.insert(&values[3]);
    CHECK(slot_of(again) == slot_of(first));
    CHECK(table.find(again) == &values[3]);
    CHECK(table.find(first) == nullptr);
}

namespace {
struct NoLoop final : ShardLoop {
    void wake() override {}
    void adopt(int) override {}
    void stopping() override {}
};
}  // namespace

TEST_CASE("a catalog without a number left refuses a queue, and declares one when another has gone") {
    NoLoop loop;
    const Settings settings;
    Shard shard(0, settings, 1);
    shard.set_loop(loop);
    shard.connect({&shard});
    Catalog catalog({.audience = shard,
                     .view = shard.view(),
                     .turn = shard.turn(),
                     .shard = 0,
                     .shards = 1,
                     .most_queues = 2});
    Definitions definitions = embedded_default();
    shard.apply(import_all(definitions, catalog.numbers(), 1).value());
    const auto declare = [&](const char* name) {
        request::DeclareQueue asked{};
        asked.queue.name = name;
        catalog.submit(std::move(asked), {});
        catalog.work();
        return shard.view().queue(shard.view().vhost(0), name);
    };
    const QueueInfo* first = declare("one");
    REQUIRE(first != nullptr);
    const QueueId id = first->id;
    REQUIRE(declare("two") != nullptr);
    CHECK(declare("three") == nullptr);
    catalog.submit(request::DeleteQueue{id}, {});
    catalog.work();
    CHECK(declare("three") != nullptr);

    Definitions more = embedded_default();
    for (const char* name : {"a", "b", "c"}) {
        QueueDefinition& queue = more.queues.emplace_back();
        queue.vhost.assign(1, '/');
        queue.name.assign(name);
    }
    QueueNumbers two(0, 2);
    const auto refused = import_all(more, two, 1);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error() == "there are more queues than can be numbered");
    shard.clear();
    shard.messages().flush();
}
