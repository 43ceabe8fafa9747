// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/queue.hpp"

#include <new>

#include "broker/queue/receiver.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

Queue::~Queue() {
    backlog_.clear([&](Kept kept) {
        home_.bodies.drop(kept);
        return true;
    });
}

inline void Queue::make_room_to_note(std::uint64_t stored) {
    if (stored != 0 && durable_) home_.journal->make_room(1);
}

inline void Queue::forget(std::uint64_t stored) {
    if (stored != 0 && durable_) home_.journal->settle(stored_id(id_), stored);
}

inline void Queue::note_delivery(std::uint64_t stored) {
    if (stored != 0 && durable_) home_.journal->mark(stored_id(id_), stored);
}

bool Queue::settles_at_once() const {
    if (stopped_ || backlog_.ready() != 0) return false;
    const Consumer* const consumer = consumers_.next();
    return consumer != nullptr && consumer->no_ack && consumer->receiver->takes();
}

inline Consumer* Queue::next_consumer() {
    Consumer* const consumer = consumers_.next();
    if (consumer == nullptr || consumer->receiver->takes()) [[likely]]
        return consumer;
    return pass_over(consumer);
}

Consumer* Queue::pass_over(Consumer* consumer) {
    do {
        consumer->held = true;
        consumers_.review(*consumer);
        home_.turn.spend(1);
        consumer = consumers_.next();
    } while (consumer != nullptr && !consumer->receiver->takes());
    return consumer;
}

bool Queue::is_movable() {
    bool spilled = false;
    backlog_.each([&](Kept kept) { spilled = spilled || kept.is_spilled(); });
    return !spilled;
}

std::unique_ptr<Queue> Queue::empty_at(QueueHome& home) const {
    auto queue = std::make_unique<Queue>(home, id_, auto_delete_, durable_);
    queue->stay();
    return queue;
}

void Queue::move_to(Queue& next) {
    backlog_.each([&](Kept kept) { home_.bodies.hand_over(kept); });
    next.backlog_ = std::exchange(backlog_, {});
}

void Queue::arrive() {
    backlog_.each([&](Kept& kept) { kept = home_.bodies.take_over(kept, durable_); });
    home_.bodies.added_while_behind();  // nobody here has to pause for it
}

inline void Queue::hand_over(Consumer& consumer, Arrival& arrival, EntryNumber entry, bool redelivered) {
    // First what may throw: nothing has changed then.
    home_.turn.spend(1 + arrival.weight() / 1024);
    consumer.receiver->deliver(
        {.queue = id_, .consumer = consumer.id, .entry = entry, .redelivered = redelivered}, arrival);
    --consumer.credit;
    --consumer.grants;
    consumer.window -= static_cast<std::int64_t>(arrival.weight());
    consumer.no_ack ? forget(arrival.stored()) : note_delivery(arrival.stored());
    consumers_.turn(consumer);
}

void Queue::publish(Arrival& arrival) {
    make_room_to_note(arrival.stored());
    if (stopped_) return forget(arrival.stored());
    Consumer* consumer = backlog_.ready() == 0 ? next_consumer() : nullptr;
    if (consumer != nullptr && consumer->no_ack) return hand_over(*consumer, arrival, 0, false);
    backlog_.make_room();
    if (consumer == nullptr) {
        const std::uint64_t taken = home_.bodies.taken();
        const Kept kept = home_.bodies.keep(arrival, durable_, backlog_.ready() == 0);
        home_.turn.spend(kept.in_memory() ? Turn::kept_message
                                          : Turn::spilled_message + (home_.bodies.taken() - taken) / 512);
        backlog_.add(kept);
        if (consumers_.to_ask() != 0) pump();
        return;
    }
    const Kept kept = home_.bodies.keep_handed_out(arrival, durable_);
    const EntryNumber entry = backlog_.add_handed_out(kept);
    try {
        hand_over(*consumer, arrival, entry, false);
    } catch (const std::bad_alloc&) {
        backlog_.take_back({entry, kept, false});
        wait_for_memory();
    }
}

bool Queue::hand_over_first(Consumer& consumer) {
    const Backlog::Entry first = backlog_.first();
    const auto found = [&](Arrival&& arrival) {
        make_room_to_note(arrival.stored());
        hand_over(consumer, arrival, first.number, first.redelivered);
        consumer.no_ack ? backlog_.remove(first) : backlog_.hand_out(first);
        if (consumer.no_ack) home_.bodies.drop(first.kept);
    };
    if (first.kept.in_memory()) {
        found(Arrival(first.kept.message(), home_.messages));
    } else if (const auto read = home_.bodies.read(first.kept)) {
        found(Arrival(*read, home_.messages, first.kept.stored_id()));
    } else if (read.error() == Bodies::Missing::not_yet) {
        if (!waits_for_disk_) home_.events.wait_for_disk(id_);
        waits_for_disk_ = true;
        return false;
    } else {
        lose(first);
    }
    return true;
}

void Queue::lose(const Backlog::Entry& first) {
    // The journal is not told: a better disk may have it yet when the broker starts again.
    backlog_.remove(first);
    home_.bodies.drop(first.kept);
}

void Queue::pump() {
    try {
        hand_over_all();
    } catch (const std::bad_alloc&) {
        wait_for_memory();
    }
}

void Queue::wait_for_memory() {
    lacks_memory_ = true;
    home_.events.wait_for_memory();
}

void Queue::hand_over_all() {
    while (backlog_.ready() != 0 && !waits_for_disk_ && !stopped_) {
        Consumer* consumer = next_consumer();
        if (consumer == nullptr) return ask_for_grants();
        if (!hand_over_first(*consumer)) return;
    }
}

void Queue::ask_for_grants() {
    // A near channel answers at once, and may be asked again at once, but not for ever.
    for (std::size_t left = consumers_.to_ask(); left != 0 && backlog_.ready() != 0 && !waits_for_disk_;
         --left) {
        Consumer* const consumer = consumers_.next_to_ask();
        if (consumer == nullptr) return;
        consumer->asked = true;
        consumers_.review(*consumer);
        Undo not_asked([&] {
            consumer->asked = false;
            consumers_.review(*consumer);
        });
        consumer->receiver->wants_grant(consumer->id);
        not_asked.keep();
    }
}

Queue::Subscribe Queue::subscribe(const Consumer& consumer, bool exclusive) {
    if (exclusively_consumed_ || (exclusive && consumers_.size() != 0)) return Subscribe::in_exclusive_use;
    stay();
    Consumer& added = consumers_.add(consumer);
    exclusively_consumed_ = exclusive;
    added.receiver->joined(*this, added);
    return Subscribe::subscribed;
}

bool Queue::cancel(ConsumerId id) {
    Consumer* consumer = consumers_.find(id);
    if (consumer == nullptr) return false;
    // First what may throw.
    if (consumers_.size() == 1 && auto_delete_ && !stopped_) home_.events.end_unused(id_);
    consumer->receiver->left(id);
    consumers_.remove(*consumer);
    exclusively_consumed_ = false;
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
    if (messages > 0) consumer->receiver->grant_returned(id, messages);
}

void Queue::settle(ConsumerId id, EntryNumber first, std::uint32_t count, Settlement settlement) {
    if (stopped_) return;
    if (settlement == Settlement::requeue) backlog_.make_room_to_give_back(count);
    if (count != 1) home_.turn.spend(count);
    if (settlement == Settlement::requeue) {
        for (EntryNumber number = first; number != first + count; ++number) backlog_.give_back(number);
    } else {
        backlog_.settle_each(first, first + count, [&](Kept kept) {
            forget(kept.stored_id());
            home_.bodies.drop(kept);
        });
    }
    if (Consumer* consumer = id == ConsumerId{} ? nullptr : consumers_.find(id)) {
        consumer->credit += count;
        consumers_.review(*consumer);
    }
    if (backlog_.ready() != 0) pump();
}

std::expected<Queue::Got, Queue::Nothing> Queue::get() {
    while (backlog_.ready() != 0) {
        const Backlog::Entry first = backlog_.first();
        make_room_to_note(first.kept.stored_id());
        Message* message;
        if (first.kept.in_memory()) {
            message = first.kept.message();
            message->hold();
        } else if (const auto read = home_.bodies.read(first.kept)) {
            message = Arrival(*read, home_.messages, first.kept.stored_id()).keep();
        } else if (read.error() == Bodies::Missing::not_yet) {
            return std::unexpected(Nothing::not_yet);
        } else {
            lose(first);
            continue;
        }
        backlog_.hand_out(first);
        return Got{Held(message, home_.messages), first.number, first.redelivered};
    }
    return std::unexpected(Nothing::empty);
}

void Queue::take_back(EntryNumber entry, bool redelivered) {
    backlog_.take_back({entry, Kept(), redelivered});
}

void Queue::told(EntryNumber entry, std::uint64_t stored, bool no_ack) {
    if (!no_ack) return note_delivery(stored);
    forget(stored);
    home_.bodies.drop(backlog_.settle(entry));
}

bool Queue::purge(EntryNumber end, std::uint64_t& count) {
    do {
        if (backlog_.ready() == 0) return true;
        const Backlog::Entry first = backlog_.first();
        if (first.number >= end) return true;
        make_room_to_note(first.kept.stored_id());
        backlog_.remove(first);
        forget(first.kept.stored_id());
        home_.bodies.drop(first.kept);
        ++count;
        home_.turn.spend(Turn::gone_message);
    } while (!home_.turn.is_over());
    return false;
}

bool Queue::lose_consumers() {
    while (consumers_.size() != 0) {
        Consumer& any = consumers_.any();
        home_.events.tell_queue_gone(any.id);
        any.receiver->left(any.id);
        consumers_.remove(any);
        home_.turn.spend(Turn::consumer);
        if (home_.turn.is_over()) break;
    }
    return consumers_.size() == 0;
}

bool Queue::clear() {
    return lose_consumers() && backlog_.clear([&](Kept kept) {
        forget(kept.stored_id());
        home_.bodies.drop(kept);
        home_.turn.spend(Turn::gone_message);
        return !home_.turn.is_over();
    });
}

}  // namespace trilby::broker
