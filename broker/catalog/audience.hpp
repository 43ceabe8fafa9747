// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "broker/asking/answer.hpp"
#include "broker/catalog/changes.hpp"
#include "broker/ids/ids.hpp"

namespace trilby::broker {

/// Who is told what the catalog decides: its own shard, by a call, and the others through it. On the thread
/// of the catalog.
class Audience {
  public:
    /// Another shard; it says by Catalog::applied that its view has them. Throws std::bad_alloc with nothing
    /// told.
    virtual void tell(ShardIndex shard, std::shared_ptr<const ChangeSet> changes) = 0;
    /// To the view here, with the queues that come and go by it: those from `applied` on, which counts them,
    /// as far as this turn goes; true: all, and nothing of it is left to be tidied. Nothing else may be
    /// applied before. Throws std::bad_alloc with nothing changed but what was counted.
    virtual bool apply(std::span<const Change> changes, std::size_t& applied) = 0;
    /// Throws std::bad_alloc with the answer as it was.
    virtual void reply(ReplyTo asker, Answer&& answer) = 0;

  protected:
    ~Audience() = default;
};

}  // namespace trilby::broker
