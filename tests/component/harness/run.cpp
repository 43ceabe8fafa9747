// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/run.hpp"

#include <map>
#include <memory>
#include <vector>

#include "tests/component/harness/client.hpp"
#include "tests/component/harness/tool.hpp"
#include "tests/component/harness/violation.hpp"
#include "tests/component/harness/world.hpp"

namespace trilby::harness {

namespace {

namespace p = protocol;

broker::Settings small_settings(Random& random) {
    broker::Settings settings;
    settings.mailbox_items = random.between(1, 16);
    settings.mailbox_octets = random.percent(50) ? 1000 : 100000;
    settings.output_limit = random.percent(50) ? 500 : 20000;
    settings.reply_limit = random.percent(50) ? 500 : 20000;
    settings.consumer_window = random.percent(50) ? 400 : 20000;
    return settings;
}

Topology build(World& world, Ledger& ledger, Random& random) {
    Topology topology;
    const std::size_t queues = random.between(1, 4);
    for (std::size_t i = 0; i < queues; ++i) topology.queues.push_back(fmt::format("s{}", i));
    for (const char* key : {"d0", "d1"})
        topology.bindings.push_back({"amq.direct", key, random.one_of(topology.queues)});
    topology.bindings.push_back({"amq.fanout", "", random.one_of(topology.queues)});
    for (const char* key : {"a.*", "#.z", "a.#"})
        topology.bindings.push_back({"amq.topic", key, random.one_of(topology.queues)});
    for (const std::string& queue : topology.queues) {
        Tool tool(world, random.below(world.shards()));  // a queue's home is the shard of who declares it
        tool.ask(p::queue::Declare{.queue = queue, .durable = true}, p::queue::DeclareOk::id);
        ledger.queue(queue).stable = true;
        for (const Topology::Binding& binding : topology.bindings)
            if (binding.queue == queue)
                tool.ask(p::queue::Bind{.queue = queue, .exchange = binding.exchange, .routing_key = binding.key},
                         p::queue::BindOk::id);
        tool.leave();
    }
    return topology;
}

class Run {
  public:
    Run(std::uint64_t seed, Totals& totals)
        : random_(seed * 0x2545F4914F6CDD1D + 1),
          totals_(totals),
          habits_{.no_ack = random_.percent(40),
                  .transactions = random_.percent(40),
                  .purges = random_.percent(20),
                  .errors = random_.percent(40),
                  .drops = random_.percent(40),
                  .changes_limits = random_.percent(30),
                  .large_bodies = random_.percent(30)},
          world_(random_, random_.between(1, 4), small_settings(random_)),
          topology_(build(world_, ledger_, random_)) {}

    void converse() {
        const std::size_t acts = random_.between(20, 300);
        const std::size_t clients = random_.between(1, 5);
        const std::size_t hurry = random_.between(20, 80);
        bool alarm = false;
        for (std::size_t i = 0; i < clients; ++i) add_client();
        for (std::size_t act = 0; act < acts;) {
            if (!random_.percent(hurry) && turn()) continue;
            ++act;
            Client& client = *clients_[clients_.size() - 1 - random_.below(std::min(clients, clients_.size()))];
            if (client.leaving() || client.cut) {
                if (clients_.size() < 20) add_client();
                continue;
            }
            client.act();
            if (random_.below(300) == 0) world_.raise_alarm(alarm = !alarm);
            if (!alarm && random_.below(100) == 0) rest();
        }
        if (alarm) world_.raise_alarm(false);
        rest();
    }

    void end() {
        if (random_.percent(20)) return stop();
        for (const auto& client : clients_) client->leave();
        world_.rest();
        require(world_.connections() == 0, "{} connections are left", world_.connections());
        check_no_leftovers();
        ledger_.check_explained();
        Tool tool(world_, random_.below(world_.shards()));
        for (const std::string& queue : topology_.queues) drain(tool, queue);
        for (const char* queue : {"t0", "t1", "auto0", "auto1"})
            tool.ask(p::queue::Delete{.queue = queue}, p::queue::DeleteOk::id);
        tool.leave();
        require(world_.messages_alive() == 0, "{} messages are left", world_.messages_alive());
    }

  private:
    void add_client() {
        clients_.push_back(std::make_unique<Client>(ledger_, topology_, random_, habits_,
                                                    static_cast<unsigned>(clients_.size()),
                                                    random_.percent(30) ? 4096 : 131072));
        world_.connect(*clients_.back(), random_.below(world_.shards()));
    }
    bool turn() {
        ++totals_.turns;
        return world_.turn();
    }
    void rest() {
        world_.rest();
        ledger_.check_explained();
        for (const auto& client : clients_) client->check_rest([&](const std::string& queue) { return world_.ready(queue); });
    }

    void stop() {
        for (const auto& client : clients_) client->expect_end();
        world_.stop();
        world_.rest();
        require(world_.connections() == 0, "{} connections are left after a stop", world_.connections());
        world_.clear();
        require(world_.messages_alive() == 0, "{} messages are left after a stop", world_.messages_alive());
    }

    void check_no_leftovers() {
        for (std::size_t i = 0; i < world_.shards(); ++i) {
            require(world_.shard(i).sessions() == 0, "sessions are left on shard {}", i);
            require(world_.shard(i).consumers() == 0, "consumers are left on shard {}", i);
            world_.shard(i).view().each_queue([&](const broker::QueueInfo& queue) {
                require(queue.owner == broker::ConnectionId{}, "exclusive queue {} is left in the view of shard {}",
                        queue.name, i);
            });
            world_.shard(i).each_queue([&](const broker::Queue& queue) {
                require(queue.consumers() == 0, "queue {} has a consumer left",
                        world_.shard(i).view().queue(queue.id())->name);
            });
        }
    }

    void drain(Tool& tool, const std::string& queue) {
        const HolderNumber drainer = ledger_.add_holder();
        std::map<HolderNumber, MessageNumber> last;
        tool.drain(queue, [&](std::string_view body, bool redelivered) {
            const MessageNumber message = ledger_.read_body(body);
            ledger_.delivered(queue, message, redelivered, true, drainer);
            MessageNumber& before = last[ledger_.message(message).publisher];
            require(before == 0 || before < message, "message {} stands behind {} in {}", message, before, queue);
            before = message;
        });
        ledger_.check_drained(queue);
        totals_.messages += queue == topology_.queues.front() ? ledger_.messages() : 0;
    }

    Random random_;
    Totals& totals_;
    const Habits habits_;
    Ledger ledger_;
    std::vector<std::unique_ptr<Client>> clients_;
    World world_;
    const Topology topology_;
};

}  // namespace

void run(std::uint64_t seed, Totals& totals) {
    Run run(seed, totals);
    run.converse();
    run.end();
}

}  // namespace trilby::harness
