// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "auth/access.hpp"
#include "broker/ids/ids.hpp"
#include "protocol/shared_table.hpp"
#include "routing/table.hpp"

namespace trilby::broker {

using VhostIndex = std::uint32_t;

/// What the catalog tells every shard's view. Each is complete in itself: a view never has to conclude that
/// something else went too.
namespace change {

/// With its pre-declared exchanges, which follow as changes of their own. Indexes count up from 0.
struct AddVhost {
    std::string name;
    std::string default_queue_type{};  // empty, or what no queue type is called: none
};
/// Users, permissions and topic permissions, as a whole: immutable and shared by all shards.
struct SetAccess {
    std::shared_ptr<const auth::Access> access;
};
struct DeclareExchange {
    VhostIndex vhost;
    std::string name;
    routing::ExchangeType type;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    protocol::SharedTable arguments{};
};
struct DeleteExchange {
    VhostIndex vhost;
    std::string name;
};
struct DeclareQueue {
    QueueId id{};
    VhostIndex vhost;
    std::string name;
    ShardIndex home;
    bool durable = false;
    bool auto_delete = false;
    AskerId owner{};
    protocol::SharedTable arguments{};
};
/// It is to be deleted, perhaps: nothing more is sent to it until DeleteQueue or ReopenQueue has come.
struct CloseQueue {
    QueueId id;
};
struct ReopenQueue {
    QueueId id;
};
struct DeleteQueue {
    QueueId id;
};
struct Bind {
    VhostIndex vhost;
    std::string source;
    std::string destination;
    bool to_queue;
    std::string routing_key;
    protocol::SharedTable arguments{};
};
struct Unbind {
    VhostIndex vhost;
    std::string source;
    std::string destination;
    bool to_queue;
    std::string routing_key;
    protocol::SharedTable arguments{};
};

}  // namespace change

using Change = std::variant<change::AddVhost, change::SetAccess, change::DeclareExchange,
                            change::DeleteExchange, change::DeclareQueue, change::CloseQueue,
                            change::ReopenQueue, change::DeleteQueue, change::Bind, change::Unbind>;
using ChangeSet = std::vector<Change>;

}  // namespace trilby::broker
