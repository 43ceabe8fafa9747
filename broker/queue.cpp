// SPDX-License-Identifier: Apache-2.0
#include "broker/queue.hpp"

#include "broker/shard.hpp"

namespace trilby::broker {

Queue::~Queue() {
    backlog_.clear([&](Kept kept) { shard_.bodies().drop(kept); });
}

void Queue::publish(Arrival& arrival) {
    if (stopped_) return forget(arrival.stored());
    Consumer* consumer = backlog_.ready() == 0 ? consumers_.next() : nullptr;
    if (consumer == nullptr) {
        backlog_.add(shard_.bodies().keep(arrival, durable_, backlog_.ready() == 0));
        if (granted_consumers_ != 0) ask_for_grants();
        return;
    }
    const EntryNumber entry =
        consumer->no_ack ? 0 : backlog_.add_handed_out(shard_.bodies().keep_handed_out(arrival, durable_));
    hand_over(*consumer, arrival, entry, false);
}

void Queue::forget(std::uint64_t stored) {
    if (stored != 0 && durable_) shard_.journal()->settle(stored_id(id_), stored);
}

void Queue::note_delivery(std::uint64_t stored) {
    if (stored != 0 && durable_) shard_.journal()->mark(stored_id(id_), stored);
}

void Queue::hand_over(Consumer& consumer, Arrival& arrival, EntryNumber entry, bool redelivered) {
    --consumer.credit;
    --consumer.grants;
    consumer.window -= static_cast<std::int64_t>(arrival.weight());
    consumer.no_ack ? forget(arrival.stored()) : note_delivery(arrival.stored());
    shard_.deliver(consumer, id_, arrival, entry, redelivered);
    consumers_.turn(consumer);
}

bool Queue::hand_over_first(Consumer& consumer) {
    const Backlog::Entry first = backlog_.first();
    const auto found = [&](Arrival&& arrival) {
        consumer.no_ack ? backlog_.remove(first) : backlog_.hand_out(first);
        hand_over(consumer, arrival, first.number, first.redelivered);
        if (consumer.no_ack) shard_.bodies().drop(first.kept);
    };
    if (first.kept.in_memory()) {
        found(Arrival(first.kept.message(), shard_.messages()));
    } else if (const auto read = shard_.bodies().read(first.kept)) {
        found(Arrival(*read, shard_.messages(), first.kept.stored_id()));
    } else if (read.error() == Bodies::Missing::not_yet) {
        if (!std::exchange(waits_for_disk_, true)) shard_.wait_for_disk(id_);
        return false;
    } else {
        lose(first);
    }
    return true;
}

void Queue::lose(const Backlog::Entry& first) {
    // The journal is not told: a better disk may have it yet when the broker starts again.
    backlog_.remove(first);
    shard_.bodies().drop(first.kept);
}

void Queue::pump() {
    while (backlog_.ready() != 0 && !waits_for_disk_) {
        Consumer* consumer = consumers_.next();
        if (consumer == nullptr) {
            if (granted_consumers_ != 0) ask_for_grants();
            return;
        }
        if (!hand_over_first(*consumer)) return;
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
        } else if (const Kept kept = backlog_.settle(number); kept != Kept()) {
            forget(kept.stored_id());
            shard_.bodies().drop(kept);
        }
    }
    if (Consumer* consumer = id == ConsumerId{} ? nullptr : consumers_.find(id)) {
        consumer->credit += count;
        consumers_.review(*consumer);
    }
    if (backlog_.ready() != 0) pump();
}

std::expected<Queue::Got, Queue::Nothing> Queue::get(bool no_ack) {
    while (backlog_.ready() != 0) {
        const Backlog::Entry first = backlog_.first();
        Message* message;
        if (first.kept.in_memory()) {
            message = first.kept.message();
            message->hold();
        } else if (const auto read = shard_.bodies().read(first.kept)) {
            message = Arrival(*read, shard_.messages(), first.kept.stored_id()).keep();
        } else if (read.error() == Bodies::Missing::not_yet) {
            return std::unexpected(Nothing::not_yet);
        } else {
            lose(first);
            continue;
        }
        if (no_ack) {
            backlog_.remove(first);
            forget(message->stored);
            shard_.bodies().drop(first.kept);
        } else {
            backlog_.hand_out(first);
            note_delivery(message->stored);
        }
        return Got{message, first.number, first.redelivered};
    }
    return std::unexpected(Nothing::empty);
}

std::uint32_t Queue::purge() {
    const std::uint32_t count = ready();
    while (backlog_.ready() != 0) {
        const Backlog::Entry first = backlog_.first();
        backlog_.remove(first);
        forget(first.kept.stored_id());
        shard_.bodies().drop(first.kept);
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
    backlog_.clear([&](Kept kept) {
        forget(kept.stored_id());
        shard_.bodies().drop(kept);
    });
}

}  // namespace trilby::broker
