// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/arguments/resource_name.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

// Direct reply-to: replies without a queue.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

Channel::Outcome Channel::consume_replies(const protocol::basic::Consume& method) {
    if (!method.no_ack) return refuse(ChannelReply::precondition_failed, "reply consumer cannot acknowledge");
    if (replies_.consuming) return refuse(ChannelReply::precondition_failed, "reply consumer already set");
    if (!method.consumer_tag.empty() && find_subscription(method.consumer_tag) != nullptr)
        return refuse(ConnectionReply::not_allowed,
                      fmt::format("attempt to reuse consumer tag '{}'", method.consumer_tag));
    replies_ = {true, random_secret(),
                method.consumer_tag.empty() ? "amq.ctag-" + random_name() : std::string(method.consumer_tag)};
    if (!method.nowait) session_.send(number_, protocol::basic::ConsumeOk{.consumer_tag = replies_.tag});
    return {};
}

void Channel::send_replies(const Publication& publication, std::span<const ReplyAddress> addresses) {
    Arrival arrival(publication, shard().messages());
    bool room = true;
    for (const ReplyAddress& address : addresses) room = shard().direct_reply(address, arrival) && room;
    if (!room) session_.wait_for_room();
}

void Channel::send_mandatory_replies(const std::shared_ptr<Message>& message,
                                     std::span<const ReplyAddress> addresses,
                                     std::function<void(bool delivered)> told) {
    struct Fate {
        std::size_t open;
        bool delivered = false;
    };
    const auto fate = std::make_shared<Fate>(Fate{addresses.size()});
    const auto answered = [fate, told = std::move(told)](const Answer& answer) -> Outcome {
        if (!is_refused(answer)) fate->delivered = true;
        if (--fate->open == 0) told(fate->delivered);
        return {};
    };
    Arrival arrival(message.get(), shard().messages());
    for (const ReplyAddress& address : addresses)
        session_.ask(this, protocol::basic::Publish::id, answered,
                     [&](ReplyTo to) { shard().direct_reply(address, arrival, to); });
}

}  // namespace trilby::broker
