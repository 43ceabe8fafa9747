// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/asking/answer.hpp"
#include "broker/asking/turn.hpp"
#include "broker/catalog/audience.hpp"
#include "broker/catalog/cascade.hpp"
#include "broker/catalog/queue_numbers.hpp"
#include "broker/catalog/request.hpp"
#include "broker/catalog/view.hpp"

namespace trilby::broker {

class CatalogStore;

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
    /// Where it lives, and how much there may be.
    struct Home {
        Audience& audience;
        View& view;
        Turn& turn;
        ShardIndex shard;
        std::size_t shards;
        std::uint64_t held_memory = 0;  // octets that what is declared may take; 0: as many as it likes
        std::uint64_t most_queues = slot_limit;  // that exist at a time
    };
    explicit Catalog(const Home& home) : home_(home), numbers_(0, home.most_queues) {}

    /// Where durable changes are stored before anybody hears of them; without one nothing is durable.
    void store_in(CatalogStore& store);

    // ---- Shard 0's thread.

    /// Decided by the next `work`.
    void submit(CatalogRequest&& request, ReplyTo reply_to);
    /// Once a turn, when what has arrived was submitted; as far as the turn goes. True: there was something
    /// to do. Throws std::bad_alloc when memory is lacking: it goes on where it was.
    bool work();
    /// Another shard has applied the changes under way: `work` goes on.
    void applied();
    /// Would `work` do something?
    bool has_work() const { return untold_ != 0 || answering_ || goes_on(); }

    /// Before the threads start, for what there is then.
    QueueNumbers& numbers() { return numbers_; }

  private:
    struct Pending {
        CatalogRequest request;
        ReplyTo reply_to;
    };
    struct Decision {
        ChangeSet changes;
        Answer answer;
        std::optional<Cascade> cascade = {};  // what else goes is found over turns
        std::size_t staged = 0;               // of the changes, over turns as well
    };
    enum class Decided : std::uint8_t { yes, not_with_these, not_in_this_turn };

    bool goes_on() const { return !busy_ && (under_way_ || failed_ || !pending_.empty()); }
    /// Decides what waits, as much as may be told together; the changes are in this shard's view afterwards.
    /// False: to be gone on with in the next turn.
    bool gather();
    Decision decide(Pending& asked);
    /// Not with those that are gathered: these are told first.
    Decided decide_next();
    /// What was decided is under way. False: not all of it yet. Throws std::bad_alloc with nothing changed.
    bool take(Decision& decision);
    /// Has room for what is taken; what comes is seen here from now on.
    void prepare(const ChangeSet& changes);
    /// What was decided last, as far as the turn goes. False: some of it is left.
    bool carry_out();
    void stage(const Change& change);
    void store();
    /// What could not be stored; goes on where it was interrupted.
    void take_back();
    void say_failure(const char* what) noexcept;
    void tell();
    void plan_the_rest();
    /// Where it was interrupted, if it was.
    void go_on_telling();
    void answer_all();
    Decision decide(request::DeclareExchange& asked);
    Decision decide(request::DeleteExchange& asked);
    Decision decide(request::DeclareQueue& asked);
    Decision decide(request::CloseQueue& asked);
    Decision decide(request::ReopenQueue& asked);
    Decision decide(request::DeleteQueue& asked);
    Decision decide(request::Bind& asked);
    Decision decide(request::Unbind& asked);
    /// Takes what is declared as much memory as it may? Nothing is added then.
    bool is_full() const;

    const Home home_;
    std::deque<Pending> pending_;  // one a connection at most, and deletions by the queues themselves
    CatalogStore* store_ = nullptr;
    bool busy_ = false;  // it is told to the shards, and answered when they have it

    // What is under way.
    bool under_way_ = false;            // and not all gathered
    std::optional<Decision> deciding_;  // the first of pending_, if that takes turns
    std::size_t outstanding_ = 0;       // shards that have not yet applied
    std::shared_ptr<ChangeSet> changes_;
    std::size_t carried_out_ = 0;         // of these, by decisions that are,
    std::size_t applied_ = 0;             // and by the one that is being carried out
    bool stored_ = false;                 // already, for that one takes more than a turn
    std::optional<ShardIndex> new_home_;  // of the new queues among them, if that is another shard
    bool home_first_ = false;             // it is being told
    std::uint64_t untold_ = 0;            // a bit for each shard that is still to be told
    std::vector<std::pair<ReplyTo, Answer>> answers_;
    std::size_t answered_ = 0;  // of these
    bool answering_ = false;
    bool failed_ = false;         // the store, and what was gathered is to be taken back:
    ChangeSet back_;              // by these, with room for all
    std::size_t taken_back_ = 0;  // of them

    QueueNumbers numbers_;
};

}  // namespace trilby::broker
