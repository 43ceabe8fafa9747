// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/catalog_request.hpp"
#include "broker/definitions.hpp"
#include "broker/mail.hpp"
#include "broker/view.hpp"

namespace trilby::broker {

class CatalogStore;
class Shard;

/// The one writer of what exists: vhosts, users, permissions, exchanges, queues' definitions, bindings. Lives
/// on shard 0 and decides with that shard's view. A request is checked, made into changes, told to every
/// view, and answered when all have applied it; the next one follows then, so all views see one order.
///
/// What waits is decided together, each request with the outcome of those before it, and stored together:
/// many declares cost one synchronisation of the disk. Shard 0 waits for it, so that nobody sees what is not
/// stored.
///
/// A new queue is told to its home first: whoever sees it in a view may send to it at once.
class Catalog {
  public:
    explicit Catalog(Shard& shard, std::size_t shards) : shard_(shard), shards_(shards) {}

    /// Where durable changes are stored before anybody hears of them; without one nothing is durable.
    void store_in(CatalogStore& store);

    // ---- Shard 0's thread.

    /// Decided by the next `work`.
    void submit(CatalogRequest request, ReplyTo reply_to);
    /// Once a turn, when what has arrived was submitted.
    void work();
    /// Another shard has applied the changes under way.
    void applied();

    // ---- Before the threads start.

    /// The virtual host `/` and RabbitMQ's default user `guest`.
    static Definitions embedded_default();
    /// All there is at start; gives ids to the queues that have none. Refused as a whole, with a sentence
    /// that names the object, if something in it names what does not exist or is not valid.
    std::expected<ChangeSet, std::string> import(Definitions& definitions);

  private:
    struct Pending {
        CatalogRequest request;
        ReplyTo reply_to;
    };
    struct Decision {
        ChangeSet changes;
        Answer answer;
    };

    /// Decides what waits, as much as may be told together; the changes are in this shard's view afterwards.
    void gather();
    void stage(const Change& change);
    bool store();
    void take_back();
    void tell();
    void tell_the_rest();
    void answer_all();
    Decision decide(request::DeclareExchange& asked);
    Decision decide(request::DeleteExchange& asked);
    Decision decide(request::DeclareQueue& asked);
    Decision decide(request::DeleteQueue& asked);
    Decision decide(request::Bind& asked);
    Decision decide(request::Unbind& asked);
    /// `known`: the number that it had before; 0: a new one.
    QueueId new_queue_id(std::uint64_t known = 0);
    void add_vhost(ChangeSet& changes, VhostIndex index, std::string_view name);

    Shard& shard_;
    const std::size_t shards_;
    std::deque<Pending> pending_;  // one a connection at most, and deletions by the queues themselves
    CatalogStore* store_ = nullptr;
    bool busy_ = false;

    // What is under way.
    std::size_t outstanding_ = 0;  // shards that have not yet applied
    std::shared_ptr<ChangeSet> changes_;
    std::optional<ShardIndex> home_;  // of the new queues among them, if that is another shard
    bool home_first_ = false;         // it is being told
    std::vector<std::pair<ReplyTo, Answer>> answers_;
    std::optional<std::string> failure_;  // of the store, while changes are gathered

    std::uint64_t last_queue_ = 0;
    std::vector<std::uint32_t> free_slots_;
    std::uint32_t slots_ = 0;
};

}  // namespace trilby::broker
