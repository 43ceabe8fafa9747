// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trilby::harness {

using Headers = std::map<std::string, std::string>;

/// What decides where a message goes.
struct Address {
    std::string exchange;
    std::vector<std::string> keys;  // its routing key, and those of CC and BCC
    Headers headers;
};

/// The queues, exchanges and bindings that outlive the conversations, so that it is known where a publish
/// must go: said once more in the plainest way, without an index, a cache or a mark.
struct Topology {
    struct Exchange {
        std::string name, type, alternate;
    };
    struct Binding {
        std::string source, destination;
        bool to_exchange = false;
        std::string key;
        std::string match;  // "all", "any": of a headers exchange
        Headers wanted;     // likewise
    };
    std::vector<std::string> queues;
    std::vector<Exchange> exchanges;
    std::vector<Binding> bindings;

    /// The queues among ours, each once.
    std::vector<std::string> targets(const Address& address) const;

    static bool topic_matches(std::string_view pattern, std::string_view key);

  private:
    const Exchange* find(std::string_view name) const;
    static bool matches(const Exchange& source, const Binding& binding, const Address& address);
};

}  // namespace trilby::harness
