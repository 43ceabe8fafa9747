// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "broker/operations/caller.hpp"
#include "protocol/properties.hpp"

// basic.publish: what may be published, in the order in which RabbitMQ looks at it. AMQP 0-9-1: 1.8.3.7.

namespace trilby::broker {

/// An exchange that the caller may publish to. Good as long as the view's generation is the same.
struct PublishTarget {
    routing::ExchangeIndex exchange = 0;
    bool by_default = false;  // the default exchange: `exchange` means nothing
    bool topic = false;       // each key is to be allowed as well
};
protocol::Outcome<PublishTarget> publish_target(const Caller& caller, std::string_view exchange);
/// For each key; no question but for a topic exchange.
inline protocol::Outcome<> may_publish_by_key(const Caller& caller, const PublishTarget& target,
                                              std::string_view key) {
    if (!target.topic) return {};
    return caller.may_on_topic(caller.vhost().exchanges[target.exchange], auth::Operation::write, key);
}

/// What in a message's properties concerns the broker. Views into them.
struct CheckedProperties {
    protocol::TableView headers{};
    std::vector<std::string_view> more_keys{};  // of CC and BCC
    bool has_blind_copies = false;              // BCC, which nobody is to see
    bool wants_direct_reply = false;            // to the caller, who consumes amq.rabbitmq.reply-to
};
/// `takes_replies`: the caller consumes amq.rabbitmq.reply-to.
protocol::Outcome<CheckedProperties> check_properties(const Caller& caller, const PublishTarget& target,
                                                      const protocol::Properties& properties,
                                                      bool takes_replies);
/// 501, for flags and values that do not decode.
Refused undecodable_properties(std::string_view raw);

}  // namespace trilby::broker
