// SPDX-License-Identifier: Apache-2.0
// What a route costs, over keys like Fedora's: 5-12 words, nine in ten under org.fedoraproject, some far more
// frequent than others. Bindings mix exact keys, `#`, application prefixes, starred patterns and `#` in the
// middle. `linear` asks every binding in turn: quote figures beside those of the same run, so that machines
// cancel.
#include <array>
#include <cmath>
#include <random>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <benchmark/benchmark.h>

#include "routing/table.hpp"
#include "routing/topic_key.hpp"

using namespace trilby::routing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

namespace {

constexpr std::uint64_t seed = 20'090'916;
constexpr std::array<std::string_view, 40> signal_words = {
    "build",  "state",  "change",  "update",   "request", "testing", "stable",  "comment",
    "task",   "tag",    "untag",   "repo",     "done",    "init",    "start",   "complete",
    "new",    "edit",   "close",   "receive",  "package", "branch",  "project", "add",
    "remove", "member", "group",   "sponsor",  "compose", "rawhide", "image",   "upload",
    "result", "queued", "running", "finished", "meeting", "topic",   "link",    "info"};
constexpr std::array<std::string_view, 20> services = {
    "buildsys", "bodhi",   "copr",  "pagure", "koschei", "mailman", "fas", "ansible",   "meetbot",  "planet",
    "git",      "hotness", "pungi", "wiki",   "badges",  "anitya",  "ci",  "resultsdb", "waiverdb", "coreos"};

class Maker {
  public:
    explicit Maker(std::uint64_t number) : random_(seed + number) {}

    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

    /// Zipf: the first of `count` about twice as often as the second.
    std::size_t ranked(std::size_t count) {
        const double uniform = std::uniform_real_distribution<double>(0, 1)(random_);
        return static_cast<std::size_t>(std::pow(static_cast<double>(count), uniform)) - 1;
    }

    std::string start() {
        std::string text(below(10) > 0 ? "org.fedoraproject." : below(2) > 0 ? "io.pagure." : "org.centos.");
        const auto which = below(10);
        return text.append(which < 8 ? "prod." : which == 8 ? "stg." : "dev.");
    }
    std::string_view service() { return services[ranked(services.size())]; }

    /// What an application says, always in the same words for the same number.
    static void append_signal(std::string& text, std::string_view service, std::size_t number) {
        text.append(service);
        for (std::size_t word = 0; word < 1 + number % 3; ++word) {
            text.append(1, '.').append(signal_words[(number * 7 + word * 11) % signal_words.size()]);
        }
    }

    std::string key(bool unique) {
        std::string text = start();
        append_signal(text, service(), ranked(30));
        const auto words = 5 + below(8);
        while (static_cast<std::size_t>(std::ranges::count(text, '.')) + 1 < words) append_package(text);
        if (unique) text.append(1, '.').append(std::to_string(random_()));
        return text;
    }

    std::string pattern(std::size_t number) {
        std::string text("org.fedoraproject.");
        switch (number) {
            case 0: return "#";
            case 1: return text.append("*.bodhi.#");
            case 2: return text.append("prod.buildsys.#");
            case 3: return "#.complete";
            case 4: return text.append("#.change.#");
            default: break;
        }
        const auto kind = below(100);
        text = kind < 45 ? start() : "org.fedoraproject.*.";
        if (kind >= 90) text = kind < 95 ? "#." : "org.fedoraproject.#.";
        append_signal(text, service(), ranked(30));
        if (kind >= 75 && kind < 90) text.append(".*");
        append_package(text);
        if (kind < 75 && kind >= 45) text.append(".#");
        return text;
    }

  private:
    void append_package(std::string& text) {
        text.append(".package-").append(std::to_string(ranked(20'000)));
    }

    std::mt19937_64 random_;
};

struct Topics {
    std::vector<std::string> patterns;
    std::vector<QueueIndex> queues;  // of each pattern

    explicit Topics(std::size_t count) {
        Maker maker(count);
        for (std::size_t i = 0; i < count; ++i) {
            patterns.push_back(maker.pattern(i));
            queues.push_back(static_cast<QueueIndex>(maker.below(count / 5 + 5)));
        }
    }

    ExchangeIndex bind_all(Table& table) const {
        const auto exchange = table.add_exchange("topic", ExchangeType::topic);
        for (std::size_t i = 0; i < patterns.size(); ++i) bind(table, exchange, i);
        return exchange;
    }
    bool bind(Table& table, ExchangeIndex exchange, std::size_t i) const {
        return table.bind(exchange, {Destination::Kind::queue, queues[i]}, patterns[i], {});
    }
    bool unbind(Table& table, ExchangeIndex exchange, std::size_t i) const {
        return table.unbind(exchange, {Destination::Kind::queue, queues[i]}, patterns[i], {});
    }
};

/// 2,000 keys that come again, or so many that none does within the cache's memory.
const std::vector<std::string>& keys(bool unique) {
    static const std::array<std::vector<std::string>, 2> made = [] {
        std::array<std::vector<std::string>, 2> all;
        Maker maker(7);
        std::vector<std::string> pool;
        for (int i = 0; i < 2'000; ++i) pool.push_back(maker.key(false));
        for (int i = 0; i < 65'536; ++i) {
            all[0].push_back(pool[maker.below(pool.size())]);
            all[1].push_back(maker.key(true));
        }
        return all;
    }();
    return made[unique ? 1 : 0];
}

void report(benchmark::State& state, std::uint64_t reached) {
    state.SetItemsProcessed(state.iterations());
    state.counters["queues"] =
        benchmark::Counter(static_cast<double>(reached), benchmark::Counter::kAvgIterations);
}

void topic_route(benchmark::State& state, bool unique, std::size_t routes_per_rebind) {
    const Topics topics(static_cast<std::size_t>(state.range(0)));
    Table table;
    const auto exchange = topics.bind_all(table);
    const auto& all = keys(unique);
    std::size_t i = 0, rebound = 5;
    for (std::size_t warm = 0; warm < all.size(); ++warm) table.route(exchange, all[warm], {});
    std::uint64_t reached = 0;
    for (auto _ : state) {
        if (routes_per_rebind != 0 && i % routes_per_rebind == 0) {
            if (++rebound == topics.patterns.size()) rebound = 5;
            if (topics.unbind(table, exchange, rebound)) topics.bind(table, exchange, rebound);
        }
        reached += table.route(exchange, all[i++ % all.size()], {}).size();
    }
    report(state, reached);
}

void topic_linear(benchmark::State& state) {
    const Topics topics(static_cast<std::size_t>(state.range(0)));
    std::vector<std::size_t> seen(topics.patterns.size() + 5);
    const auto& all = keys(true);
    std::size_t i = 0;
    std::uint64_t reached = 0;
    for (auto _ : state) {
        const auto& key = all[i++ % all.size()];
        for (std::size_t each = 0; each < topics.patterns.size(); ++each) {
            if (seen[topics.queues[each]] == i || !topic_matches(topics.patterns[each], key)) continue;
            seen[topics.queues[each]] = i;
            ++reached;
        }
    }
    report(state, reached);
}

void topic_rebind(benchmark::State& state) {
    const Topics topics(static_cast<std::size_t>(state.range(0)));
    Table table;
    const auto exchange = topics.bind_all(table);
    Maker maker(3);
    for (auto _ : state) {
        const auto i = maker.below(topics.patterns.size());
        if (topics.unbind(table, exchange, i)) topics.bind(table, exchange, i);
    }
    report(state, 0);
}

void topic_build(benchmark::State& state) {
    const Topics topics(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        Table table;
        topics.bind_all(table);
    }
}

struct HeadersSet {
    std::vector<std::string> arguments, messages;

    explicit HeadersSet(std::size_t count) {
        Maker maker(count + 11);
        for (std::size_t i = 0; i < count; ++i) {
            TableBuilder table;
            const bool any = maker.below(3) == 0;
            table.string("x-match", any ? "any" : "all");
            table.string("fedora_messaging_schema", schema(maker, count));
            if (!any) table.integer("fedora_messaging_severity", level(maker));
            if (maker.below(2) == 0) table.boolean(user(maker), true);
            if (!any && maker.below(4) == 0) table.void_(user(maker));
            arguments.push_back(table.take());
        }
        for (int i = 0; i < 16'384; ++i) {
            TableBuilder table;
            table.string("fedora_messaging_schema", schema(maker, count))
                .integer32("fedora_messaging_severity", level(maker))
                .string("sent-at", "2009-09-16T12:00:00+00:00")
                .string("priority", "0");
            for (auto users = maker.below(4); users > 0; --users) table.boolean(user(maker), true);
            messages.push_back(table.take());
        }
    }

    static std::string schema(Maker& maker, std::size_t count) {
        return std::string("schema.").append(std::to_string(maker.below(count / 4 + 8)));
    }
    static std::int32_t level(Maker& maker) { return static_cast<std::int32_t>(10 + 10 * maker.below(4)); }
    static std::string user(Maker& maker) {
        return std::string("fedora_messaging_user_").append(std::to_string(maker.ranked(2'000)));
    }
};

void headers_route(benchmark::State& state) {
    const HeadersSet set(static_cast<std::size_t>(state.range(0)));
    Table table;
    const auto exchange = table.add_exchange("headers", ExchangeType::headers);
    for (std::size_t i = 0; i < set.arguments.size(); ++i) {
        table.bind(exchange,
                   {Destination::Kind::queue, static_cast<QueueIndex>(i % (set.arguments.size() / 5 + 5))},
                   "", TableView(set.arguments[i]));
    }
    std::size_t i = 0;
    std::uint64_t reached = 0;
    for (auto _ : state) reached += table.route(exchange, "", set.messages[i++ % set.messages.size()]).size();
    report(state, reached);
}

void direct_route(benchmark::State& state) {
    Table table;
    const auto exchange = table.add_exchange("direct", ExchangeType::direct);
    const auto& all = keys(false);
    for (QueueIndex queue = 0; const auto& key : all) {
        table.bind(exchange, {Destination::Kind::queue, queue++ % 1000}, key, {});
    }
    std::size_t i = 0;
    std::uint64_t reached = 0;
    for (auto _ : state) reached += table.route(exchange, all[i++ % all.size()], {}).size();
    report(state, reached);
}

}  // namespace

BENCHMARK_CAPTURE(topic_route, repeat, false, 0)->RangeMultiplier(10)->Range(10, 100'000);
BENCHMARK_CAPTURE(topic_route, unique, true, 0)->RangeMultiplier(10)->Range(10, 100'000);
BENCHMARK_CAPTURE(topic_route, repeat_and_rebind_every_1000, false, 1000)
    ->RangeMultiplier(10)
    ->Range(10, 100'000);
BENCHMARK(topic_linear)->RangeMultiplier(10)->Range(10, 100'000);
BENCHMARK(topic_rebind)->RangeMultiplier(10)->Range(10, 100'000);
BENCHMARK(topic_build)->Arg(100'000)->Unit(benchmark::kMillisecond);
BENCHMARK(headers_route)->RangeMultiplier(10)->Range(10, 100'000);
BENCHMARK(direct_route);
BENCHMARK_MAIN();
