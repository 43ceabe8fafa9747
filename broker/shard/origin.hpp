// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

class Channel;
class Queue;
struct Consumer;

/// Where deliveries of a channel come from: one of its consumers, or a queue that it asks by basic.get. The
/// connection's end of what `Consumer` is at the queue; lives on the connection's shard until its last
/// delivery is settled.
struct Origin {
    Channel* channel = nullptr;
    std::uint32_t index = 0;  // in the channel's origins, from 1
    ConsumerId id{};          // none: basic.get
    QueueId queue{};
    ShardIndex home = 0;  // of the queue
    bool no_ack = false;
    bool lost = false;       // its queue was deleted, and the client is still to be told
    bool cancelled = false;  // no more deliveries; unacknowledged ones may remain
    std::string tag{};
    std::string head{};  // the deliver frame up to the consumer tag
    std::uint32_t unacknowledged = 0;
    std::int64_t granted = 0;  // of the channel's limit, at the queue and not yet used
    bool wants_grant = false;
    std::list<Origin*>::iterator wish{};  // if it does: where it stands among those of its channel
    std::int64_t owed_window = 0;         // octets written and not yet told to a far queue

    // The other end, if the queue lives on this shard and exists.
    Queue* near_queue = nullptr;
    Consumer* near_consumer = nullptr;

    /// About how many octets it takes with its other end; none before its tag is known.
    std::size_t octets() const { return tag.empty() ? 0 : 512 + 2 * tag.size(); }

    void forget_queue() {
        near_queue = nullptr;
        near_consumer = nullptr;
    }
};

}  // namespace trilby::broker
