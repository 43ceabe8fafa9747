// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/unit/broker/one_shard.hpp"

using namespace trilby::broker;
using test::Client;
using test::OneShard;
using namespace std::chrono_literals;
using namespace trilby::protocol;
using Names = std::vector<std::string>;

TEST_CASE("a stop does not wait for a peer that takes nothing") {
    OneShard broker;
    Client client(broker);
    client.log_in();
    client.taking = false;
    client.publish("nowhere", "returned", true);
    broker.send_to_all(letter::Stop{});
    CHECK_FALSE(client.over());
    broker.wait(1250ms);
    CHECK(client.over());
    CHECK(client.ended_abruptly);
}

TEST_CASE("whoever does not take the last octets is dropped at the deadline") {
    OneShard broker;
    Client client(broker);
    client.log_in(4);
    client.taking = false;
    SUBCASE("a close") {
        client.send(9, queue::Declare{});
    }
    SUBCASE("a close-ok") {
        client.send(0, connection::Close{});
    }
    broker.wait(3750ms);
    CHECK_FALSE(client.over());
    broker.wait(500ms);
    CHECK(client.over());
    CHECK(client.ended_abruptly);
}

TEST_CASE("who takes the last octets in time is let go in peace") {
    OneShard broker;
    Client client(broker);
    client.log_in();
    client.taking = false;
    client.send(0, connection::Close{});
    broker.wait(10s);
    client.taking = true;
    broker.touched(*client.session);
    broker.settle();
    CHECK(client.over());
    CHECK_FALSE(client.ended_abruptly);
    CHECK(client.methods() == Names{"connection.close-ok"});
}

TEST_CASE("a stranger who does not finish the handshake is dropped, whatever was written to him") {
    OneShard broker;
    Client client(broker);
    client.taking = false;
    client.send(protocol_header());
    broker.wait(9750ms);
    CHECK_FALSE(client.over());
    broker.wait(500ms);
    CHECK(client.over());
}

TEST_CASE("a stop ends a handshake at once") {
    OneShard broker;
    Client client(broker);
    client.send(protocol_header());
    broker.send_to_all(letter::Stop{});
    CHECK(client.over());
}

TEST_CASE("a blocked peer's close-ok is heard") {
    OneShard broker;
    Client client(broker);
    client.log_in();
    broker.send_to_all(letter::Alarm{.memory = true});
    client.publish("nowhere", "held");
    CHECK_FALSE(client.session->wants_input());
    broker.send_to_all(letter::Stop{});
    CHECK(client.methods() == Names{"connection.close"});
    client.send(0, connection::CloseOk{});
    CHECK(client.over());
    CHECK_FALSE(client.ended_abruptly);
}

TEST_CASE("what a peer held is given up when it has gone while it was blocked") {
    OneShard broker;
    Client client(broker);
    client.log_in();
    client.send(1, queue::Declare{.queue = "mine", .exclusive = true});
    client.publish("mine", "first");
    client.session->on_peer_finished();
    CHECK_FALSE(client.over());  // no alarm: what it said before is read yet
    broker.send_to_all(letter::Alarm{.disk = true});
    client.publish("mine", "held");
    client.session->on_peer_finished();
    broker.touched(*client.session);
    broker.settle();
    CHECK(client.over());
    CHECK_FALSE(broker.has_queue("mine"));
    CHECK(broker.shard.messages().balance() == 0);
}

TEST_CASE("a blocked peer hears heartbeats, and is over when nothing of it waits to be read") {
    OneShard broker;
    Client client(broker);
    client.log_in(2);
    broker.send_to_all(letter::Alarm{.memory = true});
    client.publish("nowhere", "held");
    bool alive = false;
    SUBCASE("it says something") {
        alive = true;
    }
    SUBCASE("it says nothing") {}
    for (int second = 0; second < 8; ++second) {
        if (alive && !client.over()) client.session->on_octets_waiting();
        broker.wait(1s);
    }
    CHECK(client.over() == !alive);
    const Names heard = client.methods();
    CHECK(heard.size() >= 2);
    for (const std::string& one : heard) CHECK(one == "heartbeat");
}

TEST_CASE("a session can be dropped with a question open, and its answer does no harm") {
    OneShard broker;
    Client reader(broker);
    reader.log_in();
    reader.send(1, queue::Declare{.queue = "q"});
    reader.publish("q", "got by nobody");
    std::string get;
    append_method(get, 1, basic::Get{.queue = "q"});
    append_method(get, 1, basic::Consume{.queue = "q"});
    reader.session->on_bytes(get);
    REQUIRE_FALSE(reader.session->wants_input());
    reader.session->drop();
    CHECK(reader.session->over());
    broker.touched(*reader.session);
    broker.settle();
    CHECK(reader.over());
    broker.shard.clear();
    broker.shard.messages().flush();
    CHECK(broker.shard.messages().balance() == 0);
}

TEST_CASE("exclusive queues go with an owner that has gone, whatever it waited for") {
    OneShard broker;
    Client client(broker);
    client.log_in();
    client.send(1, queue::Declare{.queue = "mine", .exclusive = true});
    client.publish("mine", "held");
    std::string get;
    append_method(get, 1, basic::Get{.queue = "mine"});
    client.session->on_bytes(get);
    REQUIRE(client.session->waiting());
    client.session->on_peer_gone();
    REQUIRE(broker.has_queue("mine"));  // its end takes two rounds of the catalog
    broker.settle();
    CHECK(client.over());
    CHECK_FALSE(broker.has_queue("mine"));
    CHECK(broker.shard.messages().balance() == 0);
}
