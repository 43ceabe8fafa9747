// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/catalog/view.hpp"
#include "broker/ids/ids.hpp"
#include "broker/message/held.hpp"
#include "broker/message/message.hpp"
#include "broker/message/property_checks.hpp"
#include "broker/shard/shard.hpp"
#include "routing/table.hpp"

namespace trilby::broker {

/// Who puts messages into queues, near and far, for one publisher on a shard: it finds the queues, remembers
/// them for the next message with the same names, gives the journal what has to survive, and hands over. What
/// may be published is not its matter (broker/operations). The shard's thread.
class Router {
  public:
    /// A message on its way to more queues than one turn has room for.
    class Rest;

    explicit Router(Shard& shard) : shard_(shard) {}
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// Where a message is published.
    struct Target {
        Vhost& vhost;
        bool by_default;  // the default exchange: `exchange` means nothing
        routing::ExchangeIndex exchange{};
    };

    /// The queues of the last message with these names (exchange and routing key, as in Publication), if they
    /// alone decided it and nothing has changed. Null: to be found.
    const std::vector<routing::QueueIndex>* remembered(std::string_view names) const {
        return last_.generation == shard_.view().generation() && last_.names == names ? &last_.queues
                                                                                      : nullptr;
    }
    /// Good until the next call, or a change of the view.
    std::span<const routing::QueueIndex> find(const Target& target, const Publication& publication,
                                              protocol::TableView headers);
    /// By several keys; each queue is there once.
    std::vector<routing::QueueIndex> find(const Target& target, std::span<const std::string_view> keys,
                                          protocol::TableView headers);
    /// One of them of which the view says that it is closed: it is to be waited for until that is decided,
    /// and the queues to be found anew. 0: none.
    QueueId undecided(std::span<const routing::QueueIndex> queues) const {
        return shard_.view().closed_queues() == 0 ? QueueId{} : closed_among(queues);
    }

    /// To the queues that were found, of which there is one at least and none is closed, as far as this turn
    /// goes; what is left then is put into `rest`. False: the publisher has to pause (Shard::wait_for_room).
    /// Throws std::bad_alloc: only the first of them have it then, in the journal too.
    bool send(const Publication& publication, std::span<const routing::QueueIndex> queues,
              std::unique_ptr<Rest>& rest) {
        const bool persistent = shard_.journal() != nullptr && is_persistent(publication.properties());
        Arrival arrival(publication, shard_.messages(), persistent ? store(publication, queues) : 0);
        if (queues.size() == 1 && arrival.stored() == 0)  // as most do: there is nothing to undo
            return shard_.enqueue(shard_.view().queue(queues.front()), arrival);
        return send_to_all(arrival, queues, rest);
    }
    /// The position in the journal behind the last message that had to survive. 0: none had.
    std::uint64_t stored_to() const { return stored_to_; }

  private:
    struct Last {
        std::uint64_t generation = 0;
        std::string names;
        std::vector<routing::QueueIndex> queues;
    };

    /// Its id in the journal. 0: it has not to survive.
    std::uint64_t store(const Publication& publication, std::span<const routing::QueueIndex> queues);
    bool send_to_all(Arrival& arrival, std::span<const routing::QueueIndex> queues,
                     std::unique_ptr<Rest>& rest);
    QueueId closed_among(std::span<const routing::QueueIndex> queues) const;

    Shard& shard_;
    Last last_;
    std::uint64_t stored_to_ = 0;
};

class Router::Rest {
  public:
    Rest(Shard& shard, Held message, std::vector<QueueId> queues);
    /// Those that are left do not get it: their publisher has failed.
    ~Rest();
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;

    struct Step {
        bool done = false;
        bool room = true;
        QueueId undecided{};  // to be gone on with when it is decided
    };
    /// As far as this turn goes.
    Step go_on();
    Publication publication() const { return message_->publication(); }

  private:
    Shard& shard_;
    const Held message_;
    const std::vector<QueueId> queues_;
    std::size_t sent_ = 0;  // to so many of them
};

}  // namespace trilby::broker
