// SPDX-License-Identifier: Apache-2.0
#include "broker/message/pool.hpp"

#include <random>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "broker/shard/mailbox.hpp"
#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

Message* filled(MessagePool& pool, std::uint32_t body_size, char with) {
    Message* message = pool.allocate(10, 22, body_size);
    std::memset(message->bytes(), with, message->names_size + message->tail_size());
    return message;
}

bool holds(const Message& message, char what) {
    const std::string_view octets(message.bytes(), message.names_size + message.tail_size());
    return octets.find_first_not_of(what) == std::string_view::npos;
}

}  // namespace

TEST_CASE("messages of every size keep their octets until they are released") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    MessagePool pool(0);
    pool.know({&pool});
    std::vector<std::pair<Message*, char>> alive;
    for (int step = 0; step < 30000; ++step) {
        if (alive.empty() || random() % 100 < (step < 20000 ? 60u : 30u)) {
            const auto size =
                static_cast<std::uint32_t>(random() % 4 == 0 ? random() % 20000 : random() % 600);
            const char with = static_cast<char>(random());
            alive.emplace_back(filled(pool, size, with), with);
        } else {
            const std::size_t place = random() % alive.size();
            REQUIRE(holds(*alive[place].first, alive[place].second));
            pool.release(alive[place].first);
            alive[place] = alive.back();
            alive.pop_back();
        }
        REQUIRE(pool.balance() == static_cast<std::int64_t>(alive.size()));
    }
    for (const auto& [message, with] : alive) pool.release(message);
    CHECK(pool.balance() == 0);
}

TEST_CASE("a message lives until its last reference is gone") {
    MessagePool pool(0);
    pool.know({&pool});
    Message* message = filled(pool, 100, 'x');
    message->hold(3);
    pool.release(message, 2);
    pool.release(message);
    CHECK(pool.balance() == 1);
    CHECK(holds(*message, 'x'));
    pool.release(message);
    CHECK(pool.balance() == 0);
}

#if !defined(__SANITIZE_ADDRESS__)  // every message is a block of its own then
TEST_CASE("a drained backlog leaves little memory behind") {
    MessagePool pool(0);
    pool.know({&pool});
    std::vector<Message*> messages;
    for (int i = 0; i < 20000; ++i) messages.push_back(filled(pool, 1000, 'b'));
    CHECK(pool.footprint() > 20'000'000);
    for (Message* message : messages) pool.release(message);
    CHECK(pool.footprint() <= 40 * 65536);
}
#endif

TEST_CASE("what another shard frees comes back to its own pool") {
    MessagePool first(0);
    MessagePool second(1);
    first.know({&first, &second});
    second.know({&first, &second});
    for (int round = 0; round < 200; ++round) {
        std::vector<Message*> messages;
        for (int i = 0; i < 500; ++i) messages.push_back(filled(first, 500, 'c'));
        for (Message* message : messages) second.release(message);
        second.flush();
        first.flush();
    }
    CHECK(first.balance() + second.balance() == 0);
    CHECK(first.footprint() < 20 * 65536);
}

TEST_CASE("threads that free each other's messages lose none and free none twice") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    MessagePool first(0);
    MessagePool second(1);
    first.know({&first, &second});
    second.know({&first, &second});
    Mailbox<Message*> there(64, 1 << 20);
    Mailbox<Message*> back(64, 1 << 20);
    constexpr int messages = 50000;
    std::atomic<int> wrong = 0;
    const auto work = [&](MessagePool& own, Mailbox<Message*>& out, Mailbox<Message*>& in,
                          std::uint32_t number) {
        trilby::broker::test::Random random(seed + number);
        int sent = 0;
        int received = 0;
        std::vector<Message*> kept;
        while (sent < messages || received < messages || out.stalled()) {
            for (int i = 0; i < 20 && sent < messages && !out.stalled(); ++i, ++sent) {
                const auto size = static_cast<std::uint32_t>(random() % 50 == 0 ? 9000 : random() % 700);
                Message* message = filled(own, size, static_cast<char>(size));
                if (random() % 2 == 0) {  // both hold it
                    message->hold();
                    kept.push_back(message);
                }
                out.push(message, 1);
            }
            out.publish();
            received += static_cast<int>(in.drain(30, [&](Message* message) {
                if (!holds(*message, static_cast<char>(message->body_size))) ++wrong;
                own.release(message);
            }));
            while (kept.size() > 100) {
                own.release(kept.back());
                kept.pop_back();
            }
            own.flush();
        }
        for (Message* message : kept) own.release(message);
        own.flush();
    };
    std::jthread other([&] { work(second, back, there, 1); });
    work(first, there, back, 0);
    other.join();
    first.flush();
    second.flush();
    CHECK(wrong == 0);
    CHECK(first.balance() + second.balance() == 0);
}
