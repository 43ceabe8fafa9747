// SPDX-License-Identifier: Apache-2.0
#include "broker/operations/consuming.hpp"

#include <algorithm>

#include "broker/arguments/arguments.hpp"

namespace trilby::broker {

using protocol::ChannelReply;

protocol::Outcome<Consumption> consume(const Caller& caller, std::string_view name,
                                       protocol::TableView arguments) {
    const auto queue = caller.readable_queue(name);
    if (!queue) return std::unexpected(queue.error());
    const auto type = protocol::TableView((*queue)->arguments).find("x-queue-type");
    const auto checked = check_consumer_arguments(
        arguments,
        type ? queue_type_of(type->as_string().value_or("")).value_or(QueueType::classic)
             : QueueType::classic,
        name, caller.vhost().name);
    if (!checked) return refuse(ChannelReply::precondition_failed, checked.error());
    return Consumption{*queue, static_cast<std::int32_t>(std::clamp<std::int64_t>(
                                   checked->priority.value_or(0), INT32_MIN, INT32_MAX))};
}

Refused not_consumed(const Caller& caller, std::string_view queue, bool gone) {
    if (gone) return caller.not_found("queue", queue);
    return refuse(ChannelReply::access_refused,
                  queue_in_vhost(queue, caller.vhost().name) + " in exclusive use");
}

}  // namespace trilby::broker
