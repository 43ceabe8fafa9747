// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <optional>

#include "broker/shard/shard.hpp"
#include "protocol/room.hpp"

// How a queue ends, so that each message is in it when it goes, or was never sent to it:
//
//     its home                       catalog                every shard
//     asked to delete it ── CloseQueue ──▶ tells all ──▶ its view closes the queue: whoever publishes to
//                                                        it waits
//     all roads are swept ◀─────────────── Closed ────── by the road that publishes take
//     if-empty is looked at
//       it stays  ──────── ReopenQueue ──▶ tells all ──▶ who waits publishes to it
//       it goes   ──────── DeleteQueue ──▶ tells all ──▶ who waits is routed without it, and a mandatory
//                                                        message that leads nowhere is returned
//
// The queue takes messages until all roads are swept, so a delete counts exactly, and what was confirmed
// before is found by if-empty. What is asked of the queue meanwhile is answered when it is decided.

namespace trilby::broker {

namespace {

/// Why the queue is not deleted, if it is not. RabbitMQ reports the first of the two.
std::optional<Refusal> refusal(const Queue& queue, const ask::Delete& asked) {
    if (asked.if_empty && queue.ready() != 0) return Refusal::not_empty;
    if (asked.if_unused && queue.consumers() != 0) return Refusal::in_use;
    return std::nullopt;
}

}  // namespace

void Shard::end_queue(QueueId id, ReplyTo reply_to) {
    const Queue* const queue = near_queue(id);
    if (queue == nullptr || (queue->stopped() && !closings_.contains(id))) {
        ask_catalog(request::DeleteQueue{id}, reply_to);  // answered behind the one that is on its way
    } else {
        QueueQuestion question = ask::Delete{};
        answer_question(id, question, reply_to);
    }
}

void Shard::begin_end(Queue& queue, ask::Delete asked, ReplyTo reply_to) {
    if (const auto refused = refusal(queue, asked)) return reply(reply_to, answer::Refused{*refused});
    closings_.emplace(
        queue.id(),
        Closing{
            .what = Closing::What::end, .asked = asked, .reply_to = reply_to, .open_views = shards_.size()});
    Undo not_begun([&] { closings_.erase(queue.id()); });
    ask_catalog(request::CloseQueue{queue.id()}, {});
    not_begun.keep();
}

void Shard::open_one(letter::Closed& letter) {
    const auto closing = closings_.find(letter.queue);
    if (closing == closings_.end()) return;
    if (closing->second.open_views == 1) closings_due_.push_back(letter.queue);
    --closing->second.open_views;
}

/// As far as this turn goes, or until memory is lacking: whoever asks waits for it.
bool Shard::go_on_with_closings() {
    if (closings_due_.empty()) return false;
    turn_.begin_share(1);
    for (std::size_t left = closings_due_.size(); left != 0 && !turn_.is_over(); --left) {
        turn_.spend(Turn::letter);
        const QueueId id = closings_due_.front();
        go_on_with_closing(id);
        const auto closing = closings_.find(id);
        if (closing != closings_.end() && closing->second.open_views == 0) {  // not all is done
            closings_due_.splice(closings_due_.end(), closings_due_, closings_due_.begin());
        } else {
            closings_due_.pop_front();
        }
    }
    return true;
}

void Shard::go_on_with_closing(QueueId id) {
    const auto found = closings_.find(id);
    if (found == closings_.end()) return;
    Closing& closing = found->second;
    for (; closing.untold != 0; closing.untold &= closing.untold - 1)
        send_letter(static_cast<ShardIndex>(std::countr_zero(closing.untold)),
                    letter::QueueMoved{id, index_});
    if (closing.open_views != 0) return;
    switch (closing.what) {
        case Closing::What::end: decide_end(id); break;
        case Closing::What::leave: hand_over(id); break;
        case Closing::What::arrive: open_again(id); break;
    }
}

void Shard::decide_end(QueueId id) {
    Closing& end = closings_.at(id);
    Queue& queue = *near_queue(id);
    if (!std::exchange(end.decided, true)) end.refused = refusal(queue, end.asked);
    if (!end.refused && !end.catalog_told) {
        queue.stop();
        // They are told before the delete is answered, for then their tags may be used anew.
        if (!queue.lose_consumers()) return;
        // The catalog answers, once all views have dropped it.
        ask_catalog(request::DeleteQueue{id, queue.ready()}, end.reply_to);
        end.reply_to = {};
    } else if (!end.catalog_told) {
        ask_catalog(request::ReopenQueue{id}, {});
    }
    end.catalog_told = true;
    if (end.refused) reply(end.reply_to, answer::Refused{*end.refused});
    end.reply_to = {};
    answer_what_waited(id);
}

void Shard::answer_what_waited(QueueId id) {
    std::list<letter::ToQueue>& waiting = closings_.at(id).waiting;
    for (; !waiting.empty(); waiting.pop_front()) send_letter(index_, letter::ToQueue(waiting.front()));
    closings_.erase(id);
}

bool Shard::answer_decided() {
    if (!some_decided_) return false;
    for (Undecided& one : undecided_) {
        const QueueInfo* const queue = view_.queue(one.queue);
        if (queue != nullptr && queue->closed) continue;
        reply(one.reply_to, answer::Done{});
        one.reply_to = {};
    }
    std::erase_if(undecided_, [](const Undecided& one) { return one.reply_to.asker == AskerId{}; });
    some_decided_ = false;
    return true;
}

}  // namespace trilby::broker
