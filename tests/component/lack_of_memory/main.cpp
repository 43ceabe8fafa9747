// SPDX-License-Identifier: Apache-2.0
// A conversation of everything that a client may say, again and again, and each time another allocation of
// the broker's fails. Whoever the lack of memory hits is closed with 541, or nothing is seen of it; others
// find all queues as they should be, and nothing is left at the end.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include "tests/component/harness/random.hpp"
#include "tests/component/harness/world.hpp"
#include "tests/component/lack_of_memory/client.hpp"
#include "tests/component/lack_of_memory/conversation.hpp"
#include "tests/component/lack_of_memory/scarce_memory.hpp"

namespace {

namespace p = trilby::protocol;
namespace scarce = trilby::scarce;
using scarce::Client;
using scarce::Conversation;
using scarce::Number;
using trilby::harness::Random;
using trilby::harness::World;

trilby::broker::Settings with_turns_of(std::uint64_t steps) {
    trilby::broker::Settings settings;
    settings.turn_steps = steps;
    return settings;
}

/// One conversation in a broker of its own.
struct Scene {
    Scene(std::size_t shards, std::uint64_t turn_steps)
        : random(1), world(random, shards, with_turns_of(turn_steps)) {
        for (const std::string queue : {"near", "far", "shared"}) {
            Client* const owner = join(queue == "near" ? 0 : shards - 1);
            owner->say(1, p::channel::Open{});
            owner->say(1, p::queue::Declare{.queue = queue, .durable = true});
            if (queue == "shared") other = owner;
        }
        other->settles_at_once = true;
        other->say(1, p::basic::Consume{.queue = "shared", .consumer_tag = "shared"});
        world.rest();
    }

    Client* join(std::size_t shard) {
        clients.push_back(std::make_unique<Client>());
        world.connect(*clients.back(), shard);
        return clients.back().get();
    }

    /// Until all is done, with what is due after a while as well.
    void settle() {
        world.rest();
        for (int quarters = 0; quarters < 20; ++quarters) {
            world.pass(std::chrono::milliseconds{250});
            world.rest();
        }
    }

    /// The failing allocation: `fail_at`.
    void talk(std::uint64_t number, std::uint64_t together) {
        scarce::fail_at(number, together);
        Client* const actor = join(0);
        conversation = std::make_unique<Conversation>(*actor, *other);
        while (conversation->say_more()) world.rest();
        settle();
        allocations = scarce::counted();
        failed = scarce::has_failed();
        scarce::fail_at(0, 0);
        settle();
    }

    /// What a stranger finds in the queue, besides two messages of its own, which come last.
    std::vector<Number> drain(const std::string& queue) {
        Client* const reader = join(random.below(world.shards()));
        reader->say(1, p::channel::Open{});
        reader->say(1, p::confirm::Select{});
        world.rest();
        for (const Number number : {900'001u, 900'002u}) reader->publish(1, number, "", queue);
        world.rest();
        reader->settles_at_once = true;
        reader->say(1, p::basic::Consume{.queue = queue, .consumer_tag = "all"});
        settle();
        CHECK(reader->confirmed.size() == 2);
        reader->say(0, p::connection::Close{.reply_code = 200});
        settle();
        CHECK(reader->closed);
        CHECK(reader->error == 0);
        std::vector<Number> found = reader->delivered["all"];
        CHECK(found.size() >= 2);
        if (found.size() < 2) return {};
        const auto marks = found.end() - 2;
        CHECK(std::vector<Number>(marks, found.end()) == std::vector<Number>{900'001, 900'002});
        found.erase(marks, found.end());
        return found;
    }

    void check_queue(const std::string& queue) {
        CAPTURE(queue);
        const std::vector<Number> found = drain(queue);
        CHECK(std::adjacent_find(found.begin(), found.end(), std::greater_equal{}) == found.end());
        for (const Number number : conversation->promised(queue)) {
            CAPTURE(number);
            const bool there = std::find(found.begin(), found.end(), number) != found.end();
            CHECK((there || conversation->settled(queue, number)));
        }
    }

    void check_all() {
        for (const std::string queue : {"near", "far"}) check_queue(queue);
        for (const auto& client : clients) {
            CAPTURE(client->error_text);
            if (!client->closed && !client->close_heard)
                client->say(0, p::connection::Close{.reply_code = 200});
            CHECK((client->error == 0 || client->error == 541));
        }
        settle();
        for (const auto& client : clients) CHECK(client->closed);
        CHECK(world.connections() == 0);
        check_queue("shared");
        for (std::size_t i = 0; i < world.shards(); ++i) {
            CHECK(world.shard(i).residents() == 0);
            CHECK(world.shard(i).consumers() == 0);
            world.shard(i).each_queue([](const trilby::broker::Queue& queue) {
                CHECK(queue.consumers() == 0);
                CHECK_FALSE(queue.stopped());
            });
        }
        CHECK(world.ready("exclusive") == -1);
        CHECK(world.ready("passing") <= 0);
        for (const std::string queue : {"own", "passing"})
            if (world.ready(queue) >= 0)
                drain(queue);  // perhaps lost on their way to who need not settle them
        CHECK(world.messages_alive() == 0);
        world.clear();
        CHECK(world.messages_alive() == 0);
    }

    Random random;
    World world;
    std::vector<std::unique_ptr<Client>> clients;
    Client* other = nullptr;
    std::unique_ptr<Conversation> conversation;
    std::uint64_t allocations = 0;
    bool failed = false;
};

/// How many allocations the whole conversation has.
std::uint64_t allocations_of_all(std::size_t shards, std::uint64_t turn_steps) {
    Scene scene(shards, turn_steps);
    scene.talk(0, 0);
    CHECK(scene.conversation->complete());
    scene.check_all();
    return scene.allocations;
}

void lack_memory(std::size_t shards, std::uint64_t together, std::uint64_t step,
                 std::uint64_t turn_steps = trilby::broker::Settings().turn_steps) {
    spdlog::set_level(spdlog::level::off);
    const std::uint64_t all = allocations_of_all(shards, turn_steps);
    allocations_of_all(shards, turn_steps);  // what is made once is there now
    REQUIRE(all > 500);
    unsigned closed = 0, unseen = 0;
    for (std::uint64_t number = 1; number <= all; number += step) {
        CAPTURE(shards);
        CAPTURE(number);
        CAPTURE(together);
        const std::int64_t before = scarce::blocks();
        {
            Scene scene(shards, turn_steps);
            scene.talk(number, together);
            CHECK(scene.failed);
            // Nobody waits for an answer for ever.
            CHECK((scene.conversation->complete() || scene.conversation->over()));
            ++(scene.conversation->complete() ? unseen : closed);
            scene.check_all();
        }
        CHECK(scarce::blocks() == before);
    }
    MESSAGE(all << " allocations, " << closed << " closed, " << unseen << " unseen");
    CHECK(closed > 100 / step);
    CHECK(unseen > 0);
}

}  // namespace

TEST_CASE("one allocation fails, one shard") {
    lack_memory(1, 1, 1);
}

TEST_CASE("one allocation fails, two shards") {
    lack_memory(2, 1, 1);
}

TEST_CASE("some allocations fail one after the other") {
    lack_memory(1, 5, 3);
    lack_memory(2, 5, 3);
}

TEST_CASE("allocations fail while work is cut into turns as short as can be") {
    lack_memory(1, 1, 2, 1);
    lack_memory(2, 1, 2, 1);
    lack_memory(2, 5, 5, 1);
}
