// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access.hpp"
#include "broker/arguments/arguments.hpp"
#include "broker/catalog/changes.hpp"
#include "broker/ids/ids.hpp"
#include "routing/table.hpp"

namespace trilby::broker {

class Queue;

/// What a shard knows of an exchange.
struct ExchangeInfo {
    std::string name;  // empty: no exchange in this place
    routing::ExchangeType type{};
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    protocol::SharedTable arguments;
};

/// What a shard knows of a queue, wherever it lives.
struct QueueInfo {
    QueueId id{};  // 0: no queue in this place
    std::string name{};
    VhostIndex vhost = 0;
    ShardIndex home = 0;
    bool durable = false;
    bool auto_delete = false;
    AskerId owner{};  // of an exclusive queue
    protocol::SharedTable arguments{};
    Queue* near = nullptr;  // the queue itself, on its home shard
    bool closed = false;    // whether it goes is being decided: nothing is sent to it until then
};

/// A virtual host as one shard sees it.
struct Vhost {
    std::string name;
    VhostIndex index;
    std::optional<QueueType> default_queue_type;
    routing::Table routes;
    std::vector<ExchangeInfo> exchanges;  // by routing::ExchangeIndex

    const ExchangeInfo* exchange(std::string_view exchange_name) const;
};

/// A shard's own copy of what exists: it routes, checks and answers with it, and nobody else reads it.
/// Changed only by the catalog's change sets, which every shard applies in the same order, but for where a
/// queue lives.
class View {
  public:
    const Vhost* vhost(std::string_view name) const;
    Vhost& vhost(VhostIndex index) { return *vhosts_[index]; }
    const Vhost& vhost(VhostIndex index) const { return *vhosts_[index]; }

    const QueueInfo* queue(const Vhost& vhost, std::string_view name) const;
    /// By the place that routing names; there is a queue there.
    const QueueInfo& queue(routing::QueueIndex place) const { return queues_[place]; }
    /// Null if it is gone.
    const QueueInfo* queue(QueueId id) const;
    /// How many of them are closed: seldom any.
    std::size_t closed_queues() const { return closed_queues_; }
    template <class F>
    void each_queue(F visit) const {
        for (const QueueInfo& info : queues_)
            if (info.id != QueueId{}) visit(info);
    }

    const auth::Access& access() const { return *access_; }

    /// Changes whenever a route, a permission or anything else that a publish depends on may have changed.
    std::uint64_t generation() const { return generation_; }

    /// About how many octets of memory exchanges, queues and bindings take in the views of so many shards,
    /// and in the queues themselves while they are empty.
    std::size_t octets(std::size_t shards) const;

    /// What the last change has left to be tidied is tidied first. Throws std::bad_alloc with nothing
    /// changed. That something is deleted, closed or opened again needs no memory.
    void apply(const Change& change);
    /// At most so many bindings of what the last change removed; true when nothing is left.
    bool tidy(std::size_t most);
    /// For its shard, when a queue becomes its own or ceases to be, and when one has moved.
    QueueInfo* mutable_queue(QueueId id);

  private:
    void apply_one(const change::AddVhost&);
    void apply_one(const change::SetAccess&);
    void apply_one(const change::DeclareExchange&);
    void apply_one(const change::DeleteExchange&);
    void apply_one(const change::DeclareQueue&);
    void apply_one(const change::CloseQueue&);
    void apply_one(const change::ReopenQueue&);
    void apply_one(const change::DeleteQueue&);
    void apply_one(const change::Bind&);
    void apply_one(const change::Unbind&);

    std::vector<std::unique_ptr<Vhost>> vhosts_;
    std::vector<QueueInfo> queues_;  // by slot of the id
    std::shared_ptr<const auth::Access> access_ = std::make_shared<auth::Access>();
    routing::Table* untidy_ = nullptr;  // that still has bindings of what was removed last
    std::size_t closed_queues_ = 0;
    std::uint64_t generation_ = 1;
    std::size_t queue_count_ = 0, exchange_count_ = 0;
    std::size_t name_octets_ = 0;   // of both
    std::size_t table_octets_ = 0;  // of their arguments, which all views share
};

/// The destination of a binding, if it exists.
std::optional<routing::Destination> destination_of(const View& view, const Vhost& vhost,
                                                   std::string_view name, bool is_queue);

}  // namespace trilby::broker
