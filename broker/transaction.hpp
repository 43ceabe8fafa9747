// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "broker/ids.hpp"
#include "broker/message.hpp"
#include "broker/queue.hpp"

namespace trilby::broker {

/// What a transaction has gathered since tx.select or the last commit: publishes routed already, and
/// settlements by delivery tag, whose entries stay unacknowledged and marked until then.
struct Transaction {
    struct Publish {
        Message* message;  // with a reference
        bool mandatory;
        bool persistent;
        std::vector<QueueId> queues;
    };
    struct Settle {
        DeliveryTag tag;
        Settlement settlement;
    };
    std::vector<Publish> publishes;
    std::vector<Settle> settlements;
};

}  // namespace trilby::broker
