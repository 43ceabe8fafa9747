// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/field_table.hpp"

// The arguments of queues, exchanges and consumers: which are known, what they may be, and when a declaration
// of what exists already says something else. Each error is the text of a 406 without "PRECONDITION_FAILED -
// ", in RabbitMQ's words, because clients compare them. Where several things are wrong, the one that RabbitMQ
// finds first is reported.

namespace trilby::broker {

/// How texts name things: "queue 'Q' in vhost 'V'", "exchange 'X' in vhost 'V'".
std::string queue_in_vhost(std::string_view queue, std::string_view vhost);
std::string exchange_in_vhost(std::string_view exchange, std::string_view vhost);

enum class QueueType : std::uint8_t { classic, quorum, stream };
std::string_view to_word(QueueType type);      // "classic"
std::string_view module_name(QueueType type);  // "rabbit_classic_queue", as texts name it
std::optional<QueueType> queue_type_of(std::string_view word);

/// Every argument that the type knows, in the order in which RabbitMQ compares them.
std::vector<std::string_view> known_queue_arguments(QueueType type);

enum class Overflow : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };
enum class DeadLetterStrategy : std::uint8_t { at_most_once, at_least_once };

/// What the arguments of a queue say; an argument that is absent is empty here. Arguments that no queue type
/// knows are stored by the caller and mean nothing.
struct QueueArguments {
    QueueType type = QueueType::classic;

    std::optional<std::chrono::milliseconds> message_ttl, expires;
    std::optional<std::uint64_t> max_length, max_length_bytes;
    std::optional<Overflow> overflow;
    std::optional<std::string> dead_letter_exchange,
        dead_letter_routing_key;  // an exchange "" is the default one
    std::optional<DeadLetterStrategy> dead_letter_strategy;
    std::optional<std::uint8_t> max_priority;
    std::optional<bool> single_active_consumer;
    std::optional<std::int64_t> delivery_limit;  // negative: none
    bool consumer_timeout = false;               // of RabbitMQ 3.12; 3.10 neither looks at it nor compares it

    // Accepted and without visible effect on one node.
    std::optional<std::string> queue_mode, master_locator, leader_locator;
    std::optional<std::int64_t> queue_version, initial_cluster_size;
    std::optional<std::uint64_t> max_in_memory_length, max_in_memory_bytes;

    // Of streams.
    std::optional<std::chrono::seconds> max_age;
    std::optional<std::uint64_t> max_segment_size_bytes, filter_size_bytes;
};

/// Only for a queue that does not exist yet. `default_type` is the virtual host's, for when x-queue-type is
/// absent.
std::expected<QueueArguments, std::string> check_queue_arguments(protocol::TableView arguments,
                                                                 std::string_view queue,
                                                                 std::string_view vhost,
                                                                 QueueType default_type = QueueType::classic);

/// The first of those checks alone. The permissions on the dead letter exchange are checked between it and
/// the others.
std::expected<std::optional<std::string_view>, std::string> check_dead_letter_exchange(
    protocol::TableView arguments, std::string_view queue, std::string_view vhost);

/// The text for a queue type that this broker does not serve: as if the word were unknown.
std::string unsupported_queue_type(QueueType type, std::string_view queue, std::string_view vhost);

/// As stored: an exclusive queue is not durable.
struct QueueProperties {
    bool durable = false, auto_delete = false, exclusive = false;
};
/// What a quorum queue or a stream cannot be. Checked after the arguments.
std::optional<std::string> check_queue_properties(QueueType type, QueueProperties properties,
                                                  std::string_view queue, std::string_view vhost);

/// Compares what the existing queue's type knows: 1000 is 1000 in every integer type, and the order is
/// irrelevant. None: equivalent. Absent x-queue-type means `default_type`.
std::optional<std::string> inequivalent_argument(protocol::TableView current, protocol::TableView received,
                                                 std::string_view queue, std::string_view vhost,
                                                 QueueType default_type = QueueType::classic);

/// Of a property such as "durable" or "type": `received 'true' but current is 'false'`. `resource` is from
/// queue_in_vhost or exchange_in_vhost.
std::string inequivalent_property(std::string_view property, std::string_view resource,
                                  std::string_view received, std::string_view current);

struct ExchangeArguments {
    std::optional<std::string> alternate_exchange;
};
/// Only for an exchange that does not exist yet.
std::expected<ExchangeArguments, std::string> check_exchange_arguments(protocol::TableView arguments,
                                                                       std::string_view exchange,
                                                                       std::string_view vhost);
std::optional<std::string> inequivalent_exchange_argument(protocol::TableView current,
                                                          protocol::TableView received,
                                                          std::string_view exchange, std::string_view vhost);

struct ConsumerArguments {
    std::optional<std::int64_t> priority;
    std::optional<bool> cancel_on_ha_failover;  // no effect on one node
};
std::expected<ConsumerArguments, std::string> check_consumer_arguments(protocol::TableView arguments,
                                                                       QueueType type, std::string_view queue,
                                                                       std::string_view vhost);

}  // namespace trilby::broker
