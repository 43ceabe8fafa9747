// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/report.hpp"

#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "json/text.hpp"

namespace trilby::perf {
namespace {

/// Names with values, in order; a dot in a name is a level of JSON objects there.
class Figures {
  public:
    void number(std::string name, double value) { add(std::move(name), fmt::format("{:.6g}", value)); }
    void count(std::string name, std::uint64_t value) { add(std::move(name), std::to_string(value)); }
    void truth(std::string name, bool value) { add(std::move(name), value ? "true" : "false"); }
    void text(std::string name, std::string_view value) {
        std::string quoted;
        json::append_string(quoted, value);
        add(std::move(name), std::move(quoted));
    }

    std::string json() const {
        std::string out = "{", group;
        std::string_view separator;
        for (const auto& [name, value] : figures_) {
            const auto dot = name.find('.');
            const std::string of = dot == std::string::npos ? std::string() : name.substr(0, dot);
            if (of != group) {
                if (!group.empty()) out.push_back('}');
                if (!of.empty()) fmt::format_to(std::back_inserter(out), "{}\"{}\":{{", separator, of);
                if (!of.empty()) separator = "";
                group = of;
            }
            fmt::format_to(std::back_inserter(out), "{}\"{}\":{}", separator,
                           dot == std::string::npos ? name : name.substr(dot + 1), value);
            separator = ",";
        }
        return out + (group.empty() ? "}" : "}}");
    }

    std::string table() const {
        std::string out;
        for (const auto& [name, value] : figures_)
            fmt::format_to(std::back_inserter(out), "{:<32} {}\n", name, value);
        out.pop_back();
        return out;
    }

  private:
    void add(std::string name, std::string value) {
        figures_.emplace_back(std::move(name), std::move(value));
    }

    std::vector<std::pair<std::string, std::string>> figures_;
};

double microseconds_each(std::chrono::nanoseconds total, std::uint64_t count) {
    return count == 0 ? 0 : static_cast<double>(total.count()) / 1e3 / static_cast<double>(count);
}

void add_latency(Figures& figures, std::string_view group, const Histogram& latency) {
    if (latency.count() == 0) return;
    for (const auto& [name, percent] :
         {std::pair{"p50", 50.0}, {"p95", 95.0}, {"p99", 99.0}, {"p99_9", 99.9}})
        figures.number(fmt::format("{}.{}", group, name),
                       static_cast<double>(latency.percentile(percent)) / 1e3);
    figures.number(fmt::format("{}.max", group), static_cast<double>(latency.largest()) / 1e3);
}

void add_scenario(Figures& figures, const Scenario& scenario) {
    figures.text("scenario.broker", scenario.url.address());
    figures.count("scenario.producers", scenario.producers);
    figures.count("scenario.consumers", scenario.consumers);
    figures.count("scenario.queues", scenario.queues);
    figures.text("scenario.exchange_type", scenario.exchange == "" ? "default" : scenario.exchange_type);
    figures.count("scenario.bindings", scenario.topic_bindings + scenario.headers_bindings);
    figures.count("scenario.size", scenario.size);
    figures.count("scenario.confirm_window", scenario.confirm_window);
    figures.count("scenario.ack", scenario.acknowledge);
    figures.count("scenario.prefetch", scenario.prefetch);
    figures.truth("scenario.persistent", scenario.persistent);
    figures.number("scenario.rate", scenario.rate);
    figures.truth("scenario.ping_pong", scenario.ping_pong);
    figures.count("scenario.threads", scenario.threads);
}

std::string rendered(const Scenario& scenario, const Figures& figures) {
    return scenario.human ? figures.table() : figures.json();
}

}  // namespace

std::string report(const Scenario& scenario, const Findings& findings) {
    Figures figures;
    add_scenario(figures, scenario);
    figures.count("published", findings.published);
    figures.count("delivered", findings.delivered);
    figures.count("confirmed", findings.confirmed);
    figures.count("returned", findings.returned);
    figures.number("seconds", findings.seconds);
    figures.number("published_per_second", static_cast<double>(findings.published) / findings.seconds);
    figures.number("delivered_per_second", static_cast<double>(findings.delivered) / findings.seconds);
    if (scenario.broker_process != 0) {
        figures.number("broker.cpu_us_per_message",
                       microseconds_each(findings.broker_cpu, findings.published));
        figures.number("broker.cpu_us_per_delivery",
                       microseconds_each(findings.broker_cpu, findings.delivered));
        figures.number("broker.cpu_seconds", static_cast<double>(findings.broker_cpu.count()) / 1e9);
        figures.count("broker.rss_kib", findings.broker.resident_kib);
        figures.count("broker.peak_rss_kib", findings.broker.peak_resident_kib);
    }
    figures.number("own.cpu_us_per_message", microseconds_each(findings.own_cpu, findings.published));
    figures.number("own.cpu_seconds", static_cast<double>(findings.own_cpu.count()) / 1e9);
    add_latency(figures, "latency_us", findings.latency);
    add_latency(figures, "confirm_us", findings.confirm_latency);
    figures.truth("check.good", findings.good());
    figures.count("check.lost", findings.faults.lost);
    figures.count("check.doubled", findings.faults.doubled);
    figures.count("check.disordered", findings.faults.disordered);
    figures.count("check.misrouted", findings.faults.misrouted);
    figures.count("check.damaged", findings.faults.damaged);
    return rendered(scenario, figures);
}

std::string report(const Scenario& scenario, const IdleFindings& findings) {
    Figures figures;
    figures.text("broker", scenario.url.address());
    figures.count("idle_connections", findings.connections);
    figures.count("rss_before_kib", findings.before_kib);
    figures.count("rss_after_kib", findings.after_kib);
    figures.number("kib_per_connection", findings.kib_per_connection());
    return rendered(scenario, figures);
}

}  // namespace trilby::perf
