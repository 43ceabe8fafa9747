// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include <spdlog/spdlog.h>

#include "broker/shard/shard.hpp"
#include "protocol/room.hpp"

// What other shards, and whoever is outside of them, say to this one.

namespace trilby::broker {

namespace {
constexpr std::size_t much_unfinished = std::size_t{1} << 20;

Answer done_or_gone(bool done) {
    return done ? Answer(answer::Done{}) : Answer(answer::Refused{Refusal::gone});
}
}  // namespace

void Shard::receive(const Mail& mail) {
    try {
        mail.kind == Mail::Kind::enqueue ? receive_enqueue(mail) : receive_other(mail);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& error) {
        if (mail.kind == Mail::Kind::enqueue) messages_.release(mail.message());
        could_not_receive(mail, error.what());
    }
}

void Shard::receive_enqueue(const Mail& mail) {
    if (Queue* queue = near_queue(mail.queue)) {
        Arrival arrival(mail.message(), messages_);
        queue->publish(arrival);
        bodies_
            .added_while_behind();  // its publisher sees that it is behind; nobody here has to pause for it
    } else if (mail.message()->stored != 0) {  // deleted meanwhile
        journal()->settle(stored_id(mail.queue), mail.message()->stored);
    }
    messages_.release(mail.message());
}

void Shard::could_not_receive(const Mail& mail, const char* what) noexcept {
    if (Subscriber* subscriber = consumers_.find(mail.consumer)) return subscriber->resident().fail(what);
    // A queue could not go on; it does so when it hears of its consumers or publishers again.
    spdlog::error("shard {}: {}", index_, what);
}

void Shard::receive_other(const Mail& mail) {
    switch (mail.kind) {
        case Mail::Kind::enqueue: break;
        case Mail::Kind::settle:
            if (Queue* queue = near_queue(mail.queue))
                queue->settle(mail.consumer, mail.number, mail.count, mail.settlement);
            break;
        case Mail::Kind::window:
            if (Queue* queue = near_queue(mail.queue))
                queue->open_window(mail.consumer, static_cast<std::int64_t>(mail.number));
            break;
        case Mail::Kind::grant:
            if (Queue* queue = near_queue(mail.queue)) queue->grant(mail.consumer, mail.count);
            break;
        case Mail::Kind::limit:
            if (Queue* queue = near_queue(mail.queue)) queue->limit_by_grants(mail.consumer, mail.flag);
            break;
        case Mail::Kind::deliver: receive_delivery(mail); break;
        case Mail::Kind::wants_grant:
            if (Subscriber* subscriber = consumers_.find(mail.consumer))
                subscriber->wants_grant(mail.consumer);
            break;
        case Mail::Kind::returned_grant:
            if (Subscriber* subscriber = consumers_.find(mail.consumer))
                subscriber->grant_returned(mail.consumer, mail.count);
            break;
        case Mail::Kind::letter: {
            open_guarded(*mail.letter());
            delete mail.letter();
            break;
        }
    }
}

void Shard::receive_delivery(const Mail& mail) {
    Subscriber* const subscriber = consumers_.find(mail.consumer);
    if (subscriber != nullptr && subscriber->takes()) {
        Arrival arrival(mail.message(), messages_);
        subscriber->deliver(
            {.queue = mail.queue, .consumer = mail.consumer, .entry = mail.number, .redelivered = mail.flag},
            arrival);
        guard(subscriber->resident(),
              [&] { subscriber->used_window(static_cast<std::int64_t>(mail.message()->weight())); });
    } else if (subscriber == nullptr || !subscriber->no_ack) {
        // It was under way when its consumer went: back to its place.
        const QueueInfo* const queue = view_.queue(mail.queue);
        settle(
            {.queue = mail.queue, .home = queue == nullptr ? index_ : queue->home, .consumer = mail.consumer},
            mail.number, 1, Settlement::requeue);
    }
    messages_.release(mail.message());
}

void Shard::open(Letter& letter) {
    std::visit([this](auto& one) { open_one(one); }, letter);
}

void Shard::open_guarded(Letter& letter) {
    try {
        open(letter);
    } catch (const std::exception& error) {
        could_not_open(letter, error);
    }
}

void Shard::could_not_open(Letter& letter, const std::exception& error) {
    spdlog::error("shard {}: {}", index_, error.what());
    const auto refuse = [&](ReplyTo to) {
        letter = letter::Unanswered{to, Refusal::failed};
        open(letter);
    };
    if (const auto* to_queue = std::get_if<letter::ToQueue>(&letter)) {
        refuse(to_queue->reply_to);
    } else if (const auto* to_catalog = std::get_if<letter::ToCatalog>(&letter);
               to_catalog != nullptr && can_be_refused(to_catalog->request)) {
        refuse(to_catalog->reply_to);
    } else if (const auto* find = std::get_if<letter::FindDirectReply>(&letter)) {
        refuse(find->reply_to);
    } else if (const auto* gone = std::get_if<letter::QueueGone>(&letter)) {
        if (Subscriber* subscriber = consumers_.find(gone->consumer))
            subscriber->resident().fail(error.what());
    } else if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
        throw std::bad_alloc();  // it cannot be refused, and goes on where it was
    }
}

void Shard::open_one(letter::ToQueue& letter) {
    answer_question(letter.queue, letter.question, letter.reply_to);
}

void Shard::answer_question(QueueId id, QueueQuestion& question, ReplyTo reply_to) {
    if (const auto closing = closings_.find(id);
        closing != closings_.end() && !std::holds_alternative<ask::Cancel>(question)) {
        closing->second.waiting.push_back({id, std::move(question), reply_to});
        return;
    }
    Queue* queue = near_queue(id);
    if (const QueueInfo* info = queue == nullptr ? view_.queue(id) : nullptr;
        info != nullptr && info->home != index_)
        return ask_queue(*info, std::move(question), reply_to);  // it moved while this was under way
    if (auto* purge = std::get_if<ask::Purge>(&question);
        purge != nullptr && (purge->begun || (queue != nullptr && !queue->stopped()))) {
        if (queue != nullptr && !queue->stopped() && !this->purge(*queue, *purge))
            return send_letter(index_, letter::ToQueue{id, *purge, reply_to});
        return reply(
            reply_to,
            answer::Purged{static_cast<std::uint32_t>(std::min<std::uint64_t>(purge->gone, UINT32_MAX))});
    }
    if (queue == nullptr || queue->stopped()) return reply(reply_to, answer::Refused{Refusal::gone});
    if (const auto* get = std::get_if<ask::Get>(&question)) {
        if (!answer_get(*queue, *get, reply_to)) gets_waiting_for_disk_.push_back({id, question, reply_to});
    } else if (auto* subscribe = std::get_if<ask::Subscribe>(&question)) {
        const bool near = shard_of(subscribe->consumer.id) == index_;
        if (!near && queue->may_move() && !stopping_)
            return begin_move(*queue, {id, std::move(question), reply_to});
        reply(reply_to, this->subscribe(*queue, *subscribe));
    } else if (const auto* cancel = std::get_if<ask::Cancel>(&question)) {
        if (queue->cancel(cancel->consumer)) return reply(reply_to, answer::Done{});
        reply(reply_to, answer::Refused{Refusal::gone});
    } else if (const auto* remove = std::get_if<ask::Delete>(&question)) {
        begin_end(*queue, *remove, reply_to);
    } else {
        reply(reply_to, answer::Counted{queue->ready(), queue->consumers()});
    }
}

bool Shard::answer_get(Queue& queue, const ask::Get& asked, ReplyTo reply_to) {
    auto got = queue.get();
    if (!got) {
        if (got.error() == Queue::Nothing::not_yet && !stopping_) return false;
        reply(reply_to, answer::Refused{Refusal::empty});
        return true;
    }
    const auto [entry, redelivered] = std::pair(got->entry, got->redelivered);
    const std::uint64_t stored = got->message->stored;
    Undo not_told([&] { queue.take_back(entry, redelivered); });
    reply(reply_to, answer::Got{.message = std::move(got->message),
                                .entry = entry,
                                .redelivered = redelivered,
                                .left = queue.ready(),
                                .home = index_});
    not_told.keep();
    queue.told(entry, stored, asked.no_ack);
    return true;
}

Answer Shard::subscribe(Queue& queue, ask::Subscribe& asked) {
    Consumer& consumer = asked.consumer;
    const ShardIndex there = shard_of(consumer.id);
    consumer.receiver =
        there == index_ ? static_cast<Receiver*>(consumers_.find(consumer.id)) : far_receivers_[there].get();
    if (consumer.receiver == nullptr) return answer::Refused{Refusal::gone};
    if (queue.subscribe(consumer, asked.exclusive) == Queue::Subscribe::in_exclusive_use)
        return answer::Refused{Refusal::in_exclusive_use};
    return answer::Subscribed{index_};
}

bool Shard::purge(Queue& queue, ask::Purge& asked) {
    if (!std::exchange(asked.begun, true)) asked.end = queue.end();
    return queue.purge(asked.end, asked.gone);
}

void Shard::open_one(letter::ToCatalog& letter) {
    catalog_->submit(std::move(letter.request), letter.reply_to);
}

void Shard::open_one(letter::Reply& letter) {
    if (auto* got = std::get_if<answer::Got>(&letter.answer)) got->message.arrive(messages_);
    if (Resident* resident = residents_.find(letter.to.asker))
        guard(*resident, [&] { resident->answered(letter.to.number, letter.answer); });
}

void Shard::open_one(letter::Unanswered& letter) {
    reply(letter.to, answer::Refused{letter.why});
}

void Shard::open_one(letter::Apply& letter) {
    if (apply(*letter.changes, letter.applied)) {
        send_letter(0, letter::Applied{});
    } else {
        own_letters_.emplace_back(std::move(letter));
    }
}

void Shard::open_one(letter::Applied&) {
    catalog_->applied();
}

void Shard::open_one(letter::QueueGone& letter) {
    if (Subscriber* subscriber = consumers_.find(letter.consumer)) subscriber->queue_gone();
}

void Shard::open_one(letter::Adopt& letter) {
    loop_->adopt(letter.socket);
}

void Shard::open_one(letter::DirectReply& letter) {
    Resident* const resident = residents_.find(letter.address.connection);
    letter.message.arrive(messages_);
    if (resident != nullptr && letter.message)
        guard(*resident, [&] { letter.delivered = resident->take_reply(letter.address, *letter.message); });
    letter.message.reset();  // before what may throw, and is done again then
    reply(letter.reply_to, done_or_gone(letter.delivered));
}

void Shard::open_one(letter::FindDirectReply& letter) {
    Resident* const resident = residents_.find(letter.address.connection);
    const bool found = resident != nullptr && resident->takes_replies(letter.address);
    reply(letter.reply_to, done_or_gone(found));
}

void Shard::open_one(letter::Alarm& letter) {
    alarm_ = letter;
    residents_.each([this](Resident& one) { guard(one, [&] { one.alarm_changed(); }); });
}

void Shard::open_one(letter::Reload& letter) {
    live_settings_ = std::move(letter.live);
}

void Shard::open_one(letter::DropUnfinished& letter) {
    std::uint64_t together = 0;
    residents_.each([&](const Resident& one) { together += one.unfinished(); });
    if (together < letter.worth) return;
    // Few that hold much, or the larger ones of many: at least half of it goes.
    const std::size_t least =
        std::min(much_unfinished, static_cast<std::size_t>(together) / (2 * residents_.size()));
    residents_.each([&](Resident& one) { guard(one, [&] { one.drop_unfinished(least); }); });
}

void Shard::open_one(letter::Stop& letter) {
    stopping_ = true;
    ask_again_from_disk();
    if (letter.journal_failed || (journal() != nullptr && journal()->out_of_space())) {
        // Nothing more will be safe, or nobody can tell when; what was not safe was not promised.
        disk_waits_.give_up_settles([this](ReplyTo asker) { reply(asker, answer::Refused{Refusal::gone}); });
    }
    residents_.each([&](Resident& one) { guard(one, [&] { one.stop(letter.journal_failed); }); });
    loop_->stopping();
}

}  // namespace trilby::broker
