// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/run.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/component/harness/client.hpp"
#include "tests/component/harness/tool.hpp"
#include "tests/component/harness/violation.hpp"
#include "tests/component/harness/world.hpp"

namespace trilby::harness {

namespace {

namespace p = protocol;
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds tick = 250ms;
constexpr std::chrono::milliseconds longest_close = 5s;

broker::Settings small_settings(Random& random) {
    broker::Settings settings;
    settings.mailbox_items = random.between(1, 16);
    settings.mailbox_octets = random.percent(50) ? 1000 : 100000;
    settings.output_limit = random.percent(50) ? 500 : 20000;
    settings.reply_limit = random.percent(50) ? 500 : 20000;
    settings.consumer_window = random.percent(50) ? 400 : 20000;
    if (random.percent(70)) settings.turn_steps = random.between(1, 100);
    return settings;
}

/// In memory, where a sync costs nothing; gone with this object.
class Folder {
  public:
    Folder() {
        std::string name =
            std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
        name += "/trilby-harness-XXXXXX";
        require(::mkdtemp(name.data()) != nullptr, "no directory {}", name);
        path_ = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

Topology any_topology(Random& random) {
    Topology topology;
    const std::size_t queues = random.between(1, 4);
    for (std::size_t i = 0; i < queues; ++i) topology.queues.push_back(fmt::format("s{}", i));
    topology.exchanges = {{"amq.direct", "direct", ""},
                          {"amq.fanout", "fanout", ""},
                          {"amq.topic", "topic", ""},
                          {"amq.headers", "headers", ""},
                          {"x-last", "fanout", ""},
                          {"x-topic", "topic", "x-last"},
                          {"x-headers", "headers", "amq.topic"},
                          {"x-direct", "direct", "x-topic"}};
    const auto to_queue = [&](std::string source, std::string key) {
        topology.bindings.push_back({.source = std::move(source),
                                     .destination = random.one_of(topology.queues),
                                     .key = std::move(key),
                                     .match = {},
                                     .wanted = {}});
    };
    const auto to_exchange = [&](std::string source, std::string key, std::string destination) {
        topology.bindings.push_back({.source = std::move(source),
                                     .destination = std::move(destination),
                                     .to_exchange = true,
                                     .key = std::move(key),
                                     .match = {},
                                     .wanted = {}});
    };
    const auto by_headers = [&](std::string source, std::string match, Headers wanted) {
        topology.bindings.push_back({.source = std::move(source),
                                     .destination = random.one_of(topology.queues),
                                     .key = {},
                                     .match = std::move(match),
                                     .wanted = std::move(wanted)});
    };
    for (const char* key : {"d0", "d1"}) to_queue("amq.direct", key);
    to_queue("amq.fanout", "");
    for (const char* key : {"a.*", "#.z", "a.#"}) to_queue("amq.topic", key);
    by_headers("amq.headers", "all", {{"k", "1"}, {"l", "1"}});
    by_headers("amq.headers", "any", {{"k", "2"}, {"l", "1"}});
    to_queue("x-topic", "a.b");
    to_exchange("x-topic", "a.#", "x-headers");
    to_exchange("x-topic", "#.z", "x-direct");
    by_headers("x-headers", "all", {{"k", "1"}});
    to_queue("x-direct", "d1");
    to_exchange("x-direct", "q.z", "amq.fanout");
    to_exchange("x-direct", "d0", "amq.headers");
    if (random.percent(50)) to_queue("x-last", "");
    return topology;
}

void declare(Tool& tool, const Topology::Binding& binding) {
    p::TableBuilder table;
    if (!binding.match.empty()) table.string("x-match", binding.match);
    for (const auto& [name, value] : binding.wanted) table.string(name, value);
    const std::string arguments = table.take();
    if (binding.to_exchange) {
        tool.ask(p::exchange::Bind{.destination = binding.destination,
                                   .source = binding.source,
                                   .routing_key = binding.key,
                                   .arguments = p::TableView(arguments)},
                 p::exchange::BindOk::id);
    } else {
        tool.ask(p::queue::Bind{.queue = binding.destination,
                                .exchange = binding.source,
                                .routing_key = binding.key,
                                .arguments = p::TableView(arguments)},
                 p::queue::BindOk::id);
    }
}

Topology build(World& world, Ledger& ledger, Random& random) {
    Topology topology = any_topology(random);
    Tool exchanges(world, random.below(world.shards()));
    for (const Topology::Exchange& exchange : topology.exchanges) {
        if (!exchange.name.starts_with("x-")) continue;
        p::TableBuilder table;
        if (!exchange.alternate.empty()) table.string("alternate-exchange", exchange.alternate);
        const std::string arguments = table.take();
        exchanges.ask(p::exchange::Declare{.exchange = exchange.name,
                                           .type = exchange.type,
                                           .durable = true,
                                           .arguments = p::TableView(arguments)},
                      p::exchange::DeclareOk::id);
    }
    for (const Topology::Binding& binding : topology.bindings)
        if (binding.to_exchange) declare(exchanges, binding);
    exchanges.leave();
    for (const std::string& queue : topology.queues) {
        Tool tool(world, random.below(world.shards()));  // a queue's home is the shard of who declares it
        tool.ask(p::queue::Declare{.queue = queue, .durable = true}, p::queue::DeclareOk::id);
        ledger.queue(queue).stable = true;
        for (const Topology::Binding& binding : topology.bindings)
            if (!binding.to_exchange && binding.destination == queue) declare(tool, binding);
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
                  .large_bodies = random_.percent(30),
                  .replies = random_.percent(40),
                  .stalls = random_.percent(30)},
          folder_(random_.percent(25) ? std::make_unique<Folder>() : nullptr),
          world_(new_world()),
          topology_(build(*world_, ledger_, random_)) {
        count_moves();
    }

    void converse() {
        const std::size_t acts = random_.between(20, 300);
        const std::size_t clients = random_.between(1, 5);
        const std::size_t hurry = random_.between(20, 80);
        bool alarm = false;
        for (std::size_t i = 0; i < clients; ++i) add_client();
        for (std::size_t act = 0; act < acts;) {
            if (!random_.percent(hurry) && turn()) continue;
            ++act;
            Client& client =
                *clients_[clients_.size() - 1 - random_.below(std::min(clients, clients_.size()))];
            if (client.leaving() || client.cut) {
                if (clients_.size() < 20) add_client();
                continue;
            }
            client.act();
            if (random_.below(300) == 0) world_->raise_alarm(alarm = !alarm);
            if (!alarm && random_.below(100) == 0) rest();
        }
        if (alarm) world_->raise_alarm(false);
        rest();
    }

    void end() {
        if (folder_ != nullptr && random_.percent(60)) return restart();
        if (random_.percent(20)) return stop();
        world_->resume_stalled();
        for (const auto& client : clients_) client->leave();
        world_->rest();
        require(world_->connections() == 0, "{} connections are left", world_->connections());
        check_no_leftovers();
        ledger_.check_explained();
        drain_all();
    }

  private:
    std::unique_ptr<World> new_world() {
        const std::size_t shards = random_.percent(70) ? random_.between(1, 4) : random_.between(5, 8);
        broker::Settings settings = small_settings(random_);
        if (folder_ == nullptr) return std::make_unique<World>(random_, shards, settings);
        if (random_.percent(50)) settings.backlog_memory = random_.below(3000);
        auto world = std::make_unique<World>(random_, shards, settings, folder_->path());
        totals_.restored += world->restored();
        return world;
    }
    /// What is persistent is there again, in its order.
    void restart() {
        stop();
        ledger_.restarted();
        world_.reset();
        world_ = new_world();
        homes_.clear();
        count_moves();
        consume_and_leave();
        drain_all();
    }
    /// Queues move, with what was restored, and have it again.
    void consume_and_leave() {
        Tool tool(*world_, random_.below(world_->shards()));
        tool.ask(p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(random_.between(1, 20))},
                 p::basic::QosOk::id);
        for (const std::string& queue : topology_.queues)
            if (random_.percent(60))
                tool.ask(p::basic::Consume{.queue = queue, .consumer_tag = queue}, p::basic::ConsumeOk::id);
        count_moves();
        tool.leave();
    }
    void drain_all() {
        Tool tool(*world_, random_.below(world_->shards()));
        for (const std::string& queue : topology_.queues) drain(tool, queue);
        for (const char* queue : {"t0", "t1", "auto0", "auto1"})
            tool.ask(p::queue::Delete{.queue = queue}, p::queue::DeleteOk::id);
        tool.leave();
        require(world_->messages_alive() == 0, "{} messages are left", world_->messages_alive());
    }

    void add_client() {
        clients_.push_back(std::make_unique<Client>(ledger_, topology_, random_, habits_,
                                                    static_cast<unsigned>(clients_.size()),
                                                    random_.percent(30) ? 4096 : 131072));
        world_->connect(*clients_.back(), random_.below(world_->shards()));
    }
    bool turn() {
        ++totals_.turns;
        return world_->turn();
    }
    void rest() {
        // Who does not read may keep what it has, and nobody else waits for that.
        if (random_.percent(60)) world_->resume_stalled();
        world_->rest();
        count_moves();
        if (std::ranges::none_of(clients_, [](const auto& client) { return client->stalled; }))
            ledger_.check_explained();
        for (const auto& client : clients_)
            client->check_rest([&](const std::string& queue) { return world_->ready(queue); });
    }

    void count_moves() {
        world_->shard(0).view().each_queue([&](const broker::QueueInfo& queue) {
            const auto [known, fresh] = homes_.try_emplace(queue.id, queue.home);
            if (std::exchange(known->second, queue.home) != queue.home) ++totals_.moves;
            for (std::size_t i = 1; i < world_->shards(); ++i)
                require(world_->shard(i).view().queue(queue.id)->home == queue.home,
                        "shards {} and 0 do not agree where queue {} lives", i, queue.name);
        });
    }

    void stop() {
        for (const auto& client : clients_) client->expect_end();
        if (random_.percent(50)) world_->resume_stalled();
        world_->stop();
        world_->rest();
        // Who does not read is waited for, but not long.
        for (auto waited = 0ms; waited < longest_close && world_->connections() != 0; waited += tick) {
            world_->pass(tick);
            world_->rest();
        }
        require(world_->connections() == 0, "{} connections are left after a stop", world_->connections());
        world_->clear();
        require(world_->messages_alive() == 0, "{} messages are left after a stop", world_->messages_alive());
    }

    void check_no_leftovers() {
        for (std::size_t i = 0; i < world_->shards(); ++i) {
            require(world_->shard(i).residents() == 0, "sessions are left on shard {}", i);
            require(world_->shard(i).consumers() == 0, "consumers are left on shard {}", i);
            world_->shard(i).view().each_queue([&](const broker::QueueInfo& queue) {
                require(queue.owner == broker::AskerId{},
                        "exclusive queue {} is left in the view of shard {}", queue.name, i);
            });
            world_->shard(i).each_queue([&](const broker::Queue& queue) {
                require(queue.consumers() == 0, "queue {} has a consumer left",
                        world_->shard(i).view().queue(queue.id())->name);
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
            require(before == 0 || before < message, "message {} stands behind {} in {}", message, before,
                    queue);
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
    const std::unique_ptr<Folder> folder_;
    std::unique_ptr<World> world_;
    const Topology topology_;
    std::map<broker::QueueId, broker::ShardIndex> homes_;  // at the last rest
};

}  // namespace

void run(std::uint64_t seed, Totals& totals) {
    Run run(seed, totals);
    run.converse();
    run.end();
}

}  // namespace trilby::harness
