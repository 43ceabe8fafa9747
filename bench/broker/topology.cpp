// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/topology.hpp"

#include <algorithm>
#include <fstream>
#include <random>
#include <span>

#include <fmt/format.h>
#include <unistd.h>

#include "protocol/field_table.hpp"

namespace trilby::perf {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (;;) {
        const auto dot = text.find('.');
        words.push_back(text.substr(0, dot));
        if (dot == std::string_view::npos) return words;
        text.remove_prefix(dot + 1);
    }
}

using Words = std::span<const std::string_view>;

bool words_match(Words pattern, Words key) {
    if (pattern.empty()) return key.empty();
    if (pattern.front() == "#") {
        for (std::size_t skipped = 0; skipped <= key.size(); ++skipped)
            if (words_match(pattern.subspan(1), key.subspan(skipped))) return true;
        return false;
    }
    return !key.empty() && (pattern.front() == "*" || pattern.front() == key.front()) &&
           words_match(pattern.subspan(1), key.subspan(1));
}

using Failure = std::unexpected<std::string>;

std::expected<std::vector<std::string>, std::string> lines_of(const std::string& file) {
    std::ifstream in(file);
    if (!in) return Failure(fmt::format("cannot read {}", file));
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) lines.push_back(line);
    if (lines.empty()) return Failure(fmt::format("{} is empty", file));
    return lines;
}

class Builder {
  public:
    explicit Builder(const Scenario& scenario) : scenario_(scenario) {
        topology_.own_exchange = !scenario.exchange;
        topology_.exchange = scenario.exchange.value_or(name(scenario.exchange_type));
        for (std::size_t i = 0; i < scenario.queues; ++i)
            topology_.queues.push_back(scenario.queue.empty() ? name(fmt::format("q{}", i)) : scenario.queue);
    }

    std::expected<Topology, std::string> build() {
        if (scenario_.topic_bindings != 0)
            topics();
        else if (scenario_.headers_bindings != 0)
            headers();
        else if (!scenario_.bindings_file.empty() || !scenario_.keys_file.empty()) {
            if (auto read = files(); !read) return Failure(read.error());
        } else
            plain();
        return std::move(topology_);
    }

  private:
    static std::string name(const std::string& what) { return fmt::format("perf{}.{}", getpid(), what); }

    bool default_exchange() const { return topology_.exchange.empty(); }

    void every_producer_gets(const std::vector<Address>& addresses) {
        // Each starts elsewhere in the list, so that they do not walk in step.
        for (std::size_t producer = 0; producer < scenario_.producers; ++producer) {
            auto own = addresses;
            std::rotate(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(producer * 7 % own.size()),
                        own.end());
            topology_.addresses.push_back(std::move(own));
        }
    }

    /// One key a queue and one queue a producer; a fanout exchange needs no key.
    void plain() {
        const bool everywhere = scenario_.exchange_type == "fanout";
        for (std::size_t queue = 0; queue < scenario_.queues; ++queue)
            if (!default_exchange()) topology_.bindings.push_back({queue, key_of(queue), {}});
        for (std::size_t producer = 0; producer < scenario_.producers; ++producer) {
            std::vector<bool> queues(scenario_.queues, everywhere);
            queues[producer % scenario_.queues] = true;
            topology_.addresses.push_back({{key_of(producer % scenario_.queues), {}, queues}});
        }
    }

    std::string key_of(std::size_t queue) const {
        if (scenario_.exchange_type == "fanout") return {};
        return default_exchange() ? topology_.queues[queue] : fmt::format("key{}", queue);
    }

    /// Bindings as services of org.fedoraproject make them. The bindings of one topic go to `matches` queues
    /// that lie apart; every third binding has a wildcard in a place where the keys still differ by their
    /// other words.
    void topics() {
        static constexpr const char* services[] = {"git",  "koji",   "bodhi", "pagure", "copr",
                                                   "wiki", "planet", "fas",   "anitya", "meetbot"};
        static constexpr const char* signals[] = {"receive", "build.state.change", "update.comment",
                                                  "issue.new", "chroot.start"};
        const std::size_t topics = std::max<std::size_t>(1, scenario_.topic_bindings / scenario_.matches);
        std::vector<Address> addresses;
        std::size_t made = 0;
        for (std::size_t topic = 0; topic < topics; ++topic) {
            const std::string service = services[topic % std::size(services)];
            const std::string domain = fmt::format("{}.package{}", service, topic);
            const std::string signal = signals[topic / std::size(services) % std::size(signals)];
            Address address{fmt::format("org.fedoraproject.prod.{}.{}", domain, signal),
                            {},
                            std::vector<bool>(scenario_.queues)};
            for (std::size_t i = 0; i < scenario_.matches; ++i, ++made) {
                const std::size_t queue =
                    (topic + i * std::max<std::size_t>(1, scenario_.queues / scenario_.matches)) %
                    scenario_.queues;
                const std::string pattern = made % 3 == 0 ? address.key
                                            : made % 3 == 1
                                                ? fmt::format("org.fedoraproject.*.{}.#", domain)
                                                : fmt::format("org.fedoraproject.prod.{}.{}", domain, "#");
                topology_.bindings.push_back({queue, pattern, {}});
                address.queues[queue] = true;
            }
            addresses.push_back(std::move(address));
        }
        shuffle(addresses);
        every_producer_gets(addresses);
    }

    /// Every binding asks for a service and a stage; `matches` bindings ask for the same.
    void headers() {
        const std::size_t kinds = std::max<std::size_t>(1, scenario_.headers_bindings / scenario_.matches);
        std::vector<Address> addresses;
        for (std::size_t kind = 0; kind < kinds; ++kind) {
            const std::string service = fmt::format("service-{}", kind);
            Address address{"",
                            protocol::TableBuilder()
                                .string("service", service)
                                .string("stage", "prod")
                                .integer32("severity", 20)
                                .take(),
                            std::vector<bool>(scenario_.queues)};
            for (std::size_t i = 0; i < scenario_.matches; ++i) {
                const std::size_t queue =
                    (kind + i * std::max<std::size_t>(1, scenario_.queues / scenario_.matches)) %
                    scenario_.queues;
                topology_.bindings.push_back({queue, "",
                                              protocol::TableBuilder()
                                                  .string("x-match", "all")
                                                  .string("service", service)
                                                  .string("stage", "prod")
                                                  .take()});
                address.queues[queue] = true;
            }
            addresses.push_back(std::move(address));
        }
        shuffle(addresses);
        every_producer_gets(addresses);
    }

    /// Rotating keys in an order that no cache can guess; the same in every run.
    static void shuffle(std::vector<Address>& addresses) {
        std::shuffle(addresses.begin(), addresses.end(), std::mt19937(1));
    }

    std::expected<void, std::string> files() {
        const auto bindings = lines_of(scenario_.bindings_file);
        if (!bindings) return Failure(bindings.error());
        const auto keys = lines_of(scenario_.keys_file);
        if (!keys) return Failure(keys.error());
        std::vector<std::string> names;
        for (const std::string& line : *bindings) {
            const auto tab = line.find('\t');
            if (tab == std::string::npos)
                return Failure(
                    fmt::format("{}: '{}' is no pattern TAB queue", scenario_.bindings_file, line));
            const std::string queue = line.substr(tab + 1);
            auto known = std::find(names.begin(), names.end(), queue);
            if (known == names.end()) known = names.insert(names.end(), queue);
            topology_.bindings.push_back(
                {static_cast<std::size_t>(known - names.begin()), line.substr(0, tab), {}});
        }
        topology_.queues.clear();
        for (const std::string& queue : names) topology_.queues.push_back(name(queue));
        std::vector<Address> addresses;
        for (const std::string& key : *keys) {
            Address address{key, {}, std::vector<bool>(names.size())};
            for (const Binding& binding : topology_.bindings)
                if (matches(binding.key, key)) address.queues[binding.queue] = true;
            addresses.push_back(std::move(address));
        }
        every_producer_gets(addresses);
        return {};
    }

    bool matches(std::string_view pattern, std::string_view key) const {
        if (scenario_.exchange_type == "fanout") return true;
        return scenario_.exchange_type == "topic" ? topic_matches(pattern, key) : pattern == key;
    }

    const Scenario& scenario_;
    Topology topology_;
};

}  // namespace

bool topic_matches(std::string_view pattern, std::string_view key) {
    return words_match(words_of(pattern), words_of(key));
}

std::expected<Topology, std::string> Topology::of(const Scenario& scenario) {
    return Builder(scenario).build();
}

std::vector<Pattern> Topology::patterns() const {
    std::vector<Pattern> patterns;
    for (const auto& of_producer : addresses) {
        for (std::size_t queue = 0; queue < queues.size(); ++queue) {
            std::vector<bool> taken;
            for (const Address& address : of_producer) taken.push_back(address.queues[queue]);
            // A pattern of one entry needs no division: most runs have one key or go everywhere.
            if (std::all_of(taken.begin(), taken.end(), [&](bool one) { return one == taken.front(); }))
                taken.resize(1);
            patterns.emplace_back(taken);
        }
    }
    return patterns;
}

}  // namespace trilby::perf
