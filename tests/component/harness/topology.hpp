// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trilby::harness {

/// The queues and bindings that outlive the conversations, so that it is known where a publish must go.
struct Topology {
    struct Binding {
        std::string exchange, key, queue;
    };
    std::vector<std::string> queues;
    std::vector<Binding> bindings;

    std::vector<std::string> targets(std::string_view exchange, std::string_view key) const {
        std::vector<std::string> found;
        for (const std::string& queue : queues) {
            bool reached = exchange.empty() && queue == key;
            for (const Binding& binding : bindings)
                reached = reached || (binding.exchange == exchange && binding.queue == queue &&
                                      (exchange == "amq.fanout" || binding.key == key ||
                                       (exchange == "amq.topic" && topic_matches(binding.key, key))));
            if (reached) found.push_back(queue);
        }
        return found;
    }

    static bool topic_matches(std::string_view pattern, std::string_view key) {
        const auto word_of = [](std::string_view& text) {
            const auto dot = text.find('.');
            const std::string_view word = text.substr(0, dot);
            text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
            return word;
        };
        if (pattern.empty()) return key.empty();
        std::string_view patterns = pattern;
        const std::string_view first = word_of(patterns);
        if (first == "#") {
            if (topic_matches(patterns, key)) return true;
            if (key.empty()) return false;
            word_of(key);
            return topic_matches(pattern, key);
        }
        if (key.empty()) return false;
        const std::string_view word = word_of(key);
        return (first == "*" || first == word) && topic_matches(patterns, key);
    }
};

}  // namespace trilby::harness
