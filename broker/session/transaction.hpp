// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "broker/asking/direct_reply.hpp"
#include "broker/ids/ids.hpp"
#include "broker/message/held.hpp"
#include "broker/queue/queue.hpp"

namespace trilby::broker {

/// What a transaction has gathered since tx.select or the last commit: publishes routed already, and
/// settlements by delivery tag, whose entries stay unacknowledged and marked until then.
struct Transaction {
    struct Publish {
        Held message;  // none: it was let go
        bool mandatory;
        bool persistent;
        std::vector<QueueId> queues;
        std::vector<ReplyAddress> replies;
        bool replied = false;  // a direct reply found who awaits it, or did not have to
    };
    struct Settle {
        DeliveryTag tag;
        Settlement settlement;
    };

    /// The next of them is done, and let go; false: there is none.
    bool drop_publish() {
        if (done_publishes == publishes.size()) return false;
        publishes[done_publishes++].message.reset();
        return true;
    }

    std::vector<Publish> publishes;
    std::size_t done_publishes = 0;  // of these: they are in their queues, and were let go
    std::size_t octets = 0;          // of them
    std::vector<Settle> settlements;
    std::size_t done_settlements = 0;
    bool returned = false;  // what leads nowhere
};

}  // namespace trilby::broker
