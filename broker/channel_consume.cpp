// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "broker/arguments.hpp"
#include "broker/channel.hpp"
#include "broker/direct_reply.hpp"
#include "broker/resource_name.hpp"
#include "broker/session.hpp"

// basic.qos, consume, cancel and get.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

Channel::Outcome Channel::basic_qos(const protocol::basic::Qos& method) {
    if (method.prefetch_size != 0)
        return fail(ConnectionReply::not_implemented,
                    fmt::format("prefetch_size!=0 ({})", method.prefetch_size));
    if (method.global) {
        limit_channel(method.prefetch_count);
    } else {
        prefetch_ = method.prefetch_count;
        limit_channel(0);
    }
    session_.send(number_, protocol::basic::QosOk{});
    return {};
}

Channel::Outcome Channel::basic_consume(const protocol::basic::Consume& method) {
    if (method.queue == direct_reply_name) return consume_replies(method);
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    if (!method.consumer_tag.empty() && (find_origin(method.consumer_tag) != nullptr ||
                                         (replies_.consuming && replies_.tag == method.consumer_tag)))
        return fail(ConnectionReply::not_allowed,
                    fmt::format("attempt to reuse consumer tag '{}'", method.consumer_tag));
    if (auto allowed = check(auth::Operation::read, true, *name); !allowed) return allowed;
    const auto queue = usable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    const auto type = protocol::TableView((*queue)->arguments).find("x-queue-type");
    const auto arguments = check_consumer_arguments(
        method.arguments,
        type ? queue_type_of(type->as_string().value_or("")).value_or(QueueType::classic)
             : QueueType::classic,
        *name, vhost().name);
    if (!arguments) return fail(ChannelReply::precondition_failed, arguments.error());

    Origin& origin = add_origin(**queue, method.no_ack);
    origin.tag = method.consumer_tag.empty() ? "amq.ctag-" + random_name() : std::string(method.consumer_tag);
    origin.id = shard().add_consumer(origin);
    origin.head.assign("\1\0\0\0\0\0\0\0\x3c\0\x3c", 11);
    protocol::store_big_endian(origin.head.data() + 1, number_);
    origin.head += static_cast<char>(origin.tag.size());
    origin.head += origin.tag;

    Consumer consumer{.id = origin.id, .near = origin.home == shard().index() ? &origin : nullptr};
    if (!method.no_ack && prefetch_ != 0) consumer.credit = prefetch_;
    consumer.priority = static_cast<std::int32_t>(
        std::clamp<std::int64_t>(arguments->priority.value_or(0), INT32_MIN, INT32_MAX));
    consumer.no_ack = method.no_ack;
    consumer.granted = channel_prefetch_ != 0;
    ask_queue(**queue, method.id, ask::Subscribe{consumer, method.exclusive},
              [this, &origin, name = *name, nowait = method.nowait](const Answer& answer) -> Outcome {
                  if (answer.status != Answer::Status::done) {
                      remove_origin(origin);
                      if (answer.status == Answer::Status::gone) return not_found("queue", name);
                      return fail(ChannelReply::access_refused,
                                  queue_in_vhost(name, vhost().name) + " in exclusive use");
                  }
                  if (!nowait) session_.send(number_, protocol::basic::ConsumeOk{.consumer_tag = origin.tag});
                  // Only now may it be given something.
                  if (origin.near_queue != nullptr && session_.full())
                      origin.near_queue->hold(*origin.near_consumer, true);
                  const bool near = origin.home == shard().index();
                  shard().open_window(origin,
                                      near ? Consumer::unlimited : shard().settings().consumer_window);
                  return {};
              });
    return {};
}

Channel::Outcome Channel::consume_replies(const protocol::basic::Consume& method) {
    if (!method.no_ack) return fail(ChannelReply::precondition_failed, "reply consumer cannot acknowledge");
    if (replies_.consuming) return fail(ChannelReply::precondition_failed, "reply consumer already set");
    if (!method.consumer_tag.empty() && find_origin(method.consumer_tag) != nullptr)
        return fail(ConnectionReply::not_allowed,
                    fmt::format("attempt to reuse consumer tag '{}'", method.consumer_tag));
    replies_ = {true, random_secret(),
                method.consumer_tag.empty() ? "amq.ctag-" + random_name() : std::string(method.consumer_tag)};
    if (!method.nowait) session_.send(number_, protocol::basic::ConsumeOk{.consumer_tag = replies_.tag});
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
    Origin* origin = find_origin(tag);
    if (origin == nullptr) return answer();
    ask_queue_of(*origin, protocol::basic::Cancel::id, ask::Cancel{origin->id},
                 [this, origin, answer](const Answer&) {
                     end_consumer(*origin);
                     return answer();
                 });
    return {};
}

void Channel::queue_gone(Origin& origin) {
    if (origin.cancelled || origin.lost) return;
    origin.lost = true;
    // While a question is open the reply to it goes first: a channel that deletes its queue gets delete-ok,
    // then this.
    session_.when_answered([&session = session_, number = number_, id = origin.id] {
        Channel* channel = session.find_channel(number);
        if (channel != nullptr && !channel->given_up_) channel->tell_cancelled(id);
    });
}

void Channel::tell_cancelled(ConsumerId id) {
    const auto found = std::find_if(origins_.begin(), origins_.end(), [&](const auto& origin) {
        return origin != nullptr && origin->id == id;
    });
    if (found == origins_.end() || (*found)->cancelled) return;
    if (session_.peer_takes_cancels())
        session_.send(number_, protocol::basic::Cancel{.consumer_tag = (*found)->tag, .nowait = true});
    end_consumer(**found);
}

void Channel::end_consumer(Origin& origin) {
    origin.cancelled = true;
    granted_ -= static_cast<std::uint32_t>(std::exchange(origin.granted, 0));
    std::erase(wanting_, origin.index);
    drop_if_unused(origin);
    distribute_grants();
}

Channel::Outcome Channel::basic_get(const protocol::basic::Get& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = check(auth::Operation::read, true, *name); !allowed) return allowed;
    const auto queue = usable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    const QueueId id = (*queue)->id;
    const ShardIndex home = (*queue)->home;
    ask_queue(**queue, method.id, ask::Get{method.no_ack},
              [this, id, home, name = *name, no_ack = method.no_ack](const Answer& answer) -> Outcome {
                  if (answer.status == Answer::Status::gone) return not_found("queue", name);
                  if (answer.status == Answer::Status::empty) {
                      session_.send(number_, protocol::basic::GetEmpty{});
                      return {};
                  }
                  DeliveryTag tag = 0;
                  if (no_ack) {
                      tag = unacknowledged_.skip();
                  } else {
                      tag = number_delivery(origin_of_gets(id, home), answer.entry, answer.message->stored);
                      ++got_;
                  }
                  write_get_ok(tag, answer);
                  shard().messages().release(answer.message);
                  return {};
              });
    return {};
}

// ---- Origins.

Origin& Channel::add_origin(const QueueInfo& queue, bool no_ack) {
    auto origin = std::make_unique<Origin>();
    origin->channel = this;
    origin->queue = queue.id;
    origin->home = queue.home;
    origin->no_ack = no_ack;
    if (free_origins_.empty()) {
        origin->index = static_cast<std::uint32_t>(origins_.size());
        origins_.emplace_back();
    } else {
        origin->index = free_origins_.back();
        free_origins_.pop_back();
    }
    Origin& added = *origin;
    origins_[added.index] = std::move(origin);
    return added;
}

Origin* Channel::find_origin(std::string_view tag) {
    for (const auto& origin : origins_)
        if (origin != nullptr && origin->id != ConsumerId{} && !origin->cancelled && origin->tag == tag)
            return origin.get();
    return nullptr;
}

Origin& Channel::origin_of_gets(QueueId queue, ShardIndex home) {
    for (const auto& origin : origins_)
        if (origin != nullptr && origin->id == ConsumerId{} && origin->queue == queue) return *origin;
    return add_origin({.id = queue, .home = home}, false);
}

void Channel::remove_origin(Origin& origin) {
    const std::uint32_t index = origin.index;
    if (origin.id != ConsumerId{}) shard().remove_consumer(origin.id);
    granted_ -= static_cast<std::uint32_t>(origin.granted);
    std::erase(wanting_, index);
    origins_[index].reset();
    free_origins_.push_back(index);
}

void Channel::drop_if_unused(Origin& origin) {
    if (origin.unacknowledged == 0 && (origin.cancelled || origin.id == ConsumerId{})) remove_origin(origin);
}

// ---- The limit of the whole channel (qos global). What is granted to queues and what is unacknowledged
// never exceed it.

void Channel::limit_channel(std::uint32_t limit) {
    const bool was = channel_prefetch_ != 0;
    channel_prefetch_ = limit;
    if (was != (limit != 0)) {
        granted_ = 0;
        wanting_.clear();
        for (const auto& origin : origins_) {
            if (origin == nullptr || origin->id == ConsumerId{} || origin->cancelled) continue;
            origin->granted = 0;
            shard().limit_by_grants(*origin, limit != 0);
        }
    }
    distribute_grants();
}

void Channel::wants_grant(Origin& origin) {
    if (given_up_ || origin.cancelled || channel_prefetch_ == 0) return;
    if (std::find(wanting_.begin(), wanting_.end(), origin.index) == wanting_.end())
        wanting_.push_back(origin.index);
    distribute_grants();
}

void Channel::grant_returned(Origin& origin, std::int64_t messages) {
    // Grants of before a change of the limit are not counted any more.
    const std::int64_t counted = std::min(messages, origin.granted);
    origin.granted -= counted;
    granted_ -= static_cast<std::uint32_t>(counted);
    distribute_grants();
}

void Channel::distribute_grants() {
    // A grant to a near queue is used while this runs, what it could not use comes back, and it may ask
    // again: the loop sees all that. If each began another loop, they would go as deep as there are
    // consumers.
    if (std::exchange(distributing_, true)) return;
    while (channel_prefetch_ != 0 && !wanting_.empty()) {
        const std::size_t used = unacknowledged_.size() - got_ + granted_;
        if (used >= channel_prefetch_) break;
        const std::size_t share = std::max<std::size_t>(1, (channel_prefetch_ - used) / wanting_.size());
        Origin& origin = *origins_[wanting_.front()];
        wanting_.erase(wanting_.begin());
        origin.granted += static_cast<std::int64_t>(share);
        granted_ += static_cast<std::uint32_t>(share);
        shard().grant(origin, static_cast<std::uint32_t>(share));
    }
    distributing_ = false;
}

}  // namespace trilby::broker
