// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "broker/arrival.hpp"
#include "broker/bodies.hpp"
#include "broker/catalog.hpp"
#include "broker/journal/journal.hpp"
#include "broker/mail.hpp"
#include "broker/mailbox.hpp"
#include "broker/message_pool.hpp"
#include "broker/origin.hpp"
#include "broker/output.hpp"
#include "broker/queue.hpp"
#include "broker/settings.hpp"
#include "broker/slot_table.hpp"
#include "broker/view.hpp"

namespace trilby::broker {

class Session;

using Road = Mailbox<Mail>;

/// What the loop that runs a shard does for it: sleeping, sockets. The shard itself knows neither.
class ShardLoop {
  public:
    /// Any thread: the shard may be asleep and has mail, or room on a road that it waits for.
    virtual void wake() = 0;
    /// A session has something new to be written, to be read again, or is done.
    virtual void touched(Session& session) = 0;
    /// A socket accepted elsewhere is to be served here; the loop owns it from now on.
    virtual void adopt(int socket) = 0;
    /// The broker stops: sessions have been told; the loop ends when the last one is gone.
    virtual void stopping() = 0;

  protected:
    ~ShardLoop() = default;
};

/// One shard: its sessions, its queues, its view, its message pool, and its ends of the roads to the other
/// shards. Everything is for its one thread; other shards are told, never touched. It has no socket, no clock
/// and no thread of its own, so that a test can run several in one thread (tests/component).
///
/// A queue near (on this shard) is called, one far is sent mail; whoever speaks to a queue calls the same
/// function.
class Shard {
  public:
    using Time = std::chrono::steady_clock::time_point;

    Shard(ShardIndex index, const Settings& settings, std::size_t shards);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    /// Before the threads start: all shards of the broker in order, this one among them.
    void connect(const std::vector<Shard*>& shards);
    void set_loop(ShardLoop& loop) { loop_ = &loop; }
    /// After the threads have ended: gives up queues, messages and mail. For every shard, before the first is
    /// destroyed, for messages and roads are shared.
    void clear();

    ShardIndex index() const { return index_; }
    const Settings& settings() const { return settings_; }
    const View& view() const { return view_; }
    View& view() { return view_; }
    MessagePool& messages() { return messages_; }
    ChunkPool& chunks() { return chunks_; }
    /// Null: nothing is stored.
    journal::End* journal() { return journal_; }
    /// Before the threads start.
    void keep_in(journal::End& journal) {
        journal_ = &journal;
        bodies_.read_from(journal);
    }
    /// The messages that wait in the queues here.
    Bodies& bodies() { return bodies_; }
    /// A message that the journal held when the broker started, for a queue that lives here.
    void restore(QueueId queue, std::uint64_t stored, bool redelivered);
    /// Only shard 0 has one.
    Catalog* catalog() { return catalog_.get(); }
    /// As of the start of this turn.
    Time now() const { return now_; }
    void set_now(Time now) { now_ = now; }

    // ---- Sessions.

    ConnectionId add_session(Session& session);
    void remove_session(ConnectionId id);
    std::size_t sessions() const { return sessions_.size(); }
    /// Of connections here, wherever their queues live.
    std::size_t consumers() const { return consumers_.size(); }
    /// It has output, or wants to be looked at before the turn ends.
    void touch(Session& session);
    const letter::Alarm& alarm() const { return alarm_; }
    bool stopping() const { return stopping_; }
    /// A publisher that met a full road: `Session::room_made` is called when there is room again.
    void wait_for_room(ConnectionId session) { waiting_for_room_.push_back(session); }
    /// Calls Channel::confirm_to when the disk has the publishes that were handed over so far.
    void confirm_when_safe(ConnectionId session, std::uint16_t channel, std::uint64_t serial,
                           DeliveryTag tag);
    /// Answers when the disk has the settles up to that position.
    void answer_when_safe(std::uint64_t position, ReplyTo reply_to) {
        commits_.push_back({position, reply_to});
    }
    /// A number that no channel of this shard had before.
    std::uint64_t new_serial() { return ++last_serial_; }

    // ---- Queues, near and far.

    /// False: the road to a far queue is full; the message is on its way all the same, but the publisher has
    /// to pause.
    bool enqueue(const QueueInfo& queue, Arrival& arrival) {
        if (queue.near != nullptr) {
            queue.near->publish(arrival);
            return true;
        }
        return enqueue_far(queue, arrival);
    }
    void settle(const Origin& origin, EntryNumber first, std::uint32_t count, Settlement settlement);
    void open_window(const Origin& origin, std::int64_t octets);
    void grant(const Origin& origin, std::uint32_t messages);
    void limit_by_grants(const Origin& origin, bool granted);
    /// Answered by Session::on_answer, never before this returns.
    void ask_queue(const QueueInfo& queue, QueueQuestion question, ReplyTo reply_to);
    void ask_queue(ShardIndex home, QueueId queue, QueueQuestion question, ReplyTo reply_to);
    void ask_catalog(CatalogRequest request, ReplyTo reply_to);
    /// An exclusive queue of a connection that ends; it lives here.
    void finish_own_queue(QueueId queue, ReplyTo reply_to);

    ConsumerId add_consumer(Origin& origin) { return consumers_.insert(&origin); }
    void remove_consumer(ConsumerId id) { consumers_.take(id); }

    /// To whoever consumes amq.rabbitmq.reply-to under that name; dropped if nobody does.
    void direct_reply(ConnectionId connection, std::uint16_t channel, std::uint64_t secret, Arrival& arrival);
    void find_direct_reply(ConnectionId connection, std::uint16_t channel, std::uint64_t secret,
                           ReplyTo reply_to);

    // ---- What queues and the catalog of this shard say.

    void deliver(Consumer& consumer, QueueId queue, Arrival& arrival, EntryNumber entry, bool redelivered);
    /// Calls Queue::look_again when the disk has more.
    void wait_for_disk(QueueId queue) { waiting_for_disk_.push_back(queue); }
    void ask_grant(Consumer& consumer);
    void return_grant(Consumer& consumer, std::int64_t messages);
    void consumer_lost_queue(Consumer& consumer);
    /// An auto-delete queue has stopped itself.
    void queue_finished(QueueId queue);
    void reply(ReplyTo to, const Answer& answer);
    void tell(ShardIndex shard, std::shared_ptr<const ChangeSet> changes);
    /// To this shard's own view, with the queues that come and go by it.
    void apply(const ChangeSet& changes);

    // ---- The loop's side of a turn.

    /// Handles what other shards sent and what this one left for itself; true if there was something.
    /// `limits`, by shard and for its own letters under its own index, are for tests that decide what arrives
    /// when; none: the usual ones.
    bool take_mail(std::span<const std::size_t> limits = {});
    /// Shows the others what was sent in this turn, wakes who sleeps, gives memory back, resumes who waited
    /// for room.
    void end_turn();
    /// Is there something to do that came without a wake-up? To be asked after `asleep` was set.
    bool has_mail() const;
    /// The loop's: true while it may sleep; set by it, taken by who wakes it.
    std::atomic<bool>& asleep() { return asleep_; }
    void wake_if_asleep();

    /// A letter from outside the shards (the listener, the watch on memory, a signal), to this or another
    /// one.
    void send_to(ShardIndex shard, Letter letter) { send_letter(shard, std::move(letter)); }

    template <class F>
    void each_session(F visit) {
        sessions_.each(visit);
    }
    template <class F>
    void each_queue(F visit) {
        for (const auto& queue : queues_)
            if (queue != nullptr) visit(*queue);
    }

  private:
    Queue* near_queue(QueueId id) const {
        const std::uint32_t slot = slot_of(id);
        if (slot >= queues_.size() || queues_[slot] == nullptr || queues_[slot]->id() != id) return nullptr;
        return queues_[slot].get();
    }
    Road& road_to(ShardIndex shard) { return *outgoing_[shard]; }
    void send(ShardIndex shard, const Mail& mail, std::uint64_t octets = 0);
    void send_letter(ShardIndex shard, Letter letter);
    void receive(const Mail& mail);
    void receive_delivery(const Mail& mail);
    void open(Letter& letter);
    bool enqueue_far(const QueueInfo& queue, Arrival& arrival);
    void answer_question(QueueId id, QueueQuestion& question, ReplyTo reply_to);
    void finish_queue(Queue& queue, ReplyTo reply_to);
    void look_at_journal();
    void look_at_disk();

    void open_one(letter::ToQueue&);
    void open_one(letter::ToCatalog&);
    void open_one(letter::Reply&);
    void open_one(letter::Apply&);
    void open_one(letter::Applied&);
    void open_one(letter::QueueGone&);
    void open_one(letter::Adopt&);
    void open_one(letter::DirectReply&);
    void open_one(letter::FindDirectReply&);
    void open_one(letter::Alarm&);
    void open_one(letter::Stop&);

    const ShardIndex index_;
    const Settings& settings_;
    ShardLoop* loop_ = nullptr;
    Time now_{};
    MessagePool messages_;
    Bodies bodies_;
    ChunkPool chunks_;
    View view_;
    std::unique_ptr<Catalog> catalog_;
    SlotTable<ConnectionId, Session*> sessions_;
    SlotTable<ConsumerId, Origin*> consumers_;
    std::vector<std::unique_ptr<Queue>> queues_;  // by slot of the id; those that live here

    std::vector<Shard*> shards_;
    std::vector<std::unique_ptr<Road>> outgoing_;  // by shard; none to itself
    std::vector<Road*> incoming_;
    std::deque<Letter> own_letters_;
    std::vector<ConnectionId> waiting_for_room_;
    journal::End* journal_ = nullptr;
    struct WaitingConfirm {
        std::uint64_t position;
        ConnectionId session;
        std::uint16_t channel;
        std::uint64_t serial;
        DeliveryTag tag;
    };
    std::deque<WaitingConfirm> confirms_;  // by position
    struct WaitingCommit {
        std::uint64_t position;
        ReplyTo reply_to;
    };
    std::deque<WaitingCommit> commits_;  // by position
    std::vector<QueueId> waiting_for_disk_;
    std::vector<letter::ToQueue> gets_waiting_for_disk_;
    std::uint64_t last_serial_ = 0;
    letter::Alarm alarm_;
    bool stopping_ = false;
    alignas(64) std::atomic<bool> asleep_{false};
};

}  // namespace trilby::broker
