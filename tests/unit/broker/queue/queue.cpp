// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/queue.hpp"

#include <map>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "broker/session/session.hpp"
#include "broker/shard/shard.hpp"
#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

struct NoLoop final : ShardLoop {
    void wake() override {}
    void touched(Session&) override {}
    void adopt(int) override {}
    void stopping() override {}
};

/// A queue on shard 0, whose consumers are at shard 1: what it hands over is read from the road between them,
/// as mail.
class Home {
  public:
    Home() : home_(0, settings_, 2), away_(1, settings_, 2) {
        for (Shard* shard : {&home_, &away_}) {
            shard->set_loop(loop_);
            shard->connect({&home_, &away_});
        }
        Definitions definitions = Catalog::embedded_default();
        const ChangeSet changes = home_.catalog()->import(definitions).value();
        for (Shard* shard : {&home_, &away_}) shard->apply(changes);
    }
    ~Home() {
        for (Shard* shard : {&home_, &away_}) shard->clear();
        for (Shard* shard : {&home_, &away_}) shard->messages().flush();
    }

    Shard& shard() { return home_; }
    void publish(Queue& queue, std::uint32_t body_size = 4) {
        Message* message = home_.messages().allocate(2, 22, body_size);
        std::memset(message->bytes(), 0, message->names_size + message->tail_size());
        {
            Arrival arrival(message, home_.messages());
            queue.publish(arrival);
        }
        home_.messages().release(message);
    }
    std::int64_t alive() { return home_.messages().balance() + away_.messages().balance(); }

  private:
    NoLoop loop_;
    Settings settings_{};
    Shard home_;
    Shard away_;
};

Consumer far_consumer(std::uint64_t number, std::int64_t credit) {
    Consumer consumer;
    consumer.id = ConsumerId{std::uint64_t{1} << 56 | number << slot_bits};
    consumer.credit = credit;
    return consumer;
}

}  // namespace

TEST_CASE("what is got and put back comes again first, marked") {
    Home home;
    {
        Queue queue(home.shard(), QueueId{1}, false, false);
        for (int i = 0; i < 3; ++i) home.publish(queue);
        const auto first = queue.get();
        REQUIRE(first);
        CHECK_FALSE(first->redelivered);
        CHECK(queue.ready() == 2);
        queue.settle({}, first->entry, 1, Settlement::requeue);
        CHECK(queue.ready() == 3);
        const auto again = queue.get();
        REQUIRE(again);
        CHECK(again->entry == first->entry);
        CHECK(again->redelivered);
        for (const auto& got : {first, again}) home.shard().messages().release(got->message);
        queue.settle({}, again->entry, 1, Settlement::acknowledge);
        std::uint64_t purged = 0;
        while (!queue.purge(queue.end(), purged)) {
        }
        CHECK(purged == 2);
        CHECK(queue.ready() == 0);
    }
    CHECK(home.alive() == 0);
}

TEST_CASE("a consumer gets nothing before its window, and never more than its prefetch") {
    Home home;
    Queue queue(home.shard(), QueueId{1}, false, false);
    for (int i = 0; i < 5; ++i) home.publish(queue);
    const Consumer consumer = far_consumer(1, 2);
    REQUIRE(queue.subscribe(consumer, false) == Queue::Subscribe::subscribed);
    CHECK(queue.ready() == 5);
    queue.open_window(consumer.id, 100000);
    CHECK(queue.ready() == 3);
    queue.settle(consumer.id, 1, 1, Settlement::acknowledge);
    CHECK(queue.ready() == 2);
    CHECK(queue.cancel(consumer.id));
    CHECK_FALSE(queue.cancel(consumer.id));
    queue.settle(consumer.id, 2, 2, Settlement::requeue);
    CHECK(queue.ready() == 4);
}

TEST_CASE(
    "a message is settled at once only by a consumer with automatic acknowledgement that can take it now") {
    Home home;
    Queue queue(home.shard(), QueueId{1}, false, true);
    CHECK_FALSE(queue.settles_at_once());
    Consumer consumer = far_consumer(1, Consumer::unlimited);
    consumer.no_ack = true;
    queue.subscribe(consumer, false);
    CHECK_FALSE(queue.settles_at_once());  // it has no window yet
    queue.open_window(consumer.id, 1);
    CHECK(queue.settles_at_once());
    home.publish(queue);
    CHECK(queue.ready() == 0);
    CHECK_FALSE(queue.settles_at_once());  // its window is used up
    home.publish(queue);
    CHECK(queue.ready() == 1);
    CHECK_FALSE(queue.settles_at_once());
    Consumer acknowledging = far_consumer(2, 10);
    acknowledging.priority = 1;
    queue.subscribe(acknowledging, false);
    queue.open_window(acknowledging.id, 100000);
    queue.open_window(consumer.id, 100000);
    CHECK(queue.ready() == 0);
    CHECK_FALSE(queue.settles_at_once());  // it is the other's turn
    queue.cancel(acknowledging.id);
    CHECK(queue.settles_at_once());
    queue.stop();
    CHECK_FALSE(queue.settles_at_once());
}

TEST_CASE("an exclusive consumer is alone") {
    Home home;
    Queue queue(home.shard(), QueueId{1}, false, false);
    CHECK(queue.subscribe(far_consumer(1, 1), true) == Queue::Subscribe::subscribed);
    CHECK(queue.subscribe(far_consumer(2, 1), false) == Queue::Subscribe::in_exclusive_use);
    queue.cancel(far_consumer(1, 1).id);
    CHECK(queue.subscribe(far_consumer(2, 1), false) == Queue::Subscribe::subscribed);
    CHECK(queue.subscribe(far_consumer(3, 1), true) == Queue::Subscribe::in_exclusive_use);
}

TEST_CASE("a channel's share that a queue cannot use is given back, and asked for when there is something") {
    Home home;
    Queue queue(home.shard(), QueueId{1}, false, false);
    Consumer consumer = far_consumer(1, Consumer::unlimited);
    consumer.granted = true;
    queue.subscribe(consumer, false);
    queue.open_window(consumer.id, 100000);
    for (int i = 0; i < 3; ++i) home.publish(queue);
    CHECK(queue.ready() == 3);
    queue.grant(consumer.id, 2);
    CHECK(queue.ready() == 1);
    queue.grant(consumer.id, 5);
    CHECK(queue.ready() == 0);
    home.publish(queue);
    CHECK(queue.ready() == 1);  // what was left of the five went back
    queue.limit_by_grants(consumer.id, false);
    CHECK(queue.ready() == 0);
}

TEST_CASE("credit, window and messages agree after any operations") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    for (int round = 0; round < 30; ++round) {
        Home home;
        {
            Queue queue(home.shard(), QueueId{1}, false, false);
            std::set<EntryNumber> got;
            std::set<std::uint64_t> here;
            std::uint64_t total = 0;
            for (int step = 0; step < 500; ++step) {
                const std::uint64_t number = 1 + random() % 4;
                const ConsumerId id = far_consumer(number, 0).id;
                switch (random() % 6) {
                    case 0:
                    case 1:
                        home.publish(queue);
                        ++total;
                        break;
                    case 2:
                        if (const auto one = queue.get()) {
                            REQUIRE(got.insert(one->entry).second);
                            home.shard().messages().release(one->message);
                        }
                        break;
                    case 3:
                        if (!got.empty()) {
                            const EntryNumber entry =
                                *std::next(got.begin(), static_cast<long>(random() % got.size()));
                            got.erase(entry);
                            const bool again = random() % 2;
                            queue.settle({}, entry, 1, again ? Settlement::requeue : Settlement::acknowledge);
                            if (!again) --total;
                        }
                        break;
                    case 4:
                        if (here.insert(number).second) {
                            queue.subscribe(far_consumer(number, 0), false);  // no credit: takes nothing
                            queue.open_window(id, 1000);
                        }
                        break;
                    case 5: REQUIRE(queue.cancel(id) == (here.erase(number) == 1)); break;
                }
                REQUIRE(queue.ready() == total - got.size());
                REQUIRE(queue.consumers() == here.size());
                REQUIRE(home.alive() == static_cast<std::int64_t>(total));
            }
        }
        REQUIRE(home.alive() == 0);
    }
}
