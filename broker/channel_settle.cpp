// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/channel.hpp"
#include "broker/session.hpp"

// basic.ack, nack, reject and recover; tx.*

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

/// Gathers neighbouring entries of one origin, so that a queue is told once for a run of them.
class Channel::Runs {
  public:
    Runs(Channel& channel, Settlement settlement) : channel_(channel), settlement_(settlement) {}
    ~Runs() { flush(); }
    Runs(const Runs&) = delete;
    Runs& operator=(const Runs&) = delete;

    void add(const Unacknowledged& one) {
        // At once: what was added before it may make room for others when it is flushed, and they are
        // counted.
        if (channel_.got_ != 0 && channel_.origins_[one.origin]->id == ConsumerId{}) --channel_.got_;
        if (one.origin == origin_ && one.entry == first_ + count_) {
            ++count_;
            return;
        }
        flush();
        origin_ = one.origin;
        first_ = one.entry;
        count_ = 1;
    }

    void flush() {
        if (count_ == 0) return;
        Origin& origin = *channel_.origins_[origin_];
        const std::uint32_t count = std::exchange(count_, 0);
        origin.unacknowledged -= count;
        channel_.shard().settle(origin, first_, count, settlement_);
        channel_.drop_if_unused(origin);
    }

  private:
    Channel& channel_;
    const Settlement settlement_;
    std::uint32_t origin_ = 0;
    EntryNumber first_ = 0;
    std::uint32_t count_ = 0;
};

Channel::Outcome Channel::settle_tags(DeliveryTag tag, bool multiple, Settlement settlement) {
    const Unacknowledged* named = unacknowledged_.find(tag);
    if (!(tag == 0 && multiple) && (named == nullptr || named->in_transaction != 0))
        return fail(ChannelReply::precondition_failed, fmt::format("unknown delivery tag {}", tag));
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
    {
        Runs runs(*this, settlement);
        for (DeliveryTag one = unacknowledged_.next(first); one <= last; one = unacknowledged_.next(one + 1))
            runs.add(unacknowledged_.take(one));
    }
    distribute_grants();
    return {};
}

void Channel::requeue_all() {
    const DeliveryTag end = unacknowledged_.end();
    Runs runs(*this, Settlement::requeue);
    for (DeliveryTag one = unacknowledged_.first(); one < end; one = unacknowledged_.next(one + 1)) {
        const Unacknowledged* entry = unacknowledged_.find(one);
        // What an open transaction settles is not the channel's to give back.
        if (entry == nullptr || (transaction_ != nullptr && entry->in_transaction != 0)) continue;
        runs.add(unacknowledged_.take(one));
    }
}

Channel::Outcome Channel::basic_recover(bool requeue, bool reply) {
    if (!requeue) return fail(ConnectionReply::not_implemented, "requeue=false");
    requeue_all();
    distribute_grants();
    if (reply) session_.send(number_, protocol::basic::RecoverOk{});
    return {};
}

Channel::Outcome Channel::tx_select() {
    if (mode_ == Mode::confirm)
        return fail(ChannelReply::precondition_failed, "cannot switch from confirm to tx mode");
    mode_ = Mode::transaction;
    if (transaction_ == nullptr) transaction_ = std::make_unique<Transaction>();
    session_.send(number_, protocol::tx::SelectOk{});
    return {};
}

Channel::Outcome Channel::tx_commit() {
    if (mode_ != Mode::transaction)
        return fail(ChannelReply::precondition_failed, "channel is not transactional");
    const std::shared_ptr<Transaction> transaction =
        std::exchange(transaction_, std::make_unique<Transaction>());
    const auto position = store(*transaction);
    if (!position) {
        carry_out(*transaction);
        return {};
    }
    // Nobody sees any of it before it is safe.
    const ReplyTo safe =
        session_.ask(this, protocol::tx::Commit::id, [this, transaction](const Answer& answer) -> Outcome {
            // Else the broker stops, and the disk has no room for it or has failed.
            answer.status == Answer::Status::done ? carry_out(*transaction) : drop_publishes(*transaction);
            return {};
        });
    shard().answer_when_safe(*position, safe);
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
        const QueueId id = origins_[one.origin]->queue;
        if (const QueueInfo* queue = shard().view().queue(id); queue != nullptr && queue->durable)
            unit.settle(stored_id(id), one.stored);
    }
    if (unit.empty()) return std::nullopt;
    return journal->commit(std::move(unit));
}

void Channel::carry_out(Transaction& transaction) {
    for (const Transaction::Publish& publish : transaction.publishes) {
        if (publish.queues.empty() && publish.mandatory) return_unroutable(publish.message->publication());
        Arrival arrival(publish.message, shard().messages());
        bool room = true;
        for (const QueueId id : publish.queues)
            if (const QueueInfo* queue = shard().view().queue(id)) {
                room = shard().enqueue(*queue, arrival) && room;
            } else if (arrival.stored() != 0) {  // deleted while the disk was waited for
                shard().journal()->settle(stored_id(id), arrival.stored());
            }
        if (!room) session_.wait_for_room();
    }
    drop_publishes(transaction);
    for (const auto& [tag, settlement] : transaction.settlements) {
        Runs run(*this, settlement);
        run.add(unacknowledged_.take(tag));
    }
    distribute_grants();
    session_.send(number_, protocol::tx::CommitOk{});
}

Channel::Outcome Channel::tx_rollback() {
    if (mode_ != Mode::transaction)
        return fail(ChannelReply::precondition_failed, "channel is not transactional");
    const auto transaction = std::exchange(transaction_, std::make_unique<Transaction>());
    drop_publishes(*transaction);
    for (const auto& [tag, settlement] : transaction->settlements)
        unacknowledged_.find(tag)->in_transaction = 0;
    session_.send(number_, protocol::tx::RollbackOk{});
    return {};
}

}  // namespace trilby::broker
