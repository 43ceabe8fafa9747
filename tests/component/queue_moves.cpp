// SPDX-License-Identifier: Apache-2.0
// A queue moves to the shard of its first consumer while others publish to it and ask it from every shard.
// Whatever arrives when: each message comes once and in order, and every answer is one that a queue which
// stayed could have given.
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/random.hpp"
#include "tests/component/harness/world.hpp"

namespace {

namespace p = trilby::protocol;
using namespace std::chrono_literals;
using trilby::harness::Random;
using trilby::harness::World;

constexpr std::uint32_t frame_max = 4096;
constexpr std::uint64_t seeds = 400;

class Client final : public trilby::harness::Peer {
  public:
    explicit Client(unsigned number) : Peer(frame_max), number_(number) {
        say(p::channel::Open{});
        say(p::confirm::Select{});
    }

    template <class M>
    void say(const M& method) {
        send(1, method);
    }
    void publish(unsigned count) {
        for (unsigned i = 0; i < count; ++i)
            send_publish(1, p::basic::Publish{.routing_key = "q", .mandatory = true}, {},
                         fmt::format("{} {}", number_, ++published));
    }

    unsigned published = 0;
    std::uint64_t confirmed = 0;
    unsigned returned = 0;
    std::vector<std::string> got;  // by get and as a consumer: body, and a sign if it was redelivered
    std::uint64_t last_tag = 0;
    unsigned empty = 0;                 // gets that found nothing
    unsigned consumes = 0;              // consume-ok
    std::vector<std::uint32_t> counts;  // of declare-ok
    std::uint32_t taken_away = 0;       // by purge and delete
    unsigned deleted = 0;
    std::uint16_t error = 0;  // of channel.close

  private:
    void on_method(std::uint16_t, const p::Method& method) override {
        if (const auto* ack = std::get_if<p::basic::Ack>(&method)) confirmed = ack->delivery_tag;
        if (std::holds_alternative<p::basic::GetEmpty>(method)) ++empty;
        if (std::holds_alternative<p::basic::ConsumeOk>(method)) ++consumes;
        if (const auto* ok = std::get_if<p::queue::DeclareOk>(&method)) counts.push_back(ok->message_count);
        if (const auto* ok = std::get_if<p::queue::PurgeOk>(&method)) taken_away += ok->message_count;
        if (const auto* ok = std::get_if<p::queue::DeleteOk>(&method)) {
            ++deleted;
            taken_away += ok->message_count;
        }
        if (const auto* close = std::get_if<p::channel::Close>(&method)) error = close->reply_code;
    }
    void on_content(std::uint16_t, const p::Method& method, const p::Properties&,
                    std::string_view body) override {
        const auto take = [&](std::uint64_t tag, bool redelivered) {
            last_tag = tag;
            got.push_back(std::string(body) + (redelivered ? " again" : ""));
        };
        if (std::holds_alternative<p::basic::Return>(method)) ++returned;
        if (const auto* ok = std::get_if<p::basic::GetOk>(&method)) take(ok->delivery_tag, ok->redelivered);
        if (const auto* one = std::get_if<p::basic::Deliver>(&method))
            take(one->delivery_tag, one->redelivered);
    }

    const unsigned number_;
};

trilby::broker::Settings narrow(Random& random) {
    trilby::broker::Settings settings;
    settings.mailbox_items = random.between(1, 16);
    settings.consumer_window = random.percent(50) ? 400 : 20000;
    return settings;
}

/// A queue on one shard, and a publisher on each.
struct Scene {
    explicit Scene(std::uint64_t seed, const p::queue::Declare& queue = {.queue = "q"})
        : random(seed), world(random, random.between(2, 5), narrow(random)), old_home(any_shard()) {
        owner = join(old_home);
        owner->say(queue);
        world.rest();
        for (std::size_t i = 0; i < world.shards(); ++i) publishers.push_back(join(i));
    }

    std::size_t any_shard() { return random.below(world.shards()); }
    std::size_t another_shard(std::size_t than) {
        return (than + random.between(1, world.shards() - 1)) % world.shards();
    }
    Client* join(std::size_t shard) {
        clients.push_back(std::make_unique<Client>(static_cast<unsigned>(clients.size())));
        world.connect(*clients.back(), shard);
        return clients.back().get();
    }
    void publish(unsigned most) {
        for (Client* publisher : publishers)
            publisher->publish(static_cast<unsigned>(random.below(most + 1)));
    }
    void some_turns(std::size_t most) {
        for (std::size_t left = random.below(most + 1); left != 0 && world.turn();) --left;
    }
    unsigned published() const {
        unsigned sum = 0;
        for (const Client* publisher : publishers) sum += publisher->published;
        return sum;
    }
    /// As every shard sees it.
    void check_home(std::size_t home) {
        for (std::size_t i = 0; i < world.shards(); ++i) {
            const trilby::broker::View& view = world.shard(i).view();
            const trilby::broker::QueueInfo* const queue = view.queue(*view.vhost("/"), "q");
            REQUIRE(queue != nullptr);
            CHECK(queue->home == home);
            CHECK((queue->near != nullptr) == (i == home));
            CHECK_FALSE(queue->closed);
        }
    }
    void check_confirmed() const {
        for (const Client* publisher : publishers) CHECK(publisher->confirmed == publisher->published);
    }
    /// In the order of each publisher.
    static void check_order(const std::vector<std::string>& got) {
        std::map<int, int> last;
        for (const std::string& body : got) {
            const std::size_t space = body.find(' ');
            int& before = last[std::stoi(body.substr(0, space))];
            const int number = std::stoi(body.substr(space + 1));
            CHECK(before < number);
            before = number;
        }
    }
    void check_nothing_left() {
        world.clear();
        CHECK(world.messages_alive() == 0);
    }

    Random random;
    World world;
    const std::size_t old_home;
    std::vector<std::unique_ptr<Client>> clients;
    Client* owner;
    std::vector<Client*> publishers;
};

}  // namespace

TEST_CASE("a queue lives where its first consumer is, and nothing is lost, doubled or overtaken by that") {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        const std::size_t home = scene.another_shard(scene.old_home);
        scene.publish(5);
        scene.some_turns(60);
        Client* const consumer = scene.join(home);
        consumer->say(p::basic::Consume{.queue = "q", .no_ack = true});
        for (int i = 0; i < 5; ++i) {
            scene.publish(2);
            scene.some_turns(20);
        }
        scene.world.rest();
        scene.check_home(home);
        scene.check_confirmed();
        CHECK(consumer->got.size() == scene.published());
        Scene::check_order(consumer->got);
        scene.check_nothing_left();
    }
}

TEST_CASE("what is asked of a queue that moves is answered as by one that stays") {
    unsigned deleted = 0;
    for (std::uint64_t seed = 1; seed <= 2 * seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        const std::size_t home = scene.another_shard(scene.old_home);
        scene.publish(4);
        scene.world.rest();
        Client* const consumer = scene.join(home);
        Client* const asker = scene.join(scene.any_shard());
        Client* const other = scene.join(scene.any_shard());
        consumer->say(p::basic::Qos{.prefetch_count = 1});
        consumer->say(p::basic::Consume{.queue = "q", .consumer_tag = "first"});
        scene.some_turns(40);
        const bool deletes = scene.random.percent(30);
        for (unsigned i = 0; i < 3; ++i) asker->say(p::basic::Get{.queue = "q", .no_ack = true});
        asker->say(p::queue::Declare{.queue = "q", .passive = true});
        other->say(p::basic::Consume{.queue = "q", .consumer_tag = "second", .no_ack = true});
        other->say(p::basic::Cancel{.consumer_tag = "second"});
        scene.publish(2);
        if (deletes) {
            asker->say(p::queue::Delete{.queue = "q", .if_empty = true});
        } else if (scene.random.percent(50)) {
            asker->say(p::queue::Purge{.queue = "q"});
        }
        scene.world.rest();
        scene.check_confirmed();
        CHECK(consumer->consumes + (consumer->error == 0 ? 0 : 1) == 1);
        if (consumer->error != 0) CHECK(asker->deleted == 1);
        CHECK(other->consumes + (other->error == 0 ? 0 : 1) == 1);
        CHECK(asker->got.size() + asker->empty == 3);
        if (asker->error == 0) CHECK(asker->counts.size() == 1);
        Scene::check_order(asker->got);
        Scene::check_order(consumer->got);
        unsigned returned = 0;
        for (const Client* publisher : scene.publishers) returned += publisher->returned;
        const auto taken =
            static_cast<unsigned>(asker->got.size() + other->got.size() + consumer->got.size());
        if (asker->deleted != 0) {
            ++deleted;
            CHECK(scene.world.ready("q") == -1);
            CHECK(taken + returned == scene.published());
        } else {
            CHECK(returned == 0);
            CHECK(taken + asker->taken_away + static_cast<unsigned>(scene.world.ready("q")) ==
                  scene.published());
            const auto& view = scene.world.shard(0).view();
            scene.check_home(view.queue(*view.vhost("/"), "q")->home);
        }
        scene.check_nothing_left();
    }
    CHECK(deleted > 0);
}

TEST_CASE("a queue of which a message is out stays, and it comes back to its place") {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        Client* const publisher = scene.publishers.front();
        Client* const getter = scene.join(scene.any_shard());
        Client* const consumer = scene.join(scene.another_shard(scene.old_home));
        publisher->publish(3);
        scene.world.rest();
        getter->say(p::basic::Get{.queue = "q"});
        scene.world.rest();
        REQUIRE(getter->got.size() == 1);
        getter->say(p::basic::Nack{.delivery_tag = getter->last_tag, .requeue = true});
        const bool at_rest = scene.random.percent(50);
        if (at_rest) scene.world.rest();
        consumer->say(p::basic::Consume{.queue = "q", .no_ack = true});
        scene.world.rest();
        CHECK(consumer->got.size() == 3);
        std::size_t again = 0;
        for (const std::string& body : consumer->got) again += body.ends_with(" again") ? 1 : 0;
        CHECK(again == 1);
        if (at_rest) CHECK(consumer->got.front() == getter->got.front() + " again");
        scene.check_nothing_left();
    }
}

TEST_CASE("a queue moves for its first consumer only") {
    for (std::uint64_t seed = 1; seed <= seeds / 4; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        const std::size_t home = scene.any_shard();
        Client* const first = scene.join(home);
        first->say(p::basic::Consume{.queue = "q", .consumer_tag = "c"});
        first->say(p::basic::Cancel{.consumer_tag = "c"});
        scene.world.rest();
        scene.check_home(home);
        Client* const second = scene.join(scene.another_shard(home));
        second->say(p::basic::Consume{.queue = "q", .no_ack = true});
        scene.publish(3);
        scene.world.rest();
        scene.check_home(home);
        CHECK(second->got.size() == scene.published());
        scene.check_nothing_left();
    }
}

TEST_CASE("an auto-delete queue that has moved ends with its last consumer") {
    for (std::uint64_t seed = 1; seed <= seeds / 4; ++seed) {
        CAPTURE(seed);
        Scene scene(seed, {.queue = "q", .auto_delete = true});
        // The first may be cut before anybody has read what it said; then the second is the first.
        for (const bool second : {false, true}) {
            Client* const consumer = scene.join(scene.another_shard(scene.old_home));
            consumer->say(p::basic::Consume{.queue = "q", .no_ack = true});
            second ? scene.world.rest() : scene.some_turns(60);
            consumer->cut = true;
            scene.world.rest();
        }
        CHECK(scene.world.ready("q") == -1);
        scene.check_nothing_left();
    }
}

TEST_CASE("a broker that ends while a queue moves leaves no message behind") {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        scene.publish(4);
        scene.world.rest();
        scene.join(scene.another_shard(scene.old_home))->say(p::basic::Consume{.queue = "q"});
        scene.some_turns(60);
        if (seed % 2 == 0) {
            scene.world.stop();
            for (int i = 0; i < 20 && scene.world.connections() != 0; ++i) {
                scene.world.rest();
                scene.world.pass(250ms);  // nobody answers; they are dropped
            }
            CHECK(scene.world.connections() == 0);
        }
        scene.check_nothing_left();
    }
}
