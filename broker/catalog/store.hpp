// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "broker/catalog/changes.hpp"
#include "broker/definitions/definitions.hpp"
#include "broker/journal/remembered.hpp"

namespace trilby::broker {

class CatalogStatements;
class View;

/// What of the catalog survives the broker: virtual hosts, users, permissions, durable exchanges and queues,
/// the bindings between them, and policies and parameters as they were imported. One SQLite file in the data
/// directory (WAL, full synchronisation): after `commit` a change is on the disk.
///
/// The constructor refuses a file that is damaged, not Trilby's, or of a newer Trilby, with a sentence for
/// the operator, and leaves it as it is. One of an older Trilby is brought forward. Every other function
/// throws sqlite::Error. Shard 0's thread, or whoever holds the data directory while no broker runs.
class CatalogStore {
  public:
    /// Of the layout that this program writes: SQLite's user_version.
    static constexpr std::int64_t schema_version = 2;

    explicit CatalogStore(const std::filesystem::path& file);
    ~CatalogStore();

    bool empty();
    /// Everything; queues with the ids that they were given.
    Definitions load();
    /// The highest id that a durable queue ever had, whether it still exists or not; 0: none yet.
    std::uint64_t last_queue_id();

    // ---- The journal beside it: each knows something of the other, so that one that was lost, or put back
    // from another day, is missed.

    /// A new catalog has the number for its journal; one of an older Trilby does not know any.
    journal::Remembered journal();
    /// Durable when it returns.
    void remember(journal::Remembered journal);
    /// Counts up with everything that was stored; what a journal may know of this catalog.
    std::uint64_t changes() const { return changes_; }
    /// The journal knows of a later state: no number of it is given again. Durable when it returns.
    void catch_up(std::uint64_t changes, std::uint64_t queue_id);

    /// Adds what is durable in `definitions`, or replaces what can change about it: RabbitMQ's import.
    /// Nothing is removed. Queues have their ids. Durable when it returns.
    void add(const Definitions& definitions);

    /// Takes a change of the running broker into the open transaction, which it opens; what is not durable is
    /// passed over. `view` is as it was before the change.
    void stage(const Change& change, const View& view);
    /// How many were not passed over so far.
    std::uint64_t staged() const { return staged_; }
    /// Durable when it returns; nothing to do when nothing was staged. After an error all that was staged is
    /// undone.
    void commit();
    /// Undoes what was staged.
    void forget();

  private:
    void migrate(std::int64_t from);
    void begin();
    template <class Add, class Delete>
    void add_afresh(Add add, Delete delete_old);
    void delete_exchange(std::string_view vhost, std::string_view name);
    void delete_queue(std::string_view vhost, std::string_view name);
    void stage_one(const change::AddVhost&, const View&) {}
    void stage_one(const change::SetAccess&, const View&) {}
    void stage_one(const change::DeclareExchange&, const View&);
    void stage_one(const change::DeleteExchange&, const View&);
    void stage_one(const change::DeclareQueue&, const View&);
    void stage_one(const change::CloseQueue&, const View&) {}
    void stage_one(const change::ReopenQueue&, const View&) {}
    void stage_one(const change::DeleteQueue&, const View&);
    void stage_one(const change::Bind&, const View&);
    void stage_one(const change::Unbind&, const View&);

    std::unique_ptr<CatalogStatements> statements_;
    std::uint64_t changes_ = 0;
    std::uint64_t staged_ = 0;
};

}  // namespace trilby::broker
