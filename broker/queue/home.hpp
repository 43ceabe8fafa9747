// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/asking/turn.hpp"
#include "broker/ids/ids.hpp"
#include "broker/journal/journal.hpp"
#include "broker/message/pool.hpp"
#include "broker/storage/bodies.hpp"

namespace trilby::broker {

/// What a queue has to say to whoever runs it. On the thread of its home; answered later, never before the
/// call returns.
class QueueEvents {
  public:
    /// The disk is being read: to be called by Queue::look_again when it has more. Throws std::bad_alloc.
    virtual void wait_for_disk(QueueId queue) = 0;
    /// Memory was lacking: to be called by Queue::try_again in the next turn.
    virtual void wait_for_memory() = 0;
    /// An auto-delete queue is about to lose its last consumer. Throws std::bad_alloc, and it stays.
    virtual void end_unused(QueueId queue) = 0;
    /// The queue is being deleted: its consumer is to be told.
    virtual void tell_queue_gone(ConsumerId consumer) = 0;

  protected:
    ~QueueEvents() = default;
};

/// What the queues of one shard have in common. Their shard's thread only.
struct QueueHome {
    MessagePool& messages;
    Bodies& bodies;
    Turn& turn;
    QueueEvents& events;
    journal::End* journal = nullptr;  // none: nothing is stored
};

}  // namespace trilby::broker
