// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

// The definitions export of RabbitMQ: what a whole broker consists of, as one JSON document.

namespace trilby::broker {

// `arguments` are the raw bytes of a field table without its length.

struct VhostDefinition {
    std::string name, description;
    std::vector<std::string> tags;
    std::string default_queue_type;  // empty: none was named

    bool operator==(const VhostDefinition&) const = default;
};

struct UserDefinition {
    std::string name, password_hash, hashing_algorithm;  // the hash is valid for the algorithm, or empty
    std::vector<std::string> tags;
    std::string limits{};  // a JSON object, kept for the next export; empty: none

    bool operator==(const UserDefinition&) const = default;
};

struct PermissionDefinition {
    std::string user, vhost, configure, write, read;

    bool operator==(const PermissionDefinition&) const = default;
};

struct TopicPermissionDefinition {
    std::string user, vhost, exchange, write, read;

    bool operator==(const TopicPermissionDefinition&) const = default;
};

struct ExchangeDefinition {
    std::string vhost, name, type;
    bool durable = false, auto_delete = false, internal = false;
    std::string arguments;

    bool operator==(const ExchangeDefinition&) const = default;
};

struct QueueDefinition {
    std::string vhost, name;
    bool durable = false, auto_delete = false;
    std::string arguments;
    std::uint64_t id = 0;  // the catalog's, for life; 0: not given yet. Not a part of the export

    bool operator==(const QueueDefinition&) const = default;
};

struct BindingDefinition {
    std::string vhost, source, destination;
    bool destination_is_queue = true;
    std::string routing_key, arguments;

    bool operator==(const BindingDefinition&) const = default;
};

/// Kept for the next export and for who understands it: the whole JSON object as text, without white space.
struct VerbatimDefinition {
    std::string vhost, name, json;  // a global parameter has no virtual host
    std::string component{};        // of a parameter: a part of its name

    bool operator==(const VerbatimDefinition&) const = default;
};

struct Definitions {
    std::string rabbit_version;
    std::vector<VhostDefinition> vhosts;
    std::vector<UserDefinition> users;
    std::vector<PermissionDefinition> permissions;
    std::vector<TopicPermissionDefinition> topic_permissions;
    std::vector<ExchangeDefinition> exchanges;
    std::vector<QueueDefinition> queues;
    std::vector<BindingDefinition> bindings;
    std::vector<VerbatimDefinition> policies, parameters, global_parameters;

    bool operator==(const Definitions&) const = default;
};

/// As read_definitions, without its remarks. The error says what and where:
/// `queues[3]: "durable" must be true or false, not "yes"`. Whether names refer to something is not checked.
std::expected<Definitions, std::string> parse_definitions(std::string_view json);

/// What parse_definitions reads back as it is, each section in the order it has here, one entry a line. Types
/// that JSON does not have, and octets that are not UTF-8, are written as json/table.hpp and json/text.hpp
/// say.
std::string to_json(const Definitions& definitions);

/// What RabbitMQ does when it imports `added` over what it has: exchanges, queues and bindings that exist
/// stay as they are, everything else is replaced, nothing is removed.
void merge(Definitions& into, const Definitions& added);

}  // namespace trilby::broker
