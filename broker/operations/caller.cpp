// SPDX-License-Identifier: Apache-2.0
#include "broker/operations/caller.hpp"

#include <fmt/format.h>

namespace trilby::broker {

using protocol::ChannelReply;

protocol::Outcome<> Caller::may(auth::Operation operation, std::string_view kind,
                                std::string_view name) const {
    if (view_.access().allowed(user(), vhost_.name, operation, name)) return {};
    return refuse(ChannelReply::access_refused,
                  fmt::format("access to {} '{}' in vhost '{}' refused for user '{}'", kind, name,
                              vhost_.name, user()));
}

protocol::Outcome<> Caller::may_on_topic(const ExchangeInfo& exchange, auth::Operation operation,
                                         std::string_view key) const {
    if (exchange.type != routing::ExchangeType::topic ||
        view_.access().topic_allowed(user(), vhost_.name, exchange.name, operation, key))
        return {};
    return refuse(ChannelReply::access_refused,
                  fmt::format("access to topic '{}' in exchange '{}' in vhost '{}' refused for user '{}'",
                              key, exchange.name, vhost_.name, user()));
}

protocol::Outcome<const QueueInfo*> Caller::usable_queue(std::string_view name) const {
    const QueueInfo* queue = view_.queue(vhost_, name);
    if (queue == nullptr) return not_found("queue", name);
    if (is_others(*queue)) return locked(name);
    return queue;
}

protocol::Outcome<const QueueInfo*> Caller::readable_queue(std::string_view name) const {
    if (auto allowed = may_on_queue(auth::Operation::read, name); !allowed)
        return std::unexpected(allowed.error());
    return usable_queue(name);
}

Refused Caller::not_found(std::string_view kind, std::string_view name) const {
    return refuse(ChannelReply::not_found, fmt::format("no {} '{}' in vhost '{}'", kind, name, vhost_.name));
}

Refused Caller::locked(std::string_view queue) const {
    return refuse(
        ChannelReply::resource_locked,
        fmt::format(
            "cannot obtain exclusive access to locked queue '{}' in vhost '{}'. It could be originally "
            "declared on another connection or the exclusive property value does not match that of the "
            "original declaration.",
            queue, vhost_.name));
}

Refused too_much(std::string_view asked, std::string_view what) {
    return refuse(ChannelReply::precondition_failed,
                  fmt::format("{}: {} takes as much memory as it may", asked, what));
}

}  // namespace trilby::broker
