// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "protocol/frame.hpp"
#include "tests/unit/broker/one_shard.hpp"

using namespace trilby::broker;
using test::Client;
using test::OneShard;
using namespace trilby::protocol;

namespace {

std::uint32_t ready(OneShard& broker) {
    std::uint32_t count = 0;
    broker.shard.each_queue([&](Queue& queue) { count += queue.ready(); });
    return count;
}

}  // namespace

TEST_CASE("a turn counts what publishes cause: whoever causes much is read on in the next one") {
    constexpr std::uint64_t steps = 1000;
    constexpr int queues = 100, publishes = 20;
    Settings settings;
    settings.turn_steps = steps;
    OneShard broker(settings);
    Client client(broker);
    client.log_in();
    for (int i = 0; i < queues; ++i) {
        const std::string name = std::to_string(i);
        client.send(1, queue::Declare{.queue = name});
        client.send(1, queue::Bind{.queue = name, .exchange = "amq.fanout"});
    }
    std::string octets;
    for (int i = 0; i < publishes; ++i) {
        append_method(octets, 1, basic::Publish{.exchange = "amq.fanout"});
        append_content(octets, 1, 1, std::string_view("\0\0", 2), "x", 131072);
    }
    broker.shard.take_mail();  // a new turn
    client.session->on_bytes(octets);
    CHECK(ready(broker) > queues);
    CHECK(ready(broker) <= steps / Turn::kept_message);  // the last one has not reached all of its queues
    int turns = 1;
    for (; ready(broker) != queues * publishes && turns < 100; ++turns) {
        CHECK_FALSE(client.session->wants_input());
        broker.turn();
        CHECK(broker.shard.turn().spent() <= steps);
    }
    CHECK(turns > 5);
    CHECK(client.session->wants_input());
    broker.settle();
}

TEST_CASE("a turn counts what bodies take as they grow, so that the watermark is looked at in between") {
    constexpr std::uint16_t channels = 8;
    constexpr std::uint32_t size = std::uint32_t{64} << 20, part = 100'000;
    OneShard broker;
    Client client(broker);
    client.log_in();
    std::string head, parts;
    for (std::uint16_t number = 1; number <= channels; ++number) {
        if (number != 1) client.send(number, channel::Open{});
        append_method(head, number, basic::Publish{.routing_key = "nobody"});
        append_content_header(head, number, size, std::string_view("\0\0", 2));
        char frame[frame_head_size];
        write_frame_head(frame, {static_cast<std::uint8_t>(FrameType::body), number, part});
        parts.append(frame, sizeof frame).append(part, 'x').append(1, frame_end);
    }
    client.send(head);
    // They all grow together, each to twice its size: 800 KB come and up to 16 MiB are taken.
    std::size_t most = 0;
    for (int round = 0; round < 40; ++round) {
        broker.shard.take_mail();  // a new turn
        const std::size_t before = client.session->unfinished();
        client.session->on_bytes(std::string(client.session->tail()) + parts);
        most = std::max(most, client.session->unfinished() - before);
        broker.settle();
    }
    CHECK(client.session->unfinished() > 40 * channels * part);
    CHECK(most < Turn::octets_grown * broker.settings.turn_steps * 3 / 2);
}
