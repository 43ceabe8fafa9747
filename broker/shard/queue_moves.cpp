// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include "broker/arguments/arguments.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/quoted.hpp"
#include "protocol/room.hpp"

// How a queue moves to the shard of its first consumer, once in its life: with both on one shard a message
// is handed over by a call. It is closed meanwhile, as if it might end (queue_ends.cpp), so that
// nothing overtakes:
//
//     its home                       every shard                         its new home
//     asked to consume, from far:
//     closes it by the catalog ────▶ its view closes the queue:
//                                    whoever publishes to it waits
//     all roads are swept ◀──────── Closed
//     MoveQueue ────────────────────────────────────────────────────────▶ has it, with all messages
//                                    its view knows the new home ◀─────── QueueMoved
//                                    Closed ────────────────────────────▶ all know: opens it by the catalog,
//                                                                         and answers what was asked
//                                                                         meanwhile
//
// What is asked of the old home later, by who did not know yet, is sent on: by the road of MoveQueue. Nothing
// of the queue is out, and it has no consumer, so nothing else is said to it.
//
// Which shard tells the journal of a message makes no difference: a settle is told after its queue has come
// by a road, and so after the publish.

namespace trilby::broker {

void Shard::begin_move(Queue& queue, letter::ToQueue subscribe) {
    queue.stay();
    const ShardIndex to = shard_of(std::get<ask::Subscribe>(subscribe.question).consumer.id);
    Closing& move =
        closings_
            .emplace(queue.id(),
                     Closing{.what = Closing::What::leave, .to = to, .open_views = shards_.size()})
            .first->second;
    Undo not_begun([&] { closings_.erase(queue.id()); });
    move.waiting.push_back(std::move(subscribe));
    ask_catalog(request::CloseQueue{queue.id()}, {});
    not_begun.keep();
}

void Shard::hand_over(QueueId id) {
    Closing& move = closings_.at(id);
    Queue& queue = *near_queue(id);
    if (!queue.is_movable()) return open_again(id);
    // First what may throw: nobody sees the letter before the turn ends.
    auto letter =
        std::make_unique<Letter>(letter::MoveQueue{queue.empty_at(shards_[move.to]->queue_home_), {}});
    auto& moved = std::get<letter::MoveQueue>(*letter);
    roads_.send(move.to, {.kind = Mail::Kind::letter, .block = letter.get()});
    letter.release();
    queue.move_to(*moved.queue);
    moved.waiting = std::move(move.waiting);
    queues_[slot_of(id)].reset();
    QueueInfo& info = *view_.mutable_queue(id);
    info.home = move.to;
    info.near = nullptr;
    closings_.erase(id);
}

void Shard::open_one(letter::MoveQueue& letter) {
    const QueueId id = letter.queue->id();
    // First what may throw.
    QueueInfo& info = *view_.mutable_queue(id);
    spdlog::debug("{} lives on shard {} now, where its first consumer is",
                  protocol::printable(queue_in_vhost(info.name, view_.vhost(info.vhost).name)), index_);
    Closing& closing =
        closings_.emplace(id, Closing{.what = Closing::What::arrive, .open_views = shards_.size() - 1})
            .first->second;
    Undo not_there([&] { closings_.erase(id); });
    closings_due_.push_back(id);
    closing.waiting = std::move(letter.waiting);
    for (const Shard* shard : shards_)
        if (shard != this) closing.untold |= std::uint64_t{1} << shard->index_;
    not_there.keep();
    Queue& queue = *(queues_[slot_of(id)] = std::move(letter.queue));
    queue.arrive();
    info.home = index_;
    info.near = &queue;
}

void Shard::open_one(letter::QueueMoved& letter) {
    if (QueueInfo* const info = view_.mutable_queue(letter.queue)) info->home = letter.home;
    send_letter(letter.home, letter::Closed{letter.queue});
}

void Shard::open_again(QueueId id) {
    Closing& closing = closings_.at(id);
    if (!closing.catalog_told) ask_catalog(request::ReopenQueue{id}, {});
    closing.catalog_told = true;
    answer_what_waited(id);
}

}  // namespace trilby::broker
