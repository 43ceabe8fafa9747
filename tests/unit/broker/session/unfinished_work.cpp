// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "protocol/frame.hpp"
#include "tests/unit/broker/one_shard.hpp"

// What one client ends at once takes many turns, and none of them is long.

using namespace trilby::broker;
using test::Client;
using test::OneShard;
using namespace trilby::protocol;

namespace {

constexpr std::uint64_t steps = 100;
constexpr int many = 600;

Settings short_turns() {
    Settings settings;
    settings.turn_steps = steps;
    return settings;
}

/// Somebody who holds much, and ends it.
struct Holder {
    OneShard broker{short_turns()};
    Client client{broker};

    Holder() {
        client.log_in();
        client.send(1, queue::Declare{.queue = "q"});
        client.inbox.clear();
    }

    void publish() {
        std::string octets;
        for (int i = 0; i < many; ++i) {
            append_method(octets, 1, basic::Publish{.routing_key = "q"});
            append_content(octets, 1, 1, std::string_view("\0\0", 2), "x", 131072);
        }
        client.send(octets);
    }
    void deliver() {
        publish();
        client.send(1, basic::Consume{.queue = "q", .consumer_tag = "c", .nowait = true});
        client.send(1, basic::Cancel{.consumer_tag = "c", .nowait = true});
        client.inbox.clear();
        REQUIRE(ready() == 0);
    }
    std::uint32_t ready() {
        std::uint32_t count = 0;
        broker.shard.each_queue([&](Queue& queue) { count += queue.ready(); });
        return count;
    }
    std::uint64_t turn() {
        broker.turn();
        const std::uint64_t spent = broker.shard.turn().spent();
        // Who stands in line, letters, the catalog: each has a share.
        CHECK(spent <= 3 * steps);
        return spent;
    }
    /// Until the client is told; it is not read before.
    template <class M>
    M answer_to(const auto& request) {
        std::string octets;
        append_method(octets, 1, request);
        broker.shard.take_mail();  // a new turn
        client.session->on_bytes(octets);
        CHECK(broker.shard.turn().spent() <= 3 * steps);
        int turns = 0;
        for (; client.inbox.empty() && turns < 10000; ++turns) {
            CHECK_FALSE(client.session->wants_input());
            turn();
        }
        CHECK(turns > 3);
        broker.settle();
        CHECK(client.session->wants_input());
        const FrameHead head = read_frame_head(client.inbox.data());
        const auto method = decode_method(std::string_view(client.inbox).substr(frame_head_size, head.size));
        REQUIRE(method);
        REQUIRE(std::holds_alternative<M>(*method));
        return std::get<M>(*method);
    }
    /// The same for what has no answer.
    void carry_out(const auto& request) {
        std::string octets;
        append_method(octets, 1, request);
        broker.shard.take_mail();
        client.session->on_bytes(octets);
        CHECK_FALSE(client.session->wants_input());
        int turns = 0;
        for (; !client.session->wants_input() && turns < 10000; ++turns) turn();
        CHECK(turns > 3);
    }
};

}  // namespace

TEST_CASE("many messages are settled in many turns") {
    Holder holder;
    holder.deliver();
    SUBCASE("acknowledged") {
        holder.carry_out(basic::Ack{.delivery_tag = 0, .multiple = true});
        CHECK(holder.ready() == 0);
        holder.client.send(1, channel::Close{});
        CHECK(holder.ready() == 0);
    }
    SUBCASE("requeued") {
        holder.carry_out(basic::Nack{.delivery_tag = many - 1, .multiple = true, .requeue = true});
        CHECK(holder.ready() == many - 1);
    }
    SUBCASE("recovered, by who does not consume any more") {
        holder.client.send(1, basic::Recover{.requeue = true});
        CHECK(holder.client.methods() == std::vector<std::string>{"basic.recover-ok"});
        CHECK(holder.ready() == many);
    }
    SUBCASE("given back by a channel that is closed") {
        holder.answer_to<channel::CloseOk>(channel::Close{});
        CHECK(holder.ready() == many);
    }
    SUBCASE("given back by a connection that is cut") {
        holder.broker.shard.take_mail();
        holder.client.session->on_peer_gone();
        CHECK(holder.ready() < many);
        while (!holder.client.over()) holder.turn();
        CHECK(holder.ready() == many);
    }
}

TEST_CASE("a transaction is committed in many turns, and answered behind the last one") {
    Holder holder;
    holder.client.send(1, tx::Select{});
    holder.client.inbox.clear();
    holder.publish();
    CHECK(holder.ready() == 0);
    holder.answer_to<tx::CommitOk>(tx::Commit{});
    CHECK(holder.ready() == many);
}

TEST_CASE("a long queue is purged in many turns: what comes meanwhile stays, and the count is exact") {
    Holder holder;
    holder.publish();
    Client other(holder.broker);
    std::string purge;
    append_method(purge, 1, queue::Purge{.queue = "q"});
    other.log_in();
    holder.broker.shard.take_mail();
    holder.client.session->on_bytes(purge);
    CHECK(holder.ready() > 0);
    std::string octets;
    append_method(octets, 1, basic::Publish{.routing_key = "q"});
    append_content(octets, 1, 1, std::string_view("\0\0", 2), "x", 131072);
    other.session->on_bytes(octets);
    while (holder.client.inbox.empty()) holder.turn();
    const auto method = decode_method(
        std::string_view(holder.client.inbox).substr(frame_head_size, holder.client.inbox.size() - 8));
    REQUIRE(method);
    CHECK(std::get<queue::PurgeOk>(*method).message_count == many);
    CHECK(holder.ready() == 1);
}

TEST_CASE("a purge is answered although somebody deletes the queue meanwhile") {
    Holder holder;
    holder.publish();
    Client other(holder.broker);
    other.log_in();
    std::string octets;
    append_method(octets, 1, queue::Purge{.queue = "q"});
    holder.broker.shard.take_mail();
    holder.client.session->on_bytes(octets);
    octets.clear();
    append_method(octets, 1, queue::Delete{.queue = "q"});
    other.session->on_bytes(octets);
    holder.broker.settle();
    CHECK(holder.client.methods() == std::vector<std::string>{"queue.purge-ok"});
    CHECK(other.methods() == std::vector<std::string>{"queue.delete-ok"});
}

TEST_CASE("what is left of a queue that was deleted goes in many turns") {
    Holder holder;
    holder.publish();
    CHECK(holder.answer_to<queue::DeleteOk>(queue::Delete{.queue = "q"}).message_count == many);
    CHECK_FALSE(holder.broker.has_queue("q"));
    holder.broker.shard.messages().flush();
    CHECK(holder.broker.shard.messages().balance() == 0);
}

TEST_CASE("many consumers go in many turns") {
    Holder holder;
    for (int i = 0; i < many; ++i)
        holder.client.send(1,
                           basic::Consume{.queue = "q", .consumer_tag = std::to_string(i), .nowait = true});
    REQUIRE(holder.broker.shard.consumers() == many);
    SUBCASE("with their channel, which gets nothing more meanwhile") {
        std::string octets;
        append_method(octets, 1, channel::Close{});
        Client other(holder.broker);
        other.log_in();
        holder.broker.shard.take_mail();
        holder.client.session->on_bytes(octets);
        CHECK(holder.broker.shard.consumers() != 0);
        other.publish("q", "x");
        CHECK(holder.client.methods() == std::vector<std::string>{"channel.close-ok"});
        CHECK(holder.ready() == 1);
    }
    SUBCASE("with their queue, before its delete is answered") {
        holder.answer_to<queue::DeleteOk>(queue::Delete{.queue = "q"});
    }
    SUBCASE("with their connection, while their queue is being deleted") {
        std::string octets;
        append_method(octets, 1, queue::Delete{.queue = "q"});
        holder.broker.shard.take_mail();
        holder.client.session->on_bytes(octets);
        for (int i = 0; i < 5; ++i) holder.turn();
        holder.client.session->on_peer_gone();
        holder.broker.settle();
        CHECK(holder.client.over());
        CHECK_FALSE(holder.broker.has_queue("q"));
    }
    SUBCASE("all at once with a session that is dropped in the midst") {
        holder.broker.shard.take_mail();
        holder.client.session->on_peer_gone();
        holder.client.session->drop();
        holder.broker.settle();
        CHECK(holder.client.over());
    }
    CHECK(holder.broker.shard.consumers() == 0);
}

TEST_CASE("many exclusive queues of a connection that is cut go in many turns") {
    Holder holder;
    for (int i = 0; i < many; ++i)
        holder.client.send(1, queue::Declare{.queue = std::to_string(i), .exclusive = true, .nowait = true});
    CHECK(holder.broker.has_queue("0"));
    holder.broker.shard.take_mail();
    holder.client.session->on_peer_gone();
    while (!holder.client.over()) holder.turn();
    for (int i = 0; i < many; ++i) CHECK_FALSE(holder.broker.has_queue(std::to_string(i)));
}

TEST_CASE("many bindings go in many turns, and lead nowhere from the first one on") {
    Holder holder;
    for (int i = 0; i < many; ++i)
        holder.client.send(
            1, queue::Bind{
                   .queue = "q", .exchange = "amq.direct", .routing_key = std::to_string(i), .nowait = true});
    auto& routes = holder.broker.shard.view().vhost(0).routes;
    REQUIRE(routes.bindings() == many);
    holder.answer_to<queue::DeleteOk>(queue::Delete{.queue = "q"});
    CHECK(routes.bindings() == 0);
}

TEST_CASE("a limit of the channel reaches many consumers in many turns, and holds from qos-ok on") {
    Holder holder;
    for (int i = 0; i < many; ++i)
        holder.client.send(1,
                           basic::Consume{.queue = "q", .consumer_tag = std::to_string(i), .nowait = true});
    holder.client.inbox.clear();
    holder.answer_to<basic::QosOk>(basic::Qos{.prefetch_count = 10, .global = true});
    holder.client.inbox.clear();
    Client other(holder.broker);
    other.log_in();
    for (int i = 0; i < many; ++i) other.publish("q", "x");
    CHECK(holder.ready() == many - 10);
    holder.carry_out(basic::Qos{.prefetch_count = 0, .global = true});
    CHECK(holder.ready() == 0);
}

TEST_CASE("many exchanges that go with one queue go in many turns") {
    Holder holder;
    for (int i = 0; i < many; ++i) {
        const std::string name = std::to_string(i);
        holder.client.send(
            1, exchange::Declare{.exchange = name, .type = "fanout", .auto_delete = true, .nowait = true});
        holder.client.send(1, queue::Bind{.queue = "q", .exchange = name, .nowait = true});
    }
    auto& routes = holder.broker.shard.view().vhost(0).routes;
    REQUIRE(routes.find_exchange("0"));
    holder.answer_to<queue::DeleteOk>(queue::Delete{.queue = "q"});
    for (int i = 0; i < many; ++i) CHECK_FALSE(routes.find_exchange(std::to_string(i)));
}
