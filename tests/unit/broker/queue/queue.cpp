// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/queue.hpp"

#include <cstring>
#include <set>
#include <vector>

#include <doctest/doctest.h>

#include "broker/queue/receiver.hpp"
#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

namespace {

/// Takes what a queue hands over, and throws it away.
struct Taker final : Receiver {
    Taker() : Receiver(taking) {}
    void deliver(const Delivery& delivery, Arrival&) override { deliveries.push_back(delivery); }
    void wants_grant(ConsumerId) override { ++wishes; }
    void grant_returned(ConsumerId, std::int64_t messages) override { returned += messages; }
    void joined(Queue&, Consumer&) override { ++members; }
    void left(ConsumerId) override { --members; }

    bool taking = true;
    std::vector<Delivery> deliveries;
    int wishes = 0;
    std::int64_t returned = 0;
    int members = 0;
};

/// What a queue has to say to its shard.
struct Events final : QueueEvents {
    void wait_for_disk(QueueId) override { ++disk; }
    void wait_for_memory() override { ++memory; }
    void end_unused(QueueId id) override { unused.push_back(id); }
    void tell_queue_gone(ConsumerId id) override { told.push_back(id); }

    int disk = 0, memory = 0;
    std::vector<QueueId> unused;
    std::vector<ConsumerId> told;
};

/// All that a queue needs: a pool, a store of messages, somebody who takes them.
class Home {
  public:
    void publish(Queue& queue, std::uint32_t body_size = 4) {
        Message* message = messages_.allocate(2, 22, body_size);
        std::memset(message->bytes(), 0, message->names_size + message->tail_size());
        {
            Arrival arrival(message, messages_);
            queue.publish(arrival);
        }
        messages_.release(message);
    }
    Consumer consumer(std::uint64_t number, std::int64_t credit) {
        Consumer consumer;
        consumer.id = ConsumerId{number << slot_bits};
        consumer.receiver = &taker;
        consumer.credit = credit;
        return consumer;
    }
    QueueHome& operator*() { return home_; }
    MessagePool& messages() { return messages_; }
    std::int64_t alive() const { return messages_.balance(); }

    Taker taker;
    Events events;

  private:
    MessagePool messages_{0};
    Bodies bodies_{messages_, {.memory = std::uint64_t{1} << 20, .cache_blocks = 8}};
    Turn turn_{32768};
    QueueHome home_{messages_, bodies_, turn_, events};
};

}  // namespace

TEST_CASE("what is got and put back comes again first, marked") {
    Home home;
    {
        Queue queue(*home, QueueId{1}, false, false);
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
    Queue queue(*home, QueueId{1}, false, false);
    for (int i = 0; i < 5; ++i) home.publish(queue);
    const Consumer consumer = home.consumer(1, 2);
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
    Queue queue(*home, QueueId{1}, false, true);
    CHECK_FALSE(queue.settles_at_once());
    Consumer consumer = home.consumer(1, Consumer::unlimited);
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
    Consumer acknowledging = home.consumer(2, 10);
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
    Queue queue(*home, QueueId{1}, false, false);
    CHECK(queue.subscribe(home.consumer(1, 1), true) == Queue::Subscribe::subscribed);
    CHECK(queue.subscribe(home.consumer(2, 1), false) == Queue::Subscribe::in_exclusive_use);
    queue.cancel(home.consumer(1, 1).id);
    CHECK(queue.subscribe(home.consumer(2, 1), false) == Queue::Subscribe::subscribed);
    CHECK(queue.subscribe(home.consumer(3, 1), true) == Queue::Subscribe::in_exclusive_use);
}

TEST_CASE("a channel's share that a queue cannot use is given back, and asked for when there is something") {
    Home home;
    Queue queue(*home, QueueId{1}, false, false);
    Consumer consumer = home.consumer(1, Consumer::unlimited);
    consumer.granted = true;
    queue.subscribe(consumer, false);
    queue.open_window(consumer.id, 100000);
    for (int i = 0; i < 3; ++i) home.publish(queue);
    CHECK(queue.ready() == 3);
    CHECK(home.taker.wishes == 1);
    queue.grant(consumer.id, 2);
    CHECK(queue.ready() == 1);
    CHECK(home.taker.returned == 0);
    queue.grant(consumer.id, 5);
    CHECK(queue.ready() == 0);
    CHECK(home.taker.returned == 4);
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
            Queue queue(*home, QueueId{1}, false, false);
            std::set<EntryNumber> got;
            std::set<std::uint64_t> here;
            std::uint64_t total = 0;
            for (int step = 0; step < 500; ++step) {
                const std::uint64_t number = 1 + random() % 4;
                const ConsumerId id = home.consumer(number, 0).id;
                switch (random() % 6) {
                    case 0:
                    case 1:
                        home.publish(queue);
                        ++total;
                        break;
                    case 2:
                        if (const auto one = queue.get()) {
                            REQUIRE(got.insert(one->entry).second);
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
                            queue.subscribe(home.consumer(number, 0), false);  // no credit: takes nothing
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

TEST_CASE("a receiver that is being ended is passed over, and its consumer may be cancelled later") {
    Home home;
    Queue queue(*home, QueueId{1}, false, false);
    Taker other;
    Consumer second = home.consumer(2, 10);
    second.receiver = &other;
    queue.subscribe(home.consumer(1, 10), false);
    queue.subscribe(second, false);
    for (const std::uint64_t number : {1, 2}) queue.open_window(home.consumer(number, 0).id, 100000);
    home.taker.taking = false;
    for (int i = 0; i < 4; ++i) home.publish(queue);
    CHECK(home.taker.deliveries.empty());
    CHECK(other.deliveries.size() == 4);
    CHECK(queue.cancel(home.consumer(1, 0).id));
    CHECK(home.taker.members == 0);
}

TEST_CASE(
    "an auto-delete queue says that it has lost its last consumer, and a deleted one tells its consumers") {
    Home home;
    Queue queue(*home, QueueId{1}, true, false);
    for (const std::uint64_t number : {1, 2}) queue.subscribe(home.consumer(number, 1), false);
    queue.cancel(home.consumer(1, 0).id);
    CHECK(home.events.unused.empty());
    queue.cancel(home.consumer(2, 0).id);
    CHECK(home.events.unused == std::vector{QueueId{1}});
    queue.subscribe(home.consumer(3, 1), false);
    queue.stop();
    CHECK(queue.lose_consumers());
    CHECK(home.events.told == std::vector{home.consumer(3, 0).id});
    CHECK(home.taker.members == 0);
}
