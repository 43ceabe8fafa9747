// SPDX-License-Identifier: Apache-2.0
#include "broker/session/channel.hpp"

#include <fmt/format.h>

#include "broker/session/session.hpp"

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {
/// With its place in the session's table.
constexpr std::size_t own_octets = sizeof(Channel) + 128;
}  // namespace

Channel::Channel(Session& session, std::uint16_t number)
    : session_(session),
      shard_(session.shard()),
      number_(number),
      limit_(shard_),
      serial_(shard_.new_serial()),
      router_(shard_) {
    subscriptions_.resize(1);
    shard().hold(own_octets);
}

Channel::~Channel() {
    for (const auto& subscription : subscriptions_) {
        if (subscription == nullptr) continue;
        leave_queue(*subscription);
        if (!subscription->is_of_gets()) shard().remove_consumer(subscription->end.consumer);
        shard().let_go(subscription->octets());
    }
    shard().let_go(own_octets);
}

std::size_t Channel::unfinished() const {
    return content_.held() + (transaction_ == nullptr ? 0 : transaction_->octets);
}

Vhost& Channel::vhost() {
    return session_.vhost();
}

protocol::Outcome<> Channel::handle(const protocol::Method& method) {
    if (content_.expected())
        return refuse(ConnectionReply::unexpected_frame,
                      content_.expect() == Content::Expect::header
                          ? "expected content header for class 60, got non content header frame instead"
                          : "expected content body, got non content body frame instead");
    const auto act = [&](const auto& one) -> Outcome {
        using M = std::remove_cvref_t<decltype(one)>;
        namespace p = protocol;
        if constexpr (std::is_same_v<M, p::basic::Publish>) {
            const auto names =
                std::string_view(one.exchange.data() - 1, one.exchange.size() + 2 + one.routing_key.size());
            content_.begin(names,
                           static_cast<std::uint8_t>((one.mandatory ? 1 : 0) | (one.immediate ? 2 : 0)));
            return {};
        } else if constexpr (std::is_same_v<M, p::basic::Ack>) {
            return settle_tags(one.delivery_tag, one.multiple, Settlement::acknowledge);
        } else if constexpr (std::is_same_v<M, p::basic::Nack>) {
            return settle_tags(one.delivery_tag, one.multiple,
                               one.requeue ? Settlement::requeue : Settlement::reject);
        } else if constexpr (std::is_same_v<M, p::basic::Reject>) {
            return settle_tags(one.delivery_tag, false,
                               one.requeue ? Settlement::requeue : Settlement::reject);
        } else if constexpr (std::is_same_v<M, p::basic::Get>) {
            return basic_get(one);
        } else if constexpr (std::is_same_v<M, p::basic::Qos>) {
            return basic_qos(one);
        } else if constexpr (std::is_same_v<M, p::basic::Consume>) {
            return basic_consume(one);
        } else if constexpr (std::is_same_v<M, p::basic::Cancel>) {
            return basic_cancel(one.consumer_tag, one.nowait, true);
        } else if constexpr (std::is_same_v<M, p::basic::CancelOk>) {
            return basic_cancel(one.consumer_tag, true,
                                false);  // a client's answer to ours; the consumer is gone
        } else if constexpr (std::is_same_v<M, p::basic::Recover>) {
            return basic_recover(one.requeue, true);
        } else if constexpr (std::is_same_v<M, p::basic::RecoverAsync>) {
            return basic_recover(one.requeue, false);
        } else if constexpr (std::is_same_v<M, p::queue::Declare>) {
            return queue_declare(one);
        } else if constexpr (std::is_same_v<M, p::queue::Bind>) {
            return queue_bind(one);
        } else if constexpr (std::is_same_v<M, p::queue::Unbind>) {
            return queue_unbind(one);
        } else if constexpr (std::is_same_v<M, p::queue::Purge>) {
            return queue_purge(one);
        } else if constexpr (std::is_same_v<M, p::queue::Delete>) {
            return queue_delete(one);
        } else if constexpr (std::is_same_v<M, p::exchange::Declare>) {
            return exchange_declare(one);
        } else if constexpr (std::is_same_v<M, p::exchange::Delete>) {
            return exchange_delete(one);
        } else if constexpr (std::is_same_v<M, p::exchange::Bind>) {
            return exchange_bind(one);
        } else if constexpr (std::is_same_v<M, p::exchange::Unbind>) {
            return exchange_unbind(one);
        } else if constexpr (std::is_same_v<M, p::channel::Flow>) {
            return channel_flow(one);
        } else if constexpr (std::is_same_v<M, p::channel::Close>) {
            close_by_client();
            return {};
        } else if constexpr (std::is_same_v<M, p::confirm::Select>) {
            return confirm_select(one);
        } else if constexpr (std::is_same_v<M, p::tx::Select>) {
            return tx_select();
        } else if constexpr (std::is_same_v<M, p::tx::Commit>) {
            return tx_commit();
        } else if constexpr (std::is_same_v<M, p::tx::Rollback>) {
            return tx_rollback();
        } else if constexpr (std::is_same_v<M, p::access::Request>) {
            session_.send(number_, p::access::RequestOk{.ticket = 1});
            return {};
        } else {
            return refuse(ConnectionReply::command_invalid, "unimplemented method");
        }
    };
    return std::visit(act, method);
}

// ---- Closing.

bool Channel::give_up() {
    // Every step can be done again, in case one was interrupted.
    Turn& turn = shard().turn();
    if (takes_deliveries_) {
        takes_deliveries_ = false;
        content_.clear();
        replies_.consuming = false;
        limit_.set(0);  // shares that still come back are nobody's
    }
    if (transaction_ != nullptr) {
        while (transaction_->drop_publish()) {
            turn.spend(1);
            if (turn.is_over()) return false;
        }
        transaction_.reset();
    }
    // Consumers go first, so that what is put back is not handed to them again.
    while (next_to_cancel_ != subscriptions_.size()) {
        Subscription* const subscription = subscriptions_[next_to_cancel_].get();
        if (subscription != nullptr && !subscription->is_of_gets() && !subscription->cancelled)
            cancel_for_good(*subscription);
        ++next_to_cancel_;
        turn.spend(Turn::consumer);
        if (turn.is_over()) return false;
    }
    DeliveryTag first = unacknowledged_.first();
    if (!settle_some(first, unacknowledged_.end() - 1, Settlement::requeue)) return false;
    given_up_ = true;
    return true;
}

void Channel::cancel_for_good(Subscription& subscription) {
    const auto answered = [this, index = subscription.index, id = subscription.end.consumer](const Answer&) {
        if (Subscription* const left = find_subscription(index, id)) drop_if_unused(*left);
        return Outcome{};
    };
    session_.ask(nullptr, {}, answered, [&](ReplyTo to) {
        shard().ask_queue(subscription.end.home, subscription.end.queue,
                          ask::Cancel{subscription.end.consumer}, to);
    });
    subscription.cancelled = true;
    limit_.wants_no_more(subscription);
    tags_.erase(subscription.tag);
}

void Channel::give_up_then(std::function<void()> then) {
    if (give_up()) {
        session_.when_answered(std::move(then));
    } else {
        session_.go_on_later([this, then = std::move(then)]() mutable { give_up_then(std::move(then)); });
    }
}

void Channel::close(ChannelReply code, const std::string& text, protocol::MethodId cause) {
    session_.say_channel_closed(number_, code, text, cause);
    state_ = State::closing;
    give_up_then([this, code, text, cause] {
        session_.send(number_, protocol::channel::Close{.reply_code = static_cast<std::uint16_t>(code),
                                                        .reply_text = protocol::reply_text(code, text),
                                                        .class_id = cause.class_id,
                                                        .method_id = cause.method_id});
    });
}

void Channel::close_by_client() {
    state_ = State::closing_by_client;
    confirm();
    give_up_then([&session = session_, number = number_] {
        session.send(number, protocol::channel::CloseOk{});
        session.forget_channel(number);
    });
}

// ---- Small methods.

Channel::Outcome Channel::channel_flow(const protocol::channel::Flow& method) {
    if (!method.active) return refuse(ConnectionReply::not_implemented, "active=false");
    session_.send(number_, protocol::channel::FlowOk{.active = true});
    return {};
}

Channel::Outcome Channel::confirm_select(const protocol::confirm::Select& method) {
    if (mode_ == Mode::transaction)
        return refuse(ChannelReply::precondition_failed, "cannot switch from tx to confirm mode");
    mode_ = Mode::confirm;
    if (!method.nowait) session_.send(number_, protocol::confirm::SelectOk{});
    return {};
}

void Channel::confirm() {
    confirm_due_ = false;
    if (state_ == State::closing) return;
    if (journal::End* journal = shard().journal();
        journal == nullptr || router_.stored_to() <= journal->safe_publishes()) {
        confirms_.all_safe();
    } else if (confirms_.has_new()) {
        session_.confirm_when_safe(*this, confirms_.published());
        confirms_.await_disk();
    }
    confirms_.write(
        [this](DeliveryTag tag, bool multiple) {
            session_.send(number_, protocol::basic::Ack{.delivery_tag = tag, .multiple = multiple});
        },
        [this](DeliveryTag tag) { session_.send(number_, protocol::basic::Nack{.delivery_tag = tag}); });
}

void Channel::confirm_to(DeliveryTag tag) {
    confirms_.safe_to(tag);
    if (!confirm_due_) confirm_at_end_of_turn();
}

// ---- What methods have in common.

Caller Channel::caller() const {
    return session_.caller();
}

protocol::Outcome<std::string> Channel::queue_name(std::string_view given) {
    if (!given.empty()) return std::string(given);
    if (last_queue_.empty()) return refuse(ChannelReply::not_found, "no previously declared queue");
    return last_queue_;
}

void Channel::ask_queue(const QueueInfo& queue, protocol::MethodId cause, QueueQuestion question,
                        std::function<Outcome(const Answer&)> then) {
    session_.ask(this, cause, std::move(then),
                 [&](ReplyTo to) { shard().ask_queue(queue, std::move(question), to); });
}

void Channel::ask_queue_of(const Subscription& subscription, protocol::MethodId cause, QueueQuestion question,
                           std::function<Outcome(const Answer&)> then) {
    session_.ask(this, cause, std::move(then), [&](ReplyTo to) {
        shard().ask_queue(subscription.end.home, subscription.end.queue, std::move(question), to);
    });
}

void Channel::ask_catalog(protocol::MethodId cause, CatalogRequest request,
                          std::function<Outcome(const Answer&)> then) {
    session_.ask(this, cause, std::move(then),
                 [&](ReplyTo to) { shard().ask_catalog(std::move(request), to); });
}

void Channel::when_decided(QueueId queue, protocol::MethodId cause, std::function<Outcome()> then) {
    session_.ask(
        this, cause, [then = std::move(then)](const Answer&) { return then(); },
        [&](ReplyTo to) { shard().answer_when_decided(queue, to); });
}

}  // namespace trilby::broker
