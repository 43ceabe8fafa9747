// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <expected>
#include <string>

#include "broker/catalog_request.hpp"
#include "broker/definitions.hpp"
#include "broker/mail.hpp"
#include "broker/view.hpp"

namespace trilby::broker {

class Shard;

/// The one writer of what exists: vhosts, users, permissions, exchanges, queues' definitions, bindings. Lives
/// on shard 0 and decides with that shard's view. A request is checked, made into changes, told to every
/// view, and answered when all have applied it; the next one follows then, so all views see one order.
///
/// A new queue is told to its home first: whoever sees it in a view may send to it at once.
class Catalog {
  public:
    explicit Catalog(Shard& shard, std::size_t shards) : shard_(shard), shards_(shards) {}

    /// Shard 0's thread.
    void submit(CatalogRequest request, ReplyTo reply_to);
    /// Another shard has applied the changes under way.
    void applied();

    // ---- Before the threads start.

    /// The virtual host `/` and RabbitMQ's default user `guest`.
    ChangeSet embedded_default();
    /// What RabbitMQ's export holds. Refused as a whole, with a sentence that names the object, if something
    /// in it names what does not exist or is not valid.
    std::expected<ChangeSet, std::string> import(const Definitions& definitions);

  private:
    struct Pending {
        CatalogRequest request;
        ReplyTo reply_to;
    };
    struct Decision {
        ChangeSet changes;
        Answer answer;
    };

    void work();
    void tell_all_but(ShardIndex told);
    Decision decide(request::DeclareExchange& asked);
    Decision decide(request::DeleteExchange& asked);
    Decision decide(request::DeclareQueue& asked);
    Decision decide(request::DeleteQueue& asked);
    Decision decide(request::Bind& asked);
    Decision decide(request::Unbind& asked);
    QueueId new_queue_id();
    void add_vhost(ChangeSet& changes, VhostIndex index, std::string_view name);

    Shard& shard_;
    const std::size_t shards_;
    std::deque<Pending> pending_;  // one a connection at most, and deletions by the queues themselves
    bool busy_ = false;
    std::size_t outstanding_ = 0;  // shards that have not yet applied
    std::shared_ptr<const ChangeSet> changes_;
    bool home_first_ = false;
    ShardIndex home_ = 0;
    ReplyTo reply_to_;
    Answer answer_;
    std::uint64_t last_queue_ = 0;
    std::vector<std::uint32_t> free_slots_;
    std::uint32_t slots_ = 0;
};

}  // namespace trilby::broker
