// SPDX-License-Identifier: Apache-2.0
#include "bench/routing_tool/measure.hpp"

#include <algorithm>
#include <ctime>
#include <random>
#include <unordered_map>

#include "bench/routing_tool/counting_new.hpp"
#include "routing/table.hpp"

namespace trilby::bench {
namespace {

using routing::Destination;
using routing::QueueIndex;

double cpu_ns() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Few enough to leave the table as large as it was, enough to time.
constexpr std::size_t most_rebinds = 2'000;

class Run {
  public:
    Run(const Workload& workload, routing::ExchangeType type) : workload_(workload) {
        for (const auto& binding : workload.bindings) {
            const auto next = static_cast<QueueIndex>(queue_names_.size());
            const auto [found, is_new] = queue_names_.emplace(binding.queue, next);
            queues_.push_back(found->second);
        }
        const auto heap_before = heap_use().live_bytes;
        const double start = cpu_ns();
        exchange_ = table_.add_exchange("bench", type);
        for (const auto& [name, queue] : queue_names_) table_.add_queue(name, queue);
        for (std::size_t i = 0; i < workload.bindings.size(); ++i) bind(i);
        figures_.build_ms = (cpu_ns() - start) / 1e6;
        figures_.bytes_per_binding = workload.bindings.empty()
                                         ? 0
                                         : static_cast<double>(heap_use().live_bytes - heap_before) /
                                               static_cast<double>(workload.bindings.size());
    }

    void route(unsigned passes) {
        figures_.routes = workload_.messages.size();
        const auto routes = static_cast<double>(std::max<std::size_t>(workload_.messages.size(), 1));
        figures_.distinct_queues = pass();  // warms up
        std::vector<double> times;
        times.reserve(passes);
        const auto allocations_before = heap_use().allocations;
        for (unsigned i = 0; i < passes; ++i) {
            const double start = cpu_ns();
            const auto reached = pass();
            times.push_back((cpu_ns() - start) / routes);
            if (reached != figures_.distinct_queues) std::abort();
        }
        figures_.allocations_per_route = static_cast<double>(heap_use().allocations - allocations_before) /
                                         (routes * std::max(passes, 1U));
        std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
        figures_.ns_per_route = times[times.size() / 2];
    }

    void count_matches() {
        for (const auto& message : workload_.messages) {
            figures_.matches += table_.matching_bindings(exchange_, message.key, message.headers);
        }
    }

    void rebind() {
        if (workload_.bindings.empty()) return;
        std::vector<std::size_t> some(workload_.bindings.size());
        for (std::size_t i = 0; i < some.size(); ++i) some[i] = i;
        std::ranges::shuffle(some, std::mt19937_64(1));
        some.resize(std::min(some.size(), most_rebinds));
        double unbinding = 0, binding = 0;
        std::size_t count = 0;
        for (const bool measured : {false, true}) {
            double start = cpu_ns();
            for (const auto i : some) count += measured && unbind(i);
            if (measured) unbinding = cpu_ns() - start;
            if (!measured) {
                for (const auto i : some) unbind(i);
            }
            start = cpu_ns();
            for (const auto i : some) bind(i);
            if (measured) binding = cpu_ns() - start;
        }
        const auto each = static_cast<double>(std::max<std::size_t>(count, 1));
        figures_.unbind_ns = unbinding / each;
        figures_.bind_ns = binding / each;
    }

    const Figures& figures() const { return figures_; }

  private:
    bool bind(std::size_t i) {
        const auto& binding = workload_.bindings[i];
        return table_.bind(exchange_, {Destination::Kind::queue, queues_[i]}, binding.key,
                           protocol::TableView(binding.arguments));
    }
    bool unbind(std::size_t i) {
        const auto& binding = workload_.bindings[i];
        return table_.unbind(exchange_, {Destination::Kind::queue, queues_[i]}, binding.key,
                             protocol::TableView(binding.arguments));
    }
    std::uint64_t pass() {
        std::uint64_t reached = 0;
        for (const auto& message : workload_.messages) {
            reached += table_.route(exchange_, message.key, message.headers).size();
        }
        return reached;
    }

    const Workload& workload_;
    routing::Table table_;
    routing::ExchangeIndex exchange_ = 0;
    std::unordered_map<std::string, QueueIndex> queue_names_;
    std::vector<QueueIndex> queues_;  // of each binding
    Figures figures_;
};

}  // namespace

Figures measure(const Workload& workload, routing::ExchangeType type, unsigned passes) {
    Run run(workload, type);
    run.route(std::max(passes, 1U));
    run.count_matches();
    run.rebind();
    return run.figures();
}

}  // namespace trilby::bench
