// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/catalog/import.hpp"
#include "broker/session/session.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/frame.hpp"

// What a message costs in allocations on its way from one session to another.

namespace {
std::size_t allocations = 0;
}

// The whole program counts; only the difference over a stretch of work is looked at.
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    if (void* memory = std::aligned_alloc(static_cast<std::size_t>(alignment), size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace {

using namespace trilby;
using broker::Session;
using broker::Shard;

/// Looks at sessions with news when it is told to, as a loop does at the end of a turn; what they write is
/// thrown away.
struct Turns final : broker::ShardLoop, broker::SessionHost {
    void wake() override {}
    void touched(Session& session) override {
        session.touched = true;
        news.push_back(&session);
    }
    void adopt(int) override {}
    void stopping() override {}

    void end_turn() {
        while (!news.empty()) {
            Session& session = *news.back();
            news.pop_back();
            session.touched = false;
            session.finish_turn();
            const std::size_t size = session.output().size();
            session.output().sent(size);
            session.on_output_sent(size);
        }
        shard->end_turn();
    }

    Shard* shard = nullptr;
    std::vector<Session*> news;
};

struct Broker {
    Broker() : shard(0, settings, 1) {
        shard.connect({&shard});
        shard.set_loop(turns);
        turns.shard = &shard;
        turns.news.reserve(16);
        broker::Definitions definitions = broker::embedded_default();
        shard.apply(broker::import_all(definitions, shard.catalog()->numbers(), 1).value());
    }
    ~Broker() { shard.clear(); }

    void give(Session& session, const std::string& bytes) {
        session.on_bytes(bytes);
        settle();
    }
    void settle() {
        do turns.end_turn();
        while (shard.take_mail() || !turns.news.empty());
    }
    void log_in(Session& session) {
        std::string bytes(protocol::protocol_header());
        protocol::append_method(
            bytes, 0,
            protocol::connection::StartOk{
                .mechanism = "PLAIN", .response = std::string_view("\0guest\0guest", 12), .locale = "en_US"});
        protocol::append_method(
            bytes, 0, protocol::connection::TuneOk{.channel_max = 10, .frame_max = 131072, .heartbeat = 0});
        protocol::append_method(bytes, 0, protocol::connection::Open{.virtual_host = "/"});
        protocol::append_method(bytes, 1, protocol::channel::Open{});
        give(session, bytes);
    }

    broker::Settings settings;
    Turns turns;
    Shard shard;
};

template <class M>
std::string frame(const M& method) {
    std::string bytes;
    protocol::append_method(bytes, 1, method);
    return bytes;
}

std::string publishes(int count, const std::string& queue) {
    std::string bytes;
    const std::string persistent("\x10\x00\x02", 3);
    for (int i = 0; i < count; ++i) {
        protocol::append_method(bytes, 1, protocol::basic::Publish{.routing_key = queue});
        protocol::append_content(bytes, 1, 16, persistent, "sixteen octets..", 131072);
    }
    return bytes;
}

/// What a message that is kept asks the system for: nothing, its block is the pool's, unless the address
/// sanitizer looks at each (`MessagePool`).
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t blocks_of_a_message = 1;
#else
constexpr std::size_t blocks_of_a_message = 0;
#endif

/// Allocations while `rounds` of `bytes` go through, after two rounds that may fill pools.
template <class F>
std::size_t allocations_of(int rounds, F round) {
    for (int i = 0; i < 2; ++i) round();
    const std::size_t before = allocations;
    for (int i = 0; i < rounds; ++i) round();
    return allocations - before;
}

}  // namespace

TEST_CASE("a publish with confirms to an automatic-ack consumer allocates nothing") {
    Broker broker;
    Session publisher(broker.shard, {"127.0.0.1", 1, "127.0.0.1", 5672}, broker.turns);
    Session consumer(broker.shard, {"127.0.0.1", 2, "127.0.0.1", 5672}, broker.turns);
    broker.log_in(publisher);
    broker.log_in(consumer);
    broker.give(consumer, frame(protocol::queue::Declare{.queue = "q"}));
    broker.give(consumer, frame(protocol::basic::Consume{.queue = "q", .no_ack = true}));
    broker.give(publisher, frame(protocol::confirm::Select{}));
    const std::string bytes = publishes(100, "q");
    CHECK(allocations_of(50, [&] { broker.give(publisher, bytes); }) == 0);
}

TEST_CASE("a message that is delivered and acknowledged allocates nothing beyond its block of the pool") {
    Broker broker;
    Session publisher(broker.shard, {"127.0.0.1", 1, "127.0.0.1", 5672}, broker.turns);
    Session consumer(broker.shard, {"127.0.0.1", 2, "127.0.0.1", 5672}, broker.turns);
    broker.log_in(publisher);
    broker.log_in(consumer);
    broker.give(consumer, frame(protocol::queue::Declare{.queue = "q"}));
    broker.give(consumer, frame(protocol::basic::Consume{.queue = "q"}));
    const std::string bytes = publishes(100, "q");
    const std::string ack = frame(protocol::basic::Ack{.delivery_tag = 0, .multiple = true});
    const auto round = [&] {
        broker.give(publisher, bytes);
        broker.give(consumer, ack);
    };
    CHECK(allocations_of(50, round) == 50 * 100 * blocks_of_a_message);
}

TEST_CASE("a message that waits in its queue allocates nothing beyond its block of the pool") {
    Broker broker;
    Session publisher(broker.shard, {"127.0.0.1", 1, "127.0.0.1", 5672}, broker.turns);
    broker.log_in(publisher);
    broker.give(publisher, frame(protocol::queue::Declare{.queue = "q"}));
    const std::string bytes = publishes(100, "q");
    const std::string purge = frame(protocol::queue::Purge{.queue = "q"});
    const std::size_t of_the_purges = allocations_of(200, [&] { broker.give(publisher, purge); });
    const auto round = [&] {
        broker.give(publisher, bytes);
        broker.give(publisher, purge);
    };
    CHECK(allocations_of(200, round) <= of_the_purges + 200 * 100 * blocks_of_a_message);
}
