// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/run.hpp"

#include <memory>
#include <thread>
#include <vector>

#include <sys/prctl.h>

#include "bench/broker/connect.hpp"
#include "bench/broker/loop.hpp"
#include "bench/broker/topology.hpp"
#include "client/channel.hpp"

namespace trilby::perf {
namespace {

using client::Channel;
using client::Connection;

class Run {
  public:
    Run(const Scenario& scenario, Topology topology)
        : scenario_(scenario),
          topology_(std::move(topology)),
          stream_count_(count_streams()),
          checker_(scenario.producers, topology_.queues.size(), stream_count_, topology_.patterns()) {
        arrivals_.checker = &checker_;
    }

    /// Consumers first: a queue lives where it is declared, and that should be where it is read.
    client::Result<> prepare() {
        checker_.taken_before(scenario_.taken);
        for (std::size_t consumer = 0; scenario_.consumes() && consumer < scenario_.consumers; ++consumer)
            if (auto added = add_consumer(consumer); !added) return added;
        for (std::size_t producer = 0; scenario_.publishes() && producer < scenario_.producers; ++producer)
            if (auto added = add_producer(producer); !added) return added;
        for (std::size_t i = 0; i < scenario_.threads; ++i)
            loops_.push_back(std::make_unique<Loop>(scenario_, checker_, progress_, arrivals_));
        for (const auto& producer : producers_) loops_.front()->add(*producer);
        for (const auto& consumer : consumers_) loops_.back()->add(*consumer);
        return {};
    }

    Findings measure() {
        Findings findings;
        if (scenario_.warmup > 0) phase(Producer::no_limit, scenario_.warmup);
        arrivals_.latency.clear();
        for (const auto& producer : producers_) producer->confirm_latency().clear();
        const Totals before = totals();
        const auto broker_before = usage_of(scenario_.broker_process);
        const auto own_before = own_cpu();
        const Nanoseconds start = now();
        if (!progress_.failed)
            phase(scenario_.messages == 0 ? Producer::no_limit : scenario_.messages,
                  scenario_.messages == 0 ? scenario_.seconds : 1e9);

        findings.seconds = static_cast<double>(now() - start) / 1e9;
        findings.own_cpu = own_cpu() - own_before;
        if (const auto broker = usage_of(scenario_.broker_process); broker && broker_before) {
            findings.broker = *broker;
            findings.broker_cpu = broker->cpu - broker_before->cpu;
        }
        const Totals after = totals();
        findings.published = after.published - before.published;
        findings.confirmed = after.confirmed - before.confirmed;
        findings.returned = after.returned - before.returned;
        findings.delivered = after.delivered - before.delivered;
        findings.latency = arrivals_.latency;
        for (const auto& producer : producers_) findings.confirm_latency.add(producer->confirm_latency());
        if (scenario_.consumes()) findings.faults = checker_.finish(published());
        for (const auto& loop : loops_)
            if (findings.failure.empty()) findings.failure = loop->failure();
        return findings;
    }

  private:
    struct Totals {
        std::uint64_t published = 0, confirmed = 0, returned = 0, delivered = 0;
    };

    /// Consumer c reads every queue q with q % consumers == c, or queue c % queues when there are fewer
    /// queues.
    std::vector<std::size_t> queues_of(std::size_t consumer) const {
        const std::size_t queues = topology_.queues.size();
        if (scenario_.consumers >= queues) return {consumer % queues};
        std::vector<std::size_t> own;
        for (std::size_t queue = consumer; queue < queues; queue += scenario_.consumers) own.push_back(queue);
        return own;
    }

    std::size_t count_streams() const {
        std::size_t streams = 0;
        for (std::size_t consumer = 0; consumer < scenario_.consumers; ++consumer)
            streams += queues_of(consumer).size();
        return streams;
    }

    client::Result<> add_consumer(std::size_t consumer) {
        auto connection = connect(scenario_);
        if (!connection) return std::unexpected(connection.error());
        const auto queues = queues_of(consumer);
        for (const std::size_t queue : queues) {
            const auto channel = (*connection)->open_channel();
            if (!channel) return std::unexpected(channel.error());
            const bool first_of_queue = scenario_.publishes() && consumer < topology_.queues.size();
            if (first_of_queue)
                if (auto declared = declare(**channel, queue); !declared) return declared;
            if (auto started = consume(**channel, topology_.queues[queue]); !started) return started;
        }
        consumers_.push_back(std::make_unique<Consumer>(std::move(**connection).release(), scenario_, queues,
                                                        next_stream_, arrivals_));
        next_stream_ += queues.size();
        return {};
    }

    client::Result<> declare(Channel& channel, std::size_t queue) {
        if (topology_.own_exchange) {
            const auto declared =
                channel.declare_exchange(topology_.exchange, scenario_.exchange_type,
                                         {.durable = scenario_.persistent, .auto_delete = true});
            if (!declared) return declared;
        }
        const auto declared =
            channel.declare_queue(topology_.queues[queue],
                                  {.durable = scenario_.persistent, .auto_delete = scenario_.queue.empty()});
        if (!declared) return std::unexpected(declared.error());
        for (const Binding& binding : topology_.bindings) {
            if (binding.queue != queue) continue;
            if (auto bound = channel.bind_queue(topology_.queues[queue], topology_.exchange, binding.key,
                                                protocol::TableView(binding.arguments));
                !bound)
                return bound;
        }
        return {};
    }

    client::Result<> consume(Channel& channel, const std::string& queue) {
        if (scenario_.prefetch != 0)
            if (auto limited = channel.prefetch(scenario_.prefetch); !limited) return limited;
        return channel.consume(queue, scenario_.acknowledge == 0 ? Channel::Acknowledge::automatically
                                                                 : Channel::Acknowledge::by_hand);
    }

    client::Result<> add_producer(std::size_t producer) {
        auto connection = connect(scenario_);
        if (!connection) return std::unexpected(connection.error());
        const auto channel = (*connection)->open_channel();
        if (!channel) return std::unexpected(channel.error());
        if (!scenario_.consumes() && producer == 0)
            if (auto declared = declare(**channel, 0); !declared) return declared;
        if (scenario_.confirm_window != 0)
            if (auto selected = (*channel)->select_confirms(); !selected) return selected;
        PreparedMessages messages(scenario_, topology_.exchange, topology_.addresses[producer],
                                  (*connection)->frame_max());
        producers_.push_back(std::make_unique<Producer>(std::move(**connection).release(), scenario_,
                                                        static_cast<std::uint32_t>(producer),
                                                        std::move(messages)));
        return {};
    }

    void phase(std::uint64_t limit, double seconds) {
        const Nanoseconds start = now();
        const auto until = start + static_cast<Nanoseconds>(seconds * 1e9);
        progress_.due = scenario_.publishes() ? Progress::unknown : left();
        for (const auto& producer : producers_) producer->begin(start, limit);
        // The default slack of 50 us would be part of every latency at a fixed rate.
        prctl(PR_SET_TIMERSLACK, 1);
        if (loops_.size() == 1) return loops_.front()->run(until);
        std::jthread consuming([&] { loops_.back()->run(until); });
        loops_.front()->run(until);
    }

    /// What another run published and nobody has taken yet.
    std::uint64_t left() const {
        const std::vector<std::uint64_t> taken(scenario_.producers, scenario_.taken);
        return checker_.due(published()) - checker_.due(taken);
    }

    std::vector<std::uint64_t> published() const {
        if (!scenario_.publishes())
            return std::vector<std::uint64_t>(scenario_.producers, scenario_.messages);
        std::vector<std::uint64_t> counts;
        for (const auto& producer : producers_) counts.push_back(producer->published());
        return counts;
    }

    Totals totals() const {
        Totals totals{.delivered = arrivals_.delivered};
        for (const auto& producer : producers_) {
            totals.published += producer->published();
            totals.confirmed += producer->confirmed();
            totals.returned += producer->returned();
        }
        return totals;
    }

    const Scenario& scenario_;
    const Topology topology_;
    std::size_t stream_count_, next_stream_ = 0;
    Checker checker_;
    Progress progress_;
    Arrivals arrivals_{};
    std::vector<std::unique_ptr<Producer>> producers_;
    std::vector<std::unique_ptr<Consumer>> consumers_;
    std::vector<std::unique_ptr<Loop>> loops_;  // one for all, or producers' and consumers'
};

}  // namespace

std::expected<Findings, std::string> run_load(const Scenario& scenario) {
    auto topology = Topology::of(scenario);
    if (!topology) return std::unexpected(topology.error());
    Run run(scenario, std::move(*topology));
    if (auto prepared = run.prepare(); !prepared) return std::unexpected(text_of(prepared.error()));
    return run.measure();
}

}  // namespace trilby::perf
