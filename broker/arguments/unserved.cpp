// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/unserved.hpp"

namespace trilby::broker {

std::string unserved_arguments(const QueueArguments& arguments) {
    std::string names;
    const auto name = [&](bool present, const char* argument) {
        if (!present) return;
        if (!names.empty()) names += ", ";
        names += argument;
    };
    name(arguments.message_ttl.has_value(), "x-message-ttl");
    name(arguments.expires.has_value(), "x-expires");
    name(arguments.max_length.has_value(), "x-max-length");
    name(arguments.max_length_bytes.has_value(), "x-max-length-bytes");
    name(arguments.overflow.has_value(), "x-overflow");
    name(arguments.dead_letter_exchange.has_value(), "x-dead-letter-exchange");
    name(arguments.dead_letter_routing_key.has_value(), "x-dead-letter-routing-key");
    name(arguments.dead_letter_strategy.has_value(), "x-dead-letter-strategy");
    name(arguments.max_priority.has_value(), "x-max-priority");
    name(arguments.single_active_consumer.has_value(), "x-single-active-consumer");
    name(arguments.delivery_limit.has_value(), "x-delivery-limit");
    name(arguments.consumer_timeout, "x-consumer-timeout");
    name(arguments.type == QueueType::quorum, "x-queue-type quorum (served as a classic queue)");
    // None is declared or imported any more; an earlier version imported them.
    name(arguments.type == QueueType::stream, "x-queue-type stream (served as a classic queue)");
    return names;
}

}  // namespace trilby::broker
