// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/asking/direct_reply.hpp"
#include "broker/operations/consuming.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/room.hpp"

// basic.qos, consume, cancel and get.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

Channel::Outcome Channel::basic_qos(const protocol::basic::Qos& method) {
    if (method.prefetch_size != 0)
        return refuse(ConnectionReply::not_implemented,
                      fmt::format("prefetch_size!=0 ({})", method.prefetch_size));
    const bool was_limited = limit_.is_on();
    if (!method.global) prefetch_ = method.prefetch_count;
    limit_.set(method.global ? method.prefetch_count : 0);
    const bool is_limited = limit_.is_on();
    // Behind what goes out before the limit is put up everywhere, and before what a wider one lets through.
    if (was_limited || !is_limited) session_.send(number_, protocol::basic::QosOk{});
    was_limited == is_limited ? hand_out_limit() : limit_consumers(0);
    return {};
}

Channel::Outcome Channel::basic_consume(const protocol::basic::Consume& method) {
    if (method.queue == direct_reply_name) return consume_replies(method);
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    if (!method.consumer_tag.empty() && (find_subscription(method.consumer_tag) != nullptr ||
                                         (replies_.consuming && replies_.tag == method.consumer_tag)))
        return refuse(ConnectionReply::not_allowed,
                      fmt::format("attempt to reuse consumer tag '{}'", method.consumer_tag));
    const auto consumption = consume(caller(), *name, method.arguments);
    if (!consumption) return std::unexpected(consumption.error());
    const QueueInfo& queue = *consumption->queue;
    if (shard().holds_much())
        return too_much("cannot consume from " + queue_in_vhost(*name, vhost().name), held_by_clients);

    if (!shard().has_room_for_consumer())
        return refuse(ConnectionReply::resource_error, "there is no number left for another consumer");
    Subscription& subscription = add_subscription(queue, method.no_ack);
    subscription.tag =
        method.consumer_tag.empty() ? "amq.ctag-" + random_name() : std::string(method.consumer_tag);
    shard().hold(subscription.octets());
    tags_.emplace(subscription.tag, &subscription);
    subscription.end.consumer = shard().add_consumer(subscription);
    subscription.head.assign("\1\0\0\0\0\0\0\0\x3c\0\x3c", 11);
    protocol::store_big_endian(subscription.head.data() + 1, number_);
    subscription.head += static_cast<char>(subscription.tag.size());
    subscription.head += subscription.tag;

    Consumer consumer{.id = subscription.end.consumer};
    if (!method.no_ack && prefetch_ != 0) consumer.credit = prefetch_;
    consumer.priority = consumption->priority;
    consumer.no_ack = method.no_ack;
    consumer.granted = limit_.is_on();
    ask_queue(queue, method.id, ask::Subscribe{consumer, method.exclusive},
              [this, &subscription, name = *name, nowait = method.nowait](const Answer& answer) -> Outcome {
                  if (is_refused(answer)) {
                      remove_subscription(subscription);
                      return not_consumed(caller(), name, is_refused(answer, Refusal::gone));
                  }
                  subscription.end.home = std::get<answer::Subscribed>(answer).home;
                  if (!nowait)
                      session_.send(number_, protocol::basic::ConsumeOk{.consumer_tag = subscription.tag});
                  // Only now may it be given something.
                  if (subscription.near_queue != nullptr && session_.full())
                      subscription.near_queue->hold(*subscription.near_consumer, true);
                  const bool near = subscription.end.home == shard().index();
                  shard().open_window(subscription.end,
                                      near ? Consumer::unlimited : shard().settings().consumer_window);
                  return {};
              });
    return {};
}

Channel::Outcome Channel::basic_cancel(std::string_view tag, bool nowait, bool reply) {
    const auto answer = [this, tag = std::string(tag), silent = nowait || !reply] {
        if (!silent) session_.send(number_, protocol::basic::CancelOk{.consumer_tag = tag});
        return Outcome{};
    };
    if (replies_.consuming && replies_.tag == tag) {
        replies_.consuming = false;
        return answer();
    }
    Subscription* subscription = find_subscription(tag);
    if (subscription == nullptr) return answer();
    ask_queue_of(*subscription, protocol::basic::Cancel::id, ask::Cancel{subscription->end.consumer},
                 [this, subscription, answer](const Answer&) {
                     const Outcome answered = answer();
                     end_consumer(*subscription);  // its share of the channel's limit goes to others
                     return answered;
                 });
    return {};
}

void Channel::queue_gone(Subscription& subscription) {
    if (subscription.cancelled || subscription.lost) return;
    subscription.lost = true;
    // While a question is open the reply to it goes first: a channel that deletes its queue gets delete-ok,
    // then this.
    session_.when_answered(
        [&session = session_, number = number_, index = subscription.index, id = subscription.end.consumer] {
            Channel* channel = session.find_channel(number);
            if (channel != nullptr && channel->takes_deliveries()) channel->tell_cancelled(index, id);
        });
}

void Channel::tell_cancelled(std::uint32_t index, ConsumerId id) {
    Subscription* const subscription = find_subscription(index, id);
    if (subscription == nullptr || subscription->cancelled) return;
    if (session_.peer_takes_cancels())
        session_.send(number_, protocol::basic::Cancel{.consumer_tag = subscription->tag, .nowait = true});
    end_consumer(*subscription);
}

void Channel::end_consumer(Subscription& subscription) {
    subscription.cancelled = true;
    limit_.forget(subscription);
    tags_.erase(subscription.tag);
    drop_if_unused(subscription);
    hand_out_limit();
}

Channel::Outcome Channel::basic_get(const protocol::basic::Get& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    const auto queue = caller().readable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    const QueueId id = (*queue)->id;
    ask_queue(**queue, method.id, ask::Get{method.no_ack},
              [this, id, name = *name, no_ack = method.no_ack](const Answer& answer) -> Outcome {
                  if (is_refused(answer, Refusal::gone)) return caller().not_found("queue", name);
                  if (is_refused(answer, Refusal::empty)) {
                      session_.send(number_, protocol::basic::GetEmpty{});
                      return {};
                  }
                  const auto& got = std::get<answer::Got>(answer);
                  write_get_ok(no_ack ? unacknowledged_.skip() : number_get(id, got), got);
                  return {};
              });
    return {};
}

// ---- Subscriptions.

Subscription& Channel::add_subscription(const QueueInfo& queue, bool no_ack) {
    auto subscription = std::make_unique<Subscription>(*this);
    subscription->end.queue = queue.id;
    subscription->end.home = queue.home;
    subscription->no_ack = no_ack;
    if (free_subscriptions_.empty()) {
        subscription->index = static_cast<std::uint32_t>(subscriptions_.size());
        make_room(free_subscriptions_, subscriptions_.size() + 1);  // for when it goes
        subscriptions_.emplace_back();
    } else {
        subscription->index = free_subscriptions_.back();
        free_subscriptions_.pop_back();
    }
    Subscription& added = *subscription;
    subscriptions_[added.index] = std::move(subscription);
    return added;
}

Subscription* Channel::find_subscription(std::string_view tag) {
    const auto found = tags_.find(tag);
    return found == tags_.end() ? nullptr : found->second;
}

Subscription* Channel::find_subscription(std::uint32_t index, ConsumerId id) {
    Subscription* const there = index < subscriptions_.size() ? subscriptions_[index].get() : nullptr;
    return there != nullptr && there->end.consumer == id ? there : nullptr;
}

Subscription& Channel::subscription_of_gets(QueueId queue, ShardIndex home) {
    const auto found = gets_.find(queue);
    if (found != gets_.end()) return *found->second;
    const auto place = gets_.emplace(queue, nullptr).first;
    Undo none([&] { gets_.erase(place); });
    place->second = &add_subscription({.id = queue, .home = home}, false);
    none.keep();
    return *place->second;
}

void Channel::remove_subscription(Subscription& subscription) {
    const std::uint32_t index = subscription.index;
    if (subscription.is_of_gets()) {
        gets_.erase(subscription.end.queue);
    } else {
        shard().remove_consumer(subscription.end.consumer);
        if (!subscription.cancelled) tags_.erase(subscription.tag);  // else its tag may be another's by now
    }
    leave_queue(subscription);
    shard().let_go(subscription.octets());
    limit_.forget(subscription);
    subscriptions_[index].reset();
    free_subscriptions_.push_back(index);
}

void Channel::leave_queue(Subscription& subscription) {
    // A queue that exists has been told; one that is being deleted gets to its consumers one by one.
    if (subscription.near_queue != nullptr && subscription.near_queue->stopped())
        subscription.near_queue->cancel(subscription.end.consumer);
}

void Channel::drop_if_unused(Subscription& subscription) {
    if (subscription.unacknowledged == 0 && (subscription.cancelled || subscription.is_of_gets()))
        remove_subscription(subscription);
}

// ---- The limit of the whole channel (qos global).

void Channel::limit_consumers(std::size_t next) {
    while (next != subscriptions_.size()) {
        Subscription* const subscription = subscriptions_[next++].get();
        if (subscription == nullptr || subscription->is_of_gets() || subscription->cancelled) continue;
        limit_.forget(*subscription);
        shard().limit_by_grants(subscription->end, limit_.is_on());
        shard().turn().spend(Turn::limited_consumer);
        if (shard().turn().is_over()) break;
    }
    if (next != subscriptions_.size()) return session_.go_on_later([this, next] { limit_consumers(next); });
    if (limit_.is_on()) session_.send(number_, protocol::basic::QosOk{});
    hand_out_limit();
}

void Channel::wants_grant(Subscription& subscription) {
    if (!takes_deliveries() || subscription.cancelled || !limit_.is_on()) return;
    limit_.wants(subscription);
    hand_out_limit();
}

void Channel::grant_returned(Subscription& subscription, std::int64_t messages) {
    limit_.returned(subscription, messages);
    hand_out_limit();
}

}  // namespace trilby::broker
