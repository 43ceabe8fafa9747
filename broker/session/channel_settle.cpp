// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

// basic.ack, nack, reject and recover; tx.*

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

/// Gathers neighbouring entries of one subscription, so that a queue is told once for a run of them. The last
/// run is told by `flush`.
class Channel::Runs {
  public:
    Runs(Channel& channel, Settlement settlement) : channel_(channel), settlement_(settlement) {}
    Runs(const Runs&) = delete;
    Runs& operator=(const Runs&) = delete;

    /// The delivery of that tag; there must be one, and the tags come in order.
    void add(DeliveryTag tag) {
        const Unacknowledged one = *channel_.unacknowledged_.find(tag);  // flush may move them
        if (count_ == 0 || one.subscription != subscription_ || one.entry != first_ + count_) {
            flush();
            subscription_ = one.subscription;
            first_ = one.entry;
            first_tag_ = tag;
        }
        last_tag_ = tag;
        ++count_;
    }

    /// First the queue is told, or this throws with nothing changed; then they are the channel's no more.
    void flush() {
        if (count_ == 0) return;
        Subscription& subscription = *channel_.subscriptions_[subscription_];
        const std::uint32_t count = std::exchange(count_, 0);
        channel_.shard().settle(subscription.end, first_, count, settlement_);
        channel_.unacknowledged_.take_each(first_tag_, last_tag_ + 1, [](const Unacknowledged&) {});
        if (subscription.is_of_gets()) channel_.limit_.settle_got(count);
        subscription.unacknowledged -= count;
        channel_.drop_if_unused(subscription);
    }

  private:
    Channel& channel_;
    const Settlement settlement_;
    std::uint32_t subscription_ = 0;
    EntryNumber first_ = 0;
    DeliveryTag first_tag_ = 0, last_tag_ = 0;
    std::uint32_t count_ = 0;
};

Channel::Outcome Channel::settle_tags(DeliveryTag tag, bool multiple, Settlement settlement) {
    const Unacknowledged* named = unacknowledged_.find(tag);
    if (!(tag == 0 && multiple) && (named == nullptr || named->in_transaction != 0))
        return refuse(ChannelReply::precondition_failed, fmt::format("unknown delivery tag {}", tag));
    const DeliveryTag last = tag == 0 ? unacknowledged_.end() - 1 : tag;
    const DeliveryTag first = multiple ? unacknowledged_.first() : last;
    if (mode_ == Mode::transaction) {
        for (DeliveryTag one = unacknowledged_.next(first); one <= last;
             one = unacknowledged_.next(one + 1)) {
            Unacknowledged& entry = *unacknowledged_.find(one);
            if (entry.in_transaction != 0) continue;
            entry.in_transaction = 1;
            transaction_->settlements.push_back({one, settlement});
        }
        return {};
    }
    if (multiple) {
        settle(first, last, settlement);
    } else {
        Runs run(*this, settlement);
        run.add(tag);
        run.flush();
        hand_out_limit();
    }
    return {};
}

bool Channel::settle_some(DeliveryTag& first, DeliveryTag last, Settlement settlement) {
    Turn& turn = shard().turn();
    Runs runs(*this, settlement);
    first = unacknowledged_.next(first);
    while (first <= last) {
        if (transaction_ != nullptr && unacknowledged_.find(first)->in_transaction != 0) {
            runs.flush();
        } else {
            runs.add(first);
        }
        first = unacknowledged_.next(first + 1);
        turn.spend(Turn::settled);
        if (turn.is_over()) break;
    }
    runs.flush();
    return first > last;
}

void Channel::settle(DeliveryTag first, DeliveryTag last, Settlement settlement) {
    if (!settle_some(first, last, settlement))
        session_.go_on_later([this, first, last, settlement] { settle(first, last, settlement); });
    hand_out_limit();
}

Channel::Outcome Channel::basic_recover(bool requeue, bool reply) {
    if (!requeue) return refuse(ConnectionReply::not_implemented, "requeue=false");
    // Before what is delivered again.
    if (reply) session_.send(number_, protocol::basic::RecoverOk{});
    if (!unacknowledged_.empty())
        settle(unacknowledged_.first(), unacknowledged_.end() - 1, Settlement::requeue);
    return {};
}

Channel::Outcome Channel::tx_select() {
    if (mode_ == Mode::confirm)
        return refuse(ChannelReply::precondition_failed, "cannot switch from confirm to tx mode");
    mode_ = Mode::transaction;
    if (transaction_ == nullptr) transaction_ = std::make_unique<Transaction>();
    session_.send(number_, protocol::tx::SelectOk{});
    return {};
}

Channel::Outcome Channel::tx_commit() {
    if (mode_ != Mode::transaction)
        return refuse(ChannelReply::precondition_failed, "channel is not transactional");
    const std::shared_ptr<Transaction> transaction =
        std::exchange(transaction_, std::make_unique<Transaction>());
    const auto position = store(*transaction);
    if (!position) {
        carry_out(transaction);
        return {};
    }
    // Nobody sees any of it before it is safe.
    const auto answered = [this, transaction](const Answer& answer) -> Outcome {
        // Else the broker stops, and the disk has no room for it or has failed.
        if (!is_refused(answer)) carry_out(transaction);
        return {};
    };
    session_.ask(this, protocol::tx::Commit::id, answered,
                 [&](ReplyTo safe) { shard().tell_when_settles_are_safe(*position, safe); });
    return {};
}

std::optional<std::uint64_t> Channel::store(Transaction& transaction) {
    journal::End* journal = shard().journal();
    if (journal == nullptr) return std::nullopt;
    journal::End::Unit unit(*journal);
    std::vector<journal::StoredQueue> durable;
    for (const Transaction::Publish& publish : transaction.publishes) {
        if (!publish.persistent) continue;
        durable.clear();
        for (const QueueId id : publish.queues)
            if (const QueueInfo* queue = shard().view().queue(id); queue != nullptr && queue->durable)
                durable.push_back(stored_id(id));
        if (!durable.empty()) publish.message->stored = unit.publish(durable, publish.message->publication());
    }
    for (const auto& [tag, settlement] : transaction.settlements) {
        const Unacknowledged& one = *unacknowledged_.find(tag);
        if (settlement == Settlement::requeue || one.stored == 0) continue;
        const QueueId id = subscriptions_[one.subscription]->end.queue;
        if (const QueueInfo* queue = shard().view().queue(id); queue != nullptr && queue->durable)
            unit.settle(stored_id(id), one.stored);
    }
    if (unit.empty()) return std::nullopt;
    return journal->commit(std::move(unit));
}

QueueId Channel::undecided_queue(const Transaction& transaction) {
    const View& view = shard().view();
    if (view.closed_queues() == 0) return QueueId{};
    for (const Transaction::Publish& publish :
         std::span(transaction.publishes).subspan(transaction.done_publishes))
        for (const QueueId id : publish.queues)
            if (const QueueInfo* queue = view.queue(id); queue != nullptr && queue->closed) return id;
    return QueueId{};
}

void Channel::carry_out(const std::shared_ptr<Transaction>& transaction) {
    for (std::size_t i = 0; i < transaction->publishes.size(); ++i) {
        Transaction::Publish& publish = transaction->publishes[i];
        if (publish.replies.empty()) continue;
        publish.replied = true;
        if (publish.mandatory && publish.queues.empty()) {
            send_mandatory_replies(
                keep(publish.message->publication()), publish.replies,
                [transaction, i](bool delivered) { transaction->publishes[i].replied = delivered; });
        } else {
            send_replies(publish.message->publication(), publish.replies);
        }
    }
    session_.when_answered([this, transaction] { fill_queues(transaction); });
}

void Channel::fill_queues(const std::shared_ptr<Transaction>& transaction) {
    if (const QueueId undecided = undecided_queue(*transaction); undecided != QueueId{})
        return when_decided(undecided, protocol::tx::Commit::id, [this, transaction] {
            fill_queues(transaction);
            return Outcome{};
        });
    if (!std::exchange(transaction->returned, true)) return_what_leads_nowhere(*transaction);
    if (!publish_some(*transaction) || !settle_some(*transaction))
        return session_.go_on_later([this, transaction] { fill_queues(transaction); });
    if (!takes_deliveries()) return;
    hand_out_limit();
    session_.send(number_, protocol::tx::CommitOk{});
}

void Channel::return_what_leads_nowhere(Transaction& transaction) {
    const View& view = shard().view();
    for (const Transaction::Publish& publish : transaction.publishes)
        if (publish.mandatory && !publish.replied &&
            std::ranges::none_of(publish.queues, [&](QueueId id) { return view.queue(id) != nullptr; }))
            return_unroutable(publish.message->publication());
}

bool Channel::publish_some(Transaction& transaction) {
    bool room = true;
    std::size_t& next = transaction.done_publishes;
    while (next != transaction.publishes.size()) {
        const Transaction::Publish& publish = transaction.publishes[next];
        Arrival arrival(publish.message.get(), shard().messages());
        for (const QueueId id : publish.queues)
            if (const QueueInfo* queue = shard().view().queue(id)) {
                room = shard().enqueue(*queue, arrival) && room;
            } else if (arrival.stored() != 0) {  // deleted while the disk was waited for
                shard().journal()->settle(stored_id(id), arrival.stored());
            }
        transaction.drop_publish();
        shard().turn().spend(Turn::gone_message);
        if (shard().turn().is_over()) break;
    }
    if (!room) session_.wait_for_room();
    return next == transaction.publishes.size();
}

bool Channel::settle_some(Transaction& transaction) {
    if (!takes_deliveries()) return true;  // what it settles was given up
    std::size_t& next = transaction.done_settlements;
    while (next != transaction.settlements.size()) {
        const auto& [tag, settlement] = transaction.settlements[next];
        Runs run(*this, settlement);
        run.add(tag);
        run.flush();
        ++next;
        shard().turn().spend(Turn::settled);
        if (shard().turn().is_over()) break;
    }
    return next == transaction.settlements.size();
}

Channel::Outcome Channel::tx_rollback() {
    if (mode_ != Mode::transaction)
        return refuse(ChannelReply::precondition_failed, "channel is not transactional");
    const auto transaction = std::exchange(transaction_, std::make_unique<Transaction>());
    for (const auto& [tag, settlement] : transaction->settlements)
        unacknowledged_.find(tag)->in_transaction = 0;
    session_.send(number_, protocol::tx::RollbackOk{});
    return {};
}

}  // namespace trilby::broker
