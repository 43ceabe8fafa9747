// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "routes.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

namespace {

using Words = std::vector<std::string>;

Words split(std::string_view key) {
    Words words;
    if (key.empty()) return words;
    words.emplace_back();
    for (const char c : key) {
        if (c == '.') {
            words.emplace_back();
        } else {
            words.back() += c;
        }
    }
    return words;
}

/// The definition, word by word.
bool naive_topic(const Words& pattern, std::size_t p, const Words& key, std::size_t k) {
    if (p == pattern.size()) return k == key.size();
    if (pattern[p] == "#") {
        for (std::size_t skip = k; skip <= key.size(); ++skip) {
            if (naive_topic(pattern, p + 1, key, skip)) return true;
        }
        return false;
    }
    return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) &&
           naive_topic(pattern, p + 1, key, k + 1);
}

/// A header value as "kind:value", integers of every width alike; nothing for void.
using Fields = std::map<std::string, std::optional<std::string>>;

bool naive_headers(const Fields& criteria, const std::string& match, const Fields& message) {
    std::size_t wanted = 0, found = 0;
    for (const auto& [name, value] : criteria) {
        if (name.starts_with("x-") && !match.ends_with("-with-x")) continue;
        ++wanted;
        const auto header = message.find(name);
        if (header != message.end() && (!value || value == header->second)) ++found;
    }
    return match.starts_with("any") ? found > 0 : found == wanted;
}

struct ModelBinding {
    std::string source;
    Destination destination;
    std::string key;
    Fields criteria;
    std::string match;
    std::string arguments;
};

struct ModelExchange {
    ExchangeType type;
    ExchangeIndex index;
    std::string alternate;
};

/// What Table does, without any index.
struct Model {
    std::map<std::string, ModelExchange> exchanges;
    std::vector<ModelBinding> bindings;

    bool fits(const ModelBinding& binding, const std::vector<std::string>& keys,
              const Fields& headers) const {
        switch (exchanges.at(binding.source).type) {
            case ExchangeType::fanout: return true;
            case ExchangeType::headers: return naive_headers(binding.criteria, binding.match, headers);
            case ExchangeType::direct: return std::ranges::find(keys, binding.key) != keys.end();
            case ExchangeType::topic: break;
        }
        return std::ranges::any_of(
            keys, [&](const auto& key) { return naive_topic(split(binding.key), 0, split(key), 0); });
    }

    std::vector<QueueIndex> route(const std::string& from, const std::vector<std::string>& keys,
                                  const Fields& headers) const {
        std::set<QueueIndex> queues;
        std::set<std::string> visited{from};
        std::vector<std::string> todo{from};
        const auto visit = [&](const std::string& name) {
            if (visited.insert(name).second) todo.push_back(name);
        };
        while (!todo.empty()) {
            const std::string name = todo.back();
            todo.pop_back();
            bool nowhere = true;
            for (const auto& binding : bindings) {
                if (binding.source != name || !fits(binding, keys, headers)) continue;
                nowhere = false;
                if (binding.destination.kind == Destination::Kind::queue) {
                    queues.insert(binding.destination.index);
                } else {
                    visit(name_of(binding.destination.index));
                }
            }
            const auto& alternate = exchanges.at(name).alternate;
            if (nowhere && exchanges.contains(alternate)) visit(alternate);
        }
        return {queues.begin(), queues.end()};
    }

    std::string name_of(ExchangeIndex index) const {
        for (const auto& [name, exchange] : exchanges) {
            if (exchange.index == index) return name;
        }
        return {};
    }
};

class Random {
  public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}
    std::size_t below(std::size_t bound) {
        return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
    }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <class Some>
    const auto& from(const Some& some) {
        return some[below(std::size(some))];
    }

  private:
    std::mt19937_64 engine_;
};

/// Few words, so that patterns meet; empty and long ones among them.
std::string random_key(Random& random, bool pattern) {
    static const std::string words[] = {"a",
                                        "b",
                                        "c",
                                        "",
                                        "org",
                                        "fedoraproject",
                                        "prod",
                                        "eightlet",
                                        "ninelette",
                                        "sixteen-bytes-ww",
                                        "a-word-of-over-sixteen-bytes",
                                        "a-word-of-over-sixteen-bytez"};
    static const std::string wild[] = {"*", "#"};
    std::string key;
    if (random.one_in(3)) key = "org.fedoraproject.";
    if (random.one_in(6)) key += random.one_in(2) ? "prod." : "stg.";
    const std::size_t count = random.one_in(20) ? random.below(40) : random.below(6);
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) key += '.';
        const bool is_wild = pattern ? random.one_in(2) : random.one_in(40);
        key += is_wild ? random.from(wild) : words[random.below(random.one_in(3) ? std::size(words) : 4)];
    }
    return key;
}

struct Headers {
    Fields fields;
    std::string raw;
};

Headers random_headers(Random& random, bool criteria) {
    static const std::string names[] = {"a", "b", "x-c", "d", "a-longer-name", "e"};
    static const std::string texts[] = {"1", "x", "", "a text of more than sixteen bytes"};
    Headers result;
    TableBuilder builder;
    for (std::size_t count = random.below(6); count > 0; --count) {
        const auto& name = random.from(names);
        if (result.fields.contains(name)) continue;
        const auto number = static_cast<std::int32_t>(random.below(3));
        switch (random.below(criteria ? 6 : 5)) {
            case 0:
                builder.integer(name, number);
                result.fields[name] = "number:" + std::to_string(number);
                break;
            case 1:
                builder.integer32(name, number);
                result.fields[name] = "number:" + std::to_string(number);
                break;
            case 2:
                builder.boolean(name, number > 0);
                result.fields[name] = "boolean:" + std::to_string(number > 0);
                break;
            case 5:
                builder.void_(name);
                result.fields[name] = std::nullopt;
                break;
            default: {
                const auto& text = random.from(texts);
                builder.string(name, text);
                result.fields[name] = "text:" + text;
            }
        }
    }
    result.raw = builder.take();
    return result;
}

const std::string exchange_names[] = {"one", "two", "three", "four", "five", "six", "seven"};
constexpr ExchangeType types[] = {ExchangeType::direct, ExchangeType::fanout, ExchangeType::topic,
                                  ExchangeType::topic, ExchangeType::headers};
constexpr std::size_t queue_count = 12;

class Play {
  public:
    Play(std::uint64_t seed, std::size_t most_bindings) : random_(seed), most_bindings_(most_bindings) {
        for (const auto& name : exchange_names) add_exchange(name);
    }

    void step() {
        if (random_.one_in(200)) {
            replace_exchange();
        } else if (random_.one_in(100)) {
            remove_queue(static_cast<QueueIndex>(random_.below(queue_count)));
        } else if (random_.one_in(60)) {
            set_alternate(random_.from(exchange_names));
        } else if (random_.one_in(3)) {
            if (random_.below(most_bindings_) < model_.bindings.size()) {
                unbind();
            } else {
                bind();
            }
        } else {
            route();
        }
    }

    void unbind_all() {
        while (!model_.bindings.empty()) unbind();
        for (int i = 0; i < 50; ++i) route();
        CHECK(table_.bindings() == 0);
    }

  private:
    void add_exchange(const std::string& name) {
        const auto type = random_.from(types);
        model_.exchanges[name] = {type, table_.add_exchange(name, type), ""};
        if (random_.one_in(2)) set_alternate(name);
    }

    void set_alternate(const std::string& name) {
        static const std::string missing = "missing", none;
        auto& exchange = model_.exchanges.at(name);
        exchange.alternate = random_.one_in(4)   ? none
                             : random_.one_in(4) ? missing
                                                 : random_.from(exchange_names);
        table_.set_alternate(exchange.index, exchange.alternate);
    }

    void replace_exchange() {
        const auto& name = random_.from(exchange_names);
        const auto index = model_.exchanges.at(name).index;
        std::erase_if(model_.bindings, [&](const auto& binding) {
            return binding.source == name || binding.destination == to_exchange(index);
        });
        model_.exchanges.erase(name);
        table_.remove_exchange(index);
        if (random_.one_in(2)) route();
        while (!table_.tidy(1 + random_.below(20))) route();
        add_exchange(name);
    }

    void remove_queue(QueueIndex queue) {
        std::erase_if(model_.bindings,
                      [&](const auto& binding) { return binding.destination == to_queue(queue); });
        table_.remove_queue(queue);
        while (!table_.tidy(1 + random_.below(20))) route();
    }

    const std::string& any_exchange() {
        for (;;) {
            const auto& name = random_.from(exchange_names);
            if (model_.exchanges.contains(name)) return name;
        }
    }

    void bind() {
        ModelBinding binding;
        binding.source = any_exchange();
        binding.destination = random_.one_in(6)
                                  ? to_exchange(model_.exchanges.at(any_exchange()).index)
                                  : to_queue(static_cast<QueueIndex>(random_.below(queue_count)));
        binding.key = random_key(random_, true);
        static const std::string matches[] = {"all", "any", "all-with-x", "any-with-x"};
        binding.match = random_.from(matches);
        if (random_.one_in(2)) {
            auto headers = random_headers(random_, true);
            binding.criteria = headers.fields;
            binding.arguments = headers.raw;
        }
        binding.arguments += TableBuilder().string("x-match", binding.match).take();
        const bool known = std::ranges::any_of(model_.bindings, [&](const auto& each) {
            return each.source == binding.source && each.destination == binding.destination &&
                   each.key == binding.key && each.arguments == binding.arguments;
        });
        const auto index = model_.exchanges.at(binding.source).index;
        // The same fields with the same types in another order are not told apart here: the model keeps raw
        // bytes.
        const bool added = table_.bind(index, binding.destination, binding.key, TableView(binding.arguments));
        if (known) CHECK_FALSE(added);
        if (added) model_.bindings.push_back(binding);
    }

    void unbind() {
        if (model_.bindings.empty()) return;
        const auto i = random_.below(model_.bindings.size());
        const auto binding = model_.bindings[i];
        model_.bindings.erase(model_.bindings.begin() + static_cast<std::ptrdiff_t>(i));
        const auto index = model_.exchanges.at(binding.source).index;
        CHECK(table_.unbind(index, binding.destination, binding.key, TableView(binding.arguments)));
        CHECK_FALSE(table_.unbind(index, binding.destination, binding.key, TableView(binding.arguments)));
    }

    void route() {
        const auto& name = any_exchange();
        // Keys come again, so that cached results of before a change are asked for after it.
        if (keys_.size() < 40) {
            keys_.push_back(random_key(random_, false));
        } else if (random_.one_in(5)) {
            keys_[random_.below(keys_.size())] = random_key(random_, false);
        }
        std::vector<std::string> keys{random_.from(keys_)};
        while (random_.one_in(8)) keys.push_back(random_.from(keys_));
        const auto headers = random_.one_in(3) ? Headers() : random_headers(random_, false);
        const auto expected = model_.route(name, keys, headers.fields);
        const auto index = model_.exchanges.at(name).index;
        std::vector<QueueIndex> found;
        if (keys.size() == 1) {
            found = routes(table_, index, keys[0], headers.raw);
            const auto matching = std::ranges::count_if(model_.bindings, [&](const auto& binding) {
                return binding.source == name && model_.fits(binding, keys, headers.fields);
            });
            CHECK(table_.matching_bindings(index, keys[0], headers.raw) ==
                  static_cast<std::size_t>(matching));
        } else {
            const std::vector<std::string_view> views(keys.begin(), keys.end());
            found = sorted(table_.route(index, views, headers.raw));
        }
        CAPTURE(name);
        CAPTURE(keys[0]);
        CAPTURE(keys.size());
        const auto text = [](const std::vector<QueueIndex>& queues) {
            std::string all;
            for (const auto queue : queues) all.append(std::to_string(queue)).append(1, ' ');
            return all;
        };
        REQUIRE(text(found) == text(expected));
    }

    Random random_;
    std::size_t most_bindings_;
    Table table_;
    Model model_;
    std::vector<std::string> keys_;
};

}  // namespace

TEST_CASE("any table routes as a model without an index does, while bindings come and go") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    MESSAGE("seed ", seed);
    for (std::uint32_t round = 0; round < 40; ++round) {
        CAPTURE(round);
        Play play(seed + round, round % 2 == 0 ? 40 : 250);
        for (int i = 0; i < 3000; ++i) play.step();
        play.unbind_all();
        for (int i = 0; i < 200; ++i) play.step();
    }
}
