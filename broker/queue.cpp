// SPDX-License-Identifier: Apache-2.0
#include "broker/queue.hpp"

#include "broker/shard.hpp"

namespace trilby::broker {

Queue::~Queue() {
    backlog_.clear([&](Message* message) { shard_.messages().release(message); });
}

void Queue::publish(Arrival& arrival) {
    if (stopped_) return forget(arrival.stored());
    Consumer* consumer = backlog_.ready() == 0 ? consumers_.next() : nullptr;
    if (consumer == nullptr) {
        backlog_.add(arrival.keep());
        if (granted_consumers_ != 0) ask_for_grants();
        return;
    }
    --consumer->credit;
    --consumer->grants;
    if (consumer->near != nullptr && consumer->no_ack) {
        forget(arrival.stored());
        shard_.deliver_near(*consumer->near, arrival);
        consumers_.turn(*consumer);
        return;
    }
    Message* message = arrival.keep();
    consumer->window -= static_cast<std::int64_t>(message->weight());
    const EntryNumber entry = consumer->no_ack ? 0 : backlog_.add_handed_out(message);
    consumer->no_ack ? forget(message->stored) : note_delivery(message->stored);
    shard_.deliver(*consumer, id_, message, entry, false);
    consumers_.turn(*consumer);
}

void Queue::forget(std::uint64_t stored) {
    if (stored != 0 && durable_) shard_.journal()->settle(stored_id(id_), stored);
}

void Queue::note_delivery(std::uint64_t stored) {
    if (stored != 0 && durable_) shard_.journal()->mark(stored_id(id_), stored);
}

void Queue::hand_over(Consumer& consumer, const Backlog::Entry& entry) {
    --consumer.credit;
    --consumer.grants;
    consumer.window -= static_cast<std::int64_t>(entry.message->weight());
    consumer.no_ack ? forget(entry.message->stored) : note_delivery(entry.message->stored);
    shard_.deliver(consumer, id_, entry.message, entry.number, entry.redelivered);
    consumers_.turn(consumer);
}

void Queue::pump() {
    while (backlog_.ready() != 0) {
        Consumer* consumer = consumers_.next();
        if (consumer == nullptr) {
            if (granted_consumers_ != 0) ask_for_grants();
            return;
        }
        hand_over(*consumer, consumer->no_ack ? backlog_.remove_first() : backlog_.hand_out());
    }
}

void Queue::ask_for_grants() {
    consumers_.each([&](Consumer& consumer) {
        if (!consumer.granted || consumer.asked || consumer.grants > 0 || !consumer.ready()) return;
        consumer.asked = true;
        shard_.ask_grant(consumer);
    });
}

Queue::Subscribe Queue::subscribe(const Consumer& consumer, bool exclusive) {
    if (exclusively_consumed_ || (exclusive && consumers_.size() != 0)) return Subscribe::in_exclusive_use;
    exclusively_consumed_ = exclusive;
    if (consumer.granted) ++granted_consumers_;
    Consumer& added = consumers_.add(consumer);
    if (added.near != nullptr) {
        added.near->near_queue = this;
        added.near->near_consumer = &added;
    }
    return Subscribe::subscribed;
}

bool Queue::cancel(ConsumerId id) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return false;
    if (consumer->granted) --granted_consumers_;
    if (consumer->near != nullptr) consumer->near->forget_queue();
    consumers_.remove(*consumer);
    exclusively_consumed_ = false;
    if (consumers_.size() == 0 && auto_delete_ && !stopped_) {
        stop();
        shard_.queue_finished(id_);
    }
    return true;
}

void Queue::open_window(ConsumerId id, std::int64_t octets) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;
    consumer->window += octets;
    consumers_.review(*consumer);
    pump();
}

void Queue::hold(Consumer& consumer, bool held) {
    consumer.held = held;
    consumers_.review(consumer);
    if (!held) pump();
}

void Queue::limit_by_grants(ConsumerId id, bool granted) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr || consumer->granted == granted) return;
    consumer->granted = granted;
    consumer->grants = 0;
    consumer->asked = false;
    granted ? ++granted_consumers_ : --granted_consumers_;
    consumers_.review(*consumer);
    pump();
}

void Queue::grant(ConsumerId id, std::int64_t messages) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return;  // its channel takes the share back when it hears of the cancellation
    consumer->asked = false;
    if (consumer->granted) {
        consumer->grants += messages;
        consumers_.review(*consumer);
        pump();
        messages = std::exchange(consumer->grants, 0);
        consumers_.review(*consumer);
    }
    if (messages > 0) shard_.return_grant(*consumer, messages);
}

void Queue::settle(ConsumerId id, EntryNumber first, std::uint32_t count, Settlement settlement) {
    for (EntryNumber number = first; number != first + count; ++number) {
        if (settlement == Settlement::requeue) {
            backlog_.give_back(number);
        } else if (Message* message = backlog_.settle(number)) {
            forget(message->stored);
            shard_.messages().release(message);
        }
    }
    if (Consumer* consumer = id == ConsumerId{} ? nullptr : consumers_.find(id)) {
        consumer->credit += count;
        consumers_.review(*consumer);
    }
    if (backlog_.ready() != 0) pump();
}

std::optional<Queue::Got> Queue::get(bool no_ack) {
    if (backlog_.ready() == 0) return std::nullopt;
    const Backlog::Entry entry = no_ack ? backlog_.remove_first() : backlog_.hand_out();
    no_ack ? forget(entry.message->stored) : note_delivery(entry.message->stored);
    if (!no_ack) entry.message->hold();
    return Got{entry.message, entry.number, entry.redelivered};
}

std::uint32_t Queue::purge() {
    const std::uint32_t count = ready();
    while (backlog_.ready() != 0) {
        Message* message = backlog_.remove_first().message;
        forget(message->stored);
        shard_.messages().release(message);
    }
    return count;
}

void Queue::stop() {
    stopped_ = true;
    consumers_.each([&](Consumer& consumer) { shard_.consumer_lost_queue(consumer); });
    while (consumers_.size() != 0) {
        Consumer* any = nullptr;
        consumers_.each([&](Consumer& consumer) { any = &consumer; });
        consumers_.remove(*any);
    }
    granted_consumers_ = 0;
    backlog_.clear([&](Message* message) {
        forget(message->stored);
        shard_.messages().release(message);
    });
}

}  // namespace trilby::broker
