// SPDX-License-Identifier: Apache-2.0
// A queue is deleted while others publish to it from every shard. Whatever arrives when: a confirmed message
// is in the queue and counted, or it was returned.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/random.hpp"
#include "tests/component/harness/world.hpp"

namespace {

namespace p = trilby::protocol;
using trilby::harness::Random;
using trilby::harness::World;

constexpr std::size_t shards = 3;
constexpr std::uint32_t frame_max = 4096;

/// What it says is written down at once, and read by the broker whenever the world likes.
class Client final : public trilby::harness::Peer {
  public:
    explicit Client(bool confirms = false) : Peer(frame_max) {
        say(p::channel::Open{});
        if (confirms) say(p::confirm::Select{});
    }

    template <class M>
    void say(const M& method) {
        send(1, method);
    }
    void publish(unsigned count) {
        for (unsigned i = 0; i < count; ++i)
            send_publish(1, p::basic::Publish{.routing_key = "q", .mandatory = true}, {}, "body");
        published += count;
    }

    unsigned published = 0;
    unsigned returned = 0;
    std::uint64_t confirmed = 0;
    unsigned deleted = 0;            // delete-ok was received …
    std::uint32_t delete_count = 0;  // … with this number
    unsigned commits = 0;
    std::uint16_t error = 0;  // of channel.close
    bool kept_after_return = false;

  private:
    void on_method(std::uint16_t, const p::Method& method) override {
        if (const auto* ack = std::get_if<p::basic::Ack>(&method)) {
            // Returns come first, so what is confirmed and was not returned by now never is.
            confirmed = ack->delivery_tag;
            if (returned != 0 && returned < confirmed && confirmed - returned > kept_)
                kept_after_return = true;
            kept_ = confirmed - returned;
        }
        if (const auto* ok = std::get_if<p::queue::DeleteOk>(&method)) {
            ++deleted;
            delete_count = ok->message_count;
        }
        if (std::holds_alternative<p::tx::CommitOk>(method)) ++commits;
        if (const auto* close = std::get_if<p::channel::Close>(&method)) error = close->reply_code;
    }
    void on_content(std::uint16_t, const p::Method& method, const p::Properties&, std::string_view) override {
        if (std::holds_alternative<p::basic::Return>(method)) ++returned;
    }

    std::uint64_t kept_ = 0;        // confirmed and not returned
    unsigned returned_before_ = 0;  // the last confirm
};

/// A queue on shard 0, publishers on all shards, and whoever ends it.
struct Scene {
    explicit Scene(std::uint64_t seed) : random(seed), world(random, shards, {}) {
        owner = join(random.below(shards));
        for (std::size_t i = 0; i < shards; ++i) publishers.push_back(join(i, true));
    }

    Client* join(std::size_t shard, bool confirms = false) {
        clients.push_back(std::make_unique<Client>(confirms));
        world.connect(*clients.back(), shard);
        return clients.back().get();
    }
    void declare(const p::queue::Declare& method) {
        owner->say(method);
        world.rest();
    }
    void publish(unsigned most = 3) {
        for (Client* publisher : publishers)
            publisher->publish(static_cast<unsigned>(random.below(most + 1)));
    }
    unsigned published() const {
        unsigned sum = 0;
        for (const Client* publisher : publishers) sum += publisher->published;
        return sum;
    }
    unsigned returned() const {
        unsigned sum = 0;
        for (const Client* publisher : publishers) sum += publisher->returned;
        return sum;
    }
    void check_confirmed() const {
        for (const Client* publisher : publishers) {
            CHECK(publisher->confirmed == publisher->published);
            CHECK_FALSE(publisher->kept_after_return);
        }
    }
    void check_nothing_left() {
        world.clear();
        CHECK(world.messages_alive() == 0);
    }

    Random random;
    World world;
    std::vector<std::unique_ptr<Client>> clients;
    Client* owner;
    std::vector<Client*> publishers;
};

constexpr std::uint64_t seeds = 400;

}  // namespace

TEST_CASE("a confirmed message is not deleted by a delete that wants an empty queue") {
    unsigned refused = 0, deleted = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        scene.declare({.queue = "q"});
        Client* const deleter = scene.join(scene.random.below(shards));
        scene.publish(1);
        deleter->say(p::queue::Delete{.queue = "q", .if_empty = true});
        scene.world.rest();
        scene.check_confirmed();
        if (deleter->deleted != 0) {
            ++deleted;
            CHECK(scene.returned() == scene.published());
        } else {
            ++refused;
            CHECK(deleter->error == 406);
            CHECK(scene.returned() == 0);
            CHECK(scene.world.ready("q") == scene.published());
        }
        scene.check_nothing_left();
    }
    CHECK(refused > seeds / 20);
    CHECK(deleted > seeds / 20);
}

TEST_CASE("delete-ok counts each message that was not returned") {
    unsigned between = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        scene.declare({.queue = "q"});
        Client* const deleter = scene.join(scene.random.below(shards));
        Client* const second = scene.join(scene.random.below(shards));
        scene.publish();
        deleter->say(p::queue::Delete{.queue = "q"});
        second->say(p::queue::Delete{.queue = "q", .if_unused = true});
        scene.world.rest();
        scene.check_confirmed();
        CHECK(deleter->deleted == 1);
        CHECK(second->deleted == 1);
        CHECK(deleter->delete_count + second->delete_count + scene.returned() == scene.published());
        CHECK(scene.world.ready("q") == -1);
        if (scene.returned() != 0 && scene.returned() < scene.published()) ++between;
        scene.check_nothing_left();
    }
    CHECK(between > seeds / 20);
}

TEST_CASE("what a transaction publishes to a queue that goes is counted or returned before commit-ok") {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        scene.declare({.queue = "q"});
        Client* const publisher = scene.join(scene.random.below(shards));
        Client* const deleter = scene.join(scene.random.below(shards));
        publisher->say(p::tx::Select{});
        publisher->publish(3);
        publisher->say(p::tx::Commit{});
        deleter->say(p::queue::Delete{.queue = "q"});
        scene.world.rest();
        CHECK(publisher->commits == 1);
        CHECK(deleter->delete_count + publisher->returned == 3);
        scene.check_nothing_left();
    }
}

TEST_CASE("once somebody was told that a queue is gone, a mandatory message is returned") {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Scene scene(seed);
        const std::uint64_t kind = seed % 3;
        scene.declare({.queue = "q", .exclusive = kind == 1, .auto_delete = kind == 2});
        if (kind == 2) {
            scene.owner->say(p::basic::Consume{.queue = "q", .consumer_tag = "c", .no_ack = true});
            scene.world.rest();
        }
        scene.publish();
        switch (kind) {
            case 0: scene.owner->say(p::queue::Delete{.queue = "q"}); break;
            case 1: scene.owner->cut = true; break;
            case 2: scene.owner->say(p::basic::Cancel{.consumer_tag = "c"}); break;
        }
        std::vector<Client*> watchers;
        std::vector<unsigned> kept_before;
        bool gone = false;
        for (int turns = 0; scene.world.turn(); ++turns) {
            if (!gone && turns % 7 == 0 && watchers.size() < 40) {
                watchers.push_back(scene.join(scene.random.below(shards)));
                watchers.back()->say(p::queue::Declare{.queue = "q", .passive = true});
            }
            for (const Client* watcher : watchers) gone = gone || watcher->error == 404;
            if (!gone || !kept_before.empty()) continue;
            for (Client* publisher : scene.publishers) {
                kept_before.push_back(publisher->published);
                publisher->publish(1);
            }
        }
        REQUIRE(gone);
        scene.check_confirmed();
        for (std::size_t i = 0; i < scene.publishers.size(); ++i) {
            const Client& publisher = *scene.publishers[i];
            CHECK(publisher.returned >= publisher.published - kept_before[i]);
        }
        CHECK(scene.world.ready("q") == -1);
        scene.check_nothing_left();
    }
}
