// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/far_receiver.hpp"

#include "protocol/room.hpp"

namespace trilby::broker {

void FarReceiver::deliver(const Delivery& delivery, Arrival& arrival) {
    Message* const message = arrival.keep();
    Undo not_sent([&] { messages_.release(message); });
    roads_.send(there_,
                {.kind = Mail::Kind::deliver,
                 .flag = delivery.redelivered,
                 .queue = delivery.queue,
                 .consumer = delivery.consumer,
                 .number = delivery.entry,
                 .block = message},
                message->weight());
    not_sent.keep();
}

void FarReceiver::wants_grant(ConsumerId consumer) {
    roads_.send(there_, {.kind = Mail::Kind::wants_grant, .consumer = consumer});
}

void FarReceiver::grant_returned(ConsumerId consumer, std::int64_t messages) {
    roads_.send(there_, {.kind = Mail::Kind::returned_grant,
                         .count = static_cast<std::uint32_t>(messages),
                         .consumer = consumer});
}

}  // namespace trilby::broker
