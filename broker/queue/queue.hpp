// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <expected>
#include <memory>

#include "broker/ids/ids.hpp"
#include "broker/message/arrival.hpp"
#include "broker/message/held.hpp"
#include "broker/queue/backlog.hpp"
#include "broker/queue/consumers.hpp"
#include "broker/queue/home.hpp"

namespace trilby::broker {

/// What became of deliveries: acknowledged and gone, put back in their places, or refused for good.
enum class Settlement : std::uint8_t { acknowledge, requeue, reject };

/// A queue on its home shard: what waits, who consumes, who gets the next message. Only that shard's thread
/// calls it, for near and far connections alike. It hands over to a Receiver, tells QueueEvents what it
/// needs, and knows neither shards nor channels. Its home is where its first consumer is (queue_moves.cpp).
class Queue {
  public:
    Queue(QueueHome& home, QueueId id, bool auto_delete, bool durable)
        : home_(home), id_(id), auto_delete_(auto_delete), durable_(durable) {}
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    QueueId id() const { return id_; }

    /// Has nobody consumed from it yet, and is none of its messages out? Then it may move to another shard.
    bool may_move() const { return !has_place_ && backlog_.unacknowledged() == 0; }
    /// It does not move any more, or is about to for the only time.
    void stay() { has_place_ = true; }
    /// False: some of its messages are in the spill file, which is this shard's.
    bool is_movable();
    /// To `next`, which is this queue at its new home and has nothing yet. Never throws.
    void move_to(Queue& next);
    /// At its new home: what came with it counts there from now on.
    void arrive();
    /// What it is at another home, with nothing in it.
    std::unique_ptr<Queue> empty_at(QueueHome& home) const;

    /// Before anybody consumes: a message of the journal, in order.
    void restore(Kept kept, bool redelivered) { backlog_.restore(kept, redelivered); }

    /// Hands the message to a consumer at once if nothing waits before it and one can take it, else keeps it.
    /// Throws std::bad_alloc with nothing changed.
    void publish(Arrival& arrival);
    /// Would `publish` hand it to a consumer with automatic acknowledgement? Such a message is settled with
    /// that, and there is nothing to keep of it.
    bool settles_at_once() const;

    enum class Subscribe : std::uint8_t { subscribed, in_exclusive_use };
    /// `consumer` names its receiver. It gets nothing before its first `window`. AMQP 0-9-1: basic.consume.
    Subscribe subscribe(const Consumer& consumer, bool exclusive);
    /// Returns false if it was not there. An auto-delete queue ends with its last consumer.
    bool cancel(ConsumerId id);

    /// The connection wrote what it had: `octets` more may be handed over.
    void open_window(ConsumerId id, std::int64_t octets);
    /// Near consumers: the connection's output is full, or has room again.
    void hold(Consumer& consumer, bool held);
    /// The channel has, or has no longer, a limit of its own for all its consumers (qos global).
    void limit_by_grants(ConsumerId id, bool granted);
    /// The channel's share for one of its consumers (qos global): that many more messages. What cannot be
    /// used is given back to the channel at once.
    void grant(ConsumerId id, std::int64_t messages);

    /// Entries first … first + count - 1, all handed out to this consumer, or by basic.get to none. What
    /// throws std::bad_alloc can be called again: what was settled stays so.
    void settle(ConsumerId consumer, EntryNumber first, std::uint32_t count, Settlement settlement);

    struct Got {
        Held message;
        EntryNumber entry;
        bool redelivered;
    };
    enum class Nothing : std::uint8_t {
        empty,
        not_yet,  // the disk is being read; to be asked again when Bodies::moved
    };
    /// The first one, handed out; whoever asked is still to be told.
    std::expected<Got, Nothing> get();
    /// It could not be told of: it is first in line again, as if nothing had happened.
    void take_back(EntryNumber entry, bool redelivered);
    /// It was told of. `stored`: the message's id in the journal. `no_ack`: and is settled with that.
    void told(EntryNumber entry, std::uint64_t stored, bool no_ack);
    /// What the disk had not yet may be there.
    void look_again() {
        waits_for_disk_ = false;
        pump();
    }
    /// Something could not be handed over for lack of memory.
    bool lacks_memory() const { return lacks_memory_; }
    void try_again() {
        lacks_memory_ = false;
        pump();
    }

    /// What is dropped by a purge that begins now: what is ready below this.
    EntryNumber end() const { return backlog_.end(); }
    /// Drops what is ready and stands below `end`, as far as this turn goes; adds to `count` how many there
    /// were. True: all of it. AMQP 0-9-1: queue.purge.
    bool purge(EntryNumber end, std::uint64_t& count);

    /// As the wire counts: at most so many as 32 bits can say.
    std::uint32_t ready() const {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(backlog_.ready(), UINT32_MAX));
    }
    std::uint32_t consumers() const { return static_cast<std::uint32_t>(consumers_.size()); }

    /// The queue is being deleted: nothing is taken or handed over any more.
    void stop() { stopped_ = true; }
    bool stopped() const { return stopped_; }
    /// Of one that is stopped, as far as this turn goes: consumers are told, and forgotten. True: all of
    /// them.
    bool lose_consumers();
    /// … and messages are dropped. True: nothing is left. What throws goes on when it is called again, as
    /// above.
    bool clear();
    /// Of one that has ended: the next one of those, so that ending needs no memory.
    std::unique_ptr<Queue>& next_ended() { return next_ended_; }

  private:
    /// `forget` or `note_delivery` will need no memory.
    void make_room_to_note(std::uint64_t stored);
    /// The journal is told that this queue holds the message no longer.
    void forget(std::uint64_t stored);
    /// … or that it was delivered, and will be redelivered if the broker ends before it is settled.
    void note_delivery(std::uint64_t stored);
    /// There must be room to note it. Throws std::bad_alloc with nothing changed.
    void hand_over(Consumer& consumer, Arrival& arrival, EntryNumber entry, bool redelivered);
    /// The first message for a consumer that can take one; false: the disk has to be waited for.
    bool hand_over_first(Consumer& consumer);
    /// It is damaged on the disk, and nobody can have it.
    void lose(const Backlog::Entry& first);
    /// Whoever is at work here is not to blame when memory is lacking for what others get: it is tried again
    /// in the next turn.
    void pump();
    void hand_over_all();
    void wait_for_memory();
    void ask_for_grants();
    /// Who is next to get a message; null if nobody can take one.
    Consumer* next_consumer();
    /// … behind one that leaves.
    Consumer* pass_over(Consumer* consumer);

    QueueHome& home_;
    const QueueId id_;
    const bool auto_delete_;
    const bool durable_;
    bool exclusively_consumed_ = false;
    bool stopped_ = false;
    bool waits_for_disk_ = false;
    bool has_place_ = false;
    bool lacks_memory_ = false;
    std::unique_ptr<Queue> next_ended_;
    Backlog backlog_;
    Consumers consumers_;
};

}  // namespace trilby::broker
