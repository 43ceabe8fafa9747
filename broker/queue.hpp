// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>

#include "broker/arrival.hpp"
#include "broker/backlog.hpp"
#include "broker/consumers.hpp"
#include "broker/ids.hpp"

namespace trilby::broker {

class Shard;

/// What became of deliveries: acknowledged and gone, put back in their places, or refused for good.
enum class Settlement : std::uint8_t { acknowledge, requeue, reject };

/// A queue on its home shard: what waits, who consumes, who gets the next message. Only that shard's thread
/// calls it, near and far connections alike through the Shard; what it has to say goes out through the Shard
/// as well.
class Queue {
  public:
    Queue(Shard& shard, QueueId id, bool auto_delete, bool durable)
        : shard_(shard), id_(id), auto_delete_(auto_delete), durable_(durable) {}
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    QueueId id() const { return id_; }

    /// Before anybody consumes: a message of the journal, in order.
    void restore(Kept kept, bool redelivered) { backlog_.restore(kept, redelivered); }

    /// Hands the message to a consumer at once if nothing waits before it and one can take it, else keeps it.
    void publish(Arrival& arrival);
    /// Would `publish` hand it to a consumer with automatic acknowledgement? Such a message is settled with
    /// that, and there is nothing to keep of it.
    bool settles_at_once() const {
        if (stopped_ || backlog_.ready() != 0) return false;
        const Consumer* const consumer = consumers_.next();
        return consumer != nullptr && consumer->no_ack;
    }

    enum class Subscribe : std::uint8_t { subscribed, in_exclusive_use };
    /// The consumer gets nothing before its first `window`. AMQP 0-9-1: basic.consume.
    Subscribe subscribe(const Consumer& consumer, bool exclusive);
    /// Returns false if it was not there. An auto-delete queue stops with its last consumer.
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

    /// Entries first … first + count - 1, all handed out to this consumer, or by basic.get to none.
    void settle(ConsumerId consumer, EntryNumber first, std::uint32_t count, Settlement settlement);

    struct Got {
        Message* message;  // with a reference for the caller
        EntryNumber entry;
        bool redelivered;
    };
    enum class Nothing : std::uint8_t {
        empty,
        not_yet,  // the disk is being read; to be asked again when Bodies::moved
    };
    std::expected<Got, Nothing> get(bool no_ack);
    /// What the disk had not yet may be there.
    void look_again() {
        waits_for_disk_ = false;
        pump();
    }

    /// Drops what is ready; returns how many there were. AMQP 0-9-1: queue.purge.
    std::uint32_t purge();

    std::uint32_t ready() const { return static_cast<std::uint32_t>(backlog_.ready()); }
    std::uint32_t consumers() const { return static_cast<std::uint32_t>(consumers_.size()); }

    /// The queue is being deleted: consumers are told, messages dropped, and nothing is taken any more.
    void stop();
    bool stopped() const { return stopped_; }

  private:
    /// The journal is told that this queue holds the message no longer.
    void forget(std::uint64_t stored);
    /// … or that it was delivered, and will be redelivered if the broker ends before it is settled.
    void note_delivery(std::uint64_t stored);
    void hand_over(Consumer& consumer, Arrival& arrival, EntryNumber entry, bool redelivered);
    /// The first message for a consumer that can take one; false: the disk has to be waited for.
    bool hand_over_first(Consumer& consumer);
    /// It is damaged on the disk, and nobody can have it.
    void lose(const Backlog::Entry& first);
    void pump();
    void ask_for_grants();

    Shard& shard_;
    const QueueId id_;
    const bool auto_delete_;
    const bool durable_;
    bool exclusively_consumed_ = false;
    bool stopped_ = false;
    bool waits_for_disk_ = false;
    std::size_t granted_consumers_ = 0;
    Backlog backlog_;
    Consumers consumers_;
};

}  // namespace trilby::broker
