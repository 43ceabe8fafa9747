// SPDX-License-Identifier: Apache-2.0
#include <cassert>

#include "broker/channel.hpp"
#include "broker/session.hpp"
#include "broker/shard.hpp"

// What other shards, and whoever is outside of them, say to this one.

namespace trilby::broker {

void Shard::receive(const Mail& mail) {
    switch (mail.kind) {
        case Mail::Kind::enqueue:
            if (Queue* queue = near_queue(mail.queue)) {
                Arrival arrival(mail.message(), messages_);
                queue->publish(arrival);
            } else if (mail.message()->stored != 0) {  // deleted meanwhile
                journal_->settle(stored_id(mail.queue), mail.message()->stored);
            }
            messages_.release(mail.message());
            break;
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
            if (Origin* origin = consumers_.find(mail.consumer)) origin->channel->wants_grant(*origin);
            break;
        case Mail::Kind::returned_grant:
            if (Origin* origin = consumers_.find(mail.consumer))
                origin->channel->grant_returned(*origin, mail.count);
            break;
        case Mail::Kind::letter: {
            const std::unique_ptr<Letter> owned(mail.letter());
            open(*owned);
            break;
        }
    }
}

void Shard::receive_delivery(const Mail& mail) {
    Origin* origin = consumers_.find(mail.consumer);
    if (origin != nullptr && origin->channel->takes_deliveries()) {
        Arrival arrival(mail.message(), messages_);
        origin->channel->deliver(*origin, arrival, mail.number, mail.flag);
        origin->channel->owe_window(*origin, static_cast<std::int64_t>(mail.message()->weight()));
    } else if (origin == nullptr || !origin->no_ack) {
        // It was under way when its consumer went: back to its place.
        const ShardIndex home = view_.queue(mail.queue) == nullptr ? index_ : view_.queue(mail.queue)->home;
        const Origin gone{.id = mail.consumer, .queue = mail.queue, .home = home};
        settle(gone, mail.number, 1, Settlement::requeue);
    }
    messages_.release(mail.message());
}

void Shard::open(Letter& letter) {
    std::visit([this](auto& one) { open_one(one); }, letter);
}

void Shard::open_one(letter::ToQueue& letter) {
    answer_question(letter.queue, letter.question, letter.reply_to);
}

void Shard::answer_question(QueueId id, QueueQuestion& question, ReplyTo reply_to) {
    Queue* queue = near_queue(id);
    Answer answer;
    if (queue == nullptr || queue->stopped()) {
        answer.status = Answer::Status::gone;
    } else if (std::holds_alternative<ask::Purge>(question)) {
        answer.messages = queue->purge();
    } else if (const auto* get = std::get_if<ask::Get>(&question)) {
        if (const auto got = queue->get(get->no_ack)) {
            answer = {.redelivered = got->redelivered,
                      .messages = queue->ready(),
                      .message = got->message,
                      .entry = got->entry};
        } else if (got.error() == Queue::Nothing::not_yet && !stopping_) {
            gets_waiting_for_disk_.push_back({id, question, reply_to});
            return;
        } else {
            answer.status = Answer::Status::empty;
        }
    } else if (auto* subscribe = std::get_if<ask::Subscribe>(&question)) {
        if (queue->subscribe(subscribe->consumer, subscribe->exclusive) == Queue::Subscribe::in_exclusive_use)
            answer.status = Answer::Status::in_exclusive_use;
    } else if (const auto* cancel = std::get_if<ask::Cancel>(&question)) {
        if (!queue->cancel(cancel->consumer)) answer.status = Answer::Status::gone;
    } else if (const auto* remove = std::get_if<ask::Delete>(&question)) {
        if (remove->if_empty && queue->ready() != 0) {
            answer.status = Answer::Status::not_empty;
        } else if (remove->if_unused && queue->consumers() != 0) {
            answer.status = Answer::Status::in_use;
        } else {
            finish_queue(*queue, reply_to);  // the catalog answers, once all views have dropped it
            return;
        }
    } else {
        answer.messages = queue->ready();
        answer.consumers = queue->consumers();
    }
    reply(reply_to, answer);
}

void Shard::open_one(letter::ToCatalog& letter) {
    catalog_->submit(std::move(letter.request), letter.reply_to);
}

void Shard::open_one(letter::Reply& letter) {
    if (Session* session = sessions_.find(letter.to.connection)) {
        session->on_answer(letter.to.question, letter.answer);
    } else {
        assert(letter.answer.message == nullptr);  // a session waits for its answers before it goes
    }
}

void Shard::open_one(letter::Apply& letter) {
    apply(*letter.changes);
    send_letter(0, letter::Applied{});
}

void Shard::open_one(letter::Applied&) {
    catalog_->applied();
}

void Shard::open_one(letter::QueueGone& letter) {
    if (Origin* origin = consumers_.find(letter.consumer)) origin->channel->queue_gone(*origin);
}

void Shard::open_one(letter::Adopt& letter) {
    loop_->adopt(letter.socket);
}

void Shard::open_one(letter::DirectReply& letter) {
    if (Session* session = sessions_.find(letter.connection))
        if (Channel* channel = session->find_channel(letter.channel))
            channel->deliver_direct_reply(letter.secret, *letter.message);
    messages_.release(letter.message);
}

void Shard::open_one(letter::FindDirectReply& letter) {
    Answer answer{.status = Answer::Status::gone};
    if (Session* session = sessions_.find(letter.connection))
        if (Channel* channel = session->find_channel(letter.channel);
            channel && channel->consumes_replies(letter.secret))
            answer.status = Answer::Status::done;
    reply(letter.reply_to, answer);
}

void Shard::open_one(letter::Alarm& letter) {
    alarm_ = letter;
    sessions_.each([](Session& session) { session.alarm_changed(); });
}

void Shard::open_one(letter::Stop& letter) {
    stopping_ = true;
    for (letter::ToQueue& get : std::exchange(gets_waiting_for_disk_, {}))
        answer_question(get.queue, get.question, get.reply_to);
    if (letter.journal_failed || (journal_ != nullptr && journal_->out_of_space())) {
        // Nothing more will be safe, or nobody can tell when; what was not safe was not promised.
        for (const WaitingCommit& commit : commits_) reply(commit.reply_to, {.status = Answer::Status::gone});
        commits_.clear();
    }
    sessions_.each([&](Session& session) { session.stop(letter.journal_failed); });
    loop_->stopping();
}

}  // namespace trilby::broker
