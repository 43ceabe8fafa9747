// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/topology.hpp"

#include <algorithm>
#include <deque>
#include <set>

namespace trilby::harness {

namespace {

std::string_view take_word(std::string_view& text) {
    const auto dot = text.find('.');
    const std::string_view word = text.substr(0, dot);
    text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
    return word;
}

}  // namespace

bool Topology::topic_matches(std::string_view pattern, std::string_view key) {
    if (pattern.empty()) return key.empty();
    std::string_view rest = pattern;
    const std::string_view first = take_word(rest);
    if (first == "#") {
        if (topic_matches(rest, key)) return true;
        if (key.empty()) return false;
        take_word(key);
        return topic_matches(pattern, key);
    }
    if (key.empty()) return false;
    const std::string_view word = take_word(key);
    return (first == "*" || first == word) && topic_matches(rest, key);
}

const Topology::Exchange* Topology::find(std::string_view name) const {
    const auto found = std::ranges::find(exchanges, name, &Exchange::name);
    return found == exchanges.end() ? nullptr : &*found;
}

bool Topology::matches(const Exchange& source, const Binding& binding, const Address& address) {
    if (source.type == "fanout") return true;
    if (source.type == "headers") {
        const auto has = [&](const auto& wanted) {
            const auto found = address.headers.find(wanted.first);
            return found != address.headers.end() && found->second == wanted.second;
        };
        return binding.match == "any" ? std::ranges::any_of(binding.wanted, has)
                                      : std::ranges::all_of(binding.wanted, has);
    }
    return std::ranges::any_of(address.keys, [&](const std::string& key) {
        return source.type == "topic" ? topic_matches(binding.key, key) : binding.key == key;
    });
}

std::vector<std::string> Topology::targets(const Address& address) const {
    std::set<std::string> found;
    if (address.exchange.empty())
        for (const std::string& key : address.keys)
            if (std::ranges::find(queues, key) != queues.end()) found.insert(key);
    std::set<std::string> met{address.exchange};
    std::deque<std::string> waiting{address.exchange};
    const auto pass_on = [&](const std::string& exchange) {
        if (met.insert(exchange).second) waiting.push_back(exchange);
    };
    for (; !waiting.empty(); waiting.pop_front()) {
        const Exchange* const exchange = find(waiting.front());
        if (exchange == nullptr) continue;
        bool nowhere = true;
        for (const Binding& binding : bindings) {
            if (binding.source != exchange->name || !matches(*exchange, binding, address)) continue;
            nowhere = false;
            binding.to_exchange ? pass_on(binding.destination)
                                : static_cast<void>(found.insert(binding.destination));
        }
        if (nowhere && !exchange->alternate.empty()) pass_on(exchange->alternate);
    }
    return {found.begin(), found.end()};
}

}  // namespace trilby::harness
