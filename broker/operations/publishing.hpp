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
protocol::Outcome<> may_publish_by_key(const Caller& caller, const PublishTarget& target,
                                       std::string_view key);

/// Properties with which the broker has something to do. Views into the message.
struct CheckedProperties {
    protocol::Properties properties;
    protocol::TableView headers{};
    std::vector<std::string_view> more_keys{};  // of CC and BCC
    bool has_blind_copies = false;              // BCC, which nobody is to see
    bool wants_direct_reply = false;            // to the caller, who consumes amq.rabbitmq.reply-to
};
/// `raw`: flags and values. `takes_replies`: the caller consumes amq.rabbitmq.reply-to.
protocol::Outcome<CheckedProperties> check_properties(const Caller& caller, const PublishTarget& target,
                                                      std::string_view raw, bool takes_replies);

}  // namespace trilby::broker
