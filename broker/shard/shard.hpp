// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "auth/login_throttle.hpp"
#include "broker/asking/direct_reply.hpp"
#include "broker/asking/turn.hpp"
#include "broker/catalog/audience.hpp"
#include "broker/catalog/catalog.hpp"
#include "broker/catalog/view.hpp"
#include "broker/ids/slot_table.hpp"
#include "broker/journal/journal.hpp"
#include "broker/message/arrival.hpp"
#include "broker/message/output.hpp"
#include "broker/message/pool.hpp"
#include "broker/queue/queue.hpp"
#include "broker/shard/disk_waits.hpp"
#include "broker/shard/far_receiver.hpp"
#include "broker/shard/mail.hpp"
#include "broker/shard/resident.hpp"
#include "broker/shard/roads.hpp"
#include "broker/shard/settings.hpp"
#include "broker/shard/timers.hpp"
#include "broker/shard/watermarks.hpp"
#include "broker/storage/bodies.hpp"

namespace trilby::broker {

/// What the loop that runs a shard does for it: sleeping, sockets. The shard itself knows neither.
class ShardLoop {
  public:
    /// Any thread: the shard may be asleep and has mail, or room on a road that it waits for.
    virtual void wake() = 0;
    /// A socket accepted elsewhere is to be served here; the loop owns it from now on.
    virtual void adopt(int socket) = 0;
    /// The broker stops: residents have been told; the loop ends when its last connection is gone.
    virtual void stopping() = 0;

  protected:
    ~ShardLoop() = default;
};

/// Where a consumer's queue is, as its own shard knows it; `consumer` 0: gets.
struct QueueEnd {
    QueueId queue{};
    ShardIndex home = 0;
    ConsumerId consumer{};
};

/// One shard: its residents, its queues, its view, its message pool, and its ends of the roads to the other
/// shards. Everything is for its one thread; other shards are told, never touched. It has no socket, no clock
/// and no thread of its own, so that a test can run several in one thread (tests/component).
///
/// A queue near (on this shard) is called, one far is sent mail; whoever speaks to a queue calls the same
/// function.
class Shard final : public Audience, private QueueEvents {
  public:
    using Time = std::chrono::steady_clock::time_point;

    Shard(ShardIndex index, const Settings& settings, std::size_t shards);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    /// Before the threads start: all shards of the broker in order, this one among them.
    void connect(const std::vector<Shard*>& shards);
    void set_loop(ShardLoop& loop) {
        loop_ = &loop;
        roads_.wake_by([&loop] { loop.wake(); });
    }
    /// After the threads have ended: gives up queues, messages and mail. For every shard, before the first is
    /// destroyed, for messages and roads are shared.
    void clear();

    ShardIndex index() const { return index_; }
    const Settings& settings() const { return settings_; }
    const LiveSettings& live_settings() const { return *live_settings_; }
    const View& view() const { return view_; }
    View& view() { return view_; }
    MessagePool& messages() { return messages_; }
    ChunkPool& chunks() { return chunks_; }
    /// Null: nothing is stored.
    journal::End* journal() const { return queue_home_.journal; }
    /// Before the threads start.
    void keep_in(journal::End& journal) {
        queue_home_.journal = &journal;
        bodies_.read_from(journal);
    }
    /// Before the threads start. `passed` is told, by this shard's thread, what it found to be passed before
    /// anybody told it; it takes a letter::Alarm to end that again.
    void watch(const Watermarks& watermarks, std::function<void(letter::Alarm)> passed);
    /// So many octets more were received in this turn, or taken for what is not complete yet.
    void taken(std::size_t octets) { taken_ += octets; }
    /// The messages that wait in the queues here.
    Bodies& bodies() { return bodies_; }
    /// A message that the journal held when the broker started, for a queue that lives here.
    void restore(QueueId queue, std::uint64_t stored, bool redelivered);
    /// Only shard 0 has one.
    Catalog* catalog() { return catalog_.get(); }
    /// As of the start of this turn.
    Time now() const { return now_; }
    void set_now(Time now) {
        now_ = now;
        seconds_ = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    }
    /// The same in whole seconds: each delivery that awaits its acknowledgement notes them.
    std::int64_t seconds() const { return seconds_; }

    /// The loop lets it go on.
    TimerWheel& timers() { return timers_; }

    // ---- Turns.

    Turn& turn() { return turn_; }
    /// Calls Resident::turn_came in a later turn, fairly among those that wait.
    void wait_for_turn(AskerId resident) { line_.push_back(resident); }

    // ---- Residents.

    AskerId add_resident(Resident& resident) { return residents_.insert(&resident); }
    void remove_resident(AskerId id) { residents_.take(id); }
    std::size_t residents() const { return residents_.size(); }
    /// Of residents here, wherever their queues live.
    std::size_t consumers() const { return consumers_.size(); }
    /// Of who connects to this shard: connections that come together come to one.
    auth::LoginThrottle& logins() { return logins_; }
    /// Of refused logins, as many as were not said one by one: into the log.
    void say_refused_logins();
    const letter::Alarm& alarm() const { return alarm_; }
    bool stopping() const { return stopping_; }
    /// A publisher that met a full road: `Resident::room_made` is called when there is room again.
    void wait_for_room(AskerId resident) { waiting_for_room_.push_back(resident); }
    /// Answers answer::Safe when the disk has the publishes that were handed over so far.
    void tell_when_publishes_are_safe(ReplyTo asker) {
        disk_waits_.for_publishes(journal()->publish_position(), asker);
    }
    /// Answers answer::Done when the disk has the settles up to that position, Refusal::gone if the broker
    /// stops before.
    void tell_when_settles_are_safe(std::uint64_t position, ReplyTo asker) {
        disk_waits_.for_settles(position, asker);
    }
    /// A number that no channel of this shard had before.
    std::uint64_t new_serial() { return ++last_serial_; }

    // ---- Queues, near and far.

    /// False: the road to a far queue is full, or the disk does not keep up with what waits in the queues of
    /// its shard; the message is on its way all the same, but the publisher has to pause.
    bool enqueue(const QueueInfo& queue, Arrival& arrival) {
        if (queue.near != nullptr) {
            queue.near->publish(arrival);
            return !bodies_.added_while_behind();
        }
        return enqueue_far(queue, arrival);
    }
    void settle(const QueueEnd& end, EntryNumber first, std::uint32_t count, Settlement settlement);
    void open_window(const QueueEnd& end, std::int64_t octets);
    void grant(const QueueEnd& end, std::uint32_t messages);
    void limit_by_grants(const QueueEnd& end, bool granted);
    /// Answered by Asker::answered, never before this returns.
    void ask_queue(const QueueInfo& queue, QueueQuestion question, ReplyTo reply_to);
    void ask_queue(ShardIndex home, QueueId queue, QueueQuestion question, ReplyTo reply_to);
    void ask_catalog(CatalogRequest request, ReplyTo reply_to);
    /// A queue that lives here, whatever is in it: an exclusive one of a connection that ends, or an
    /// auto-delete one that has lost its last consumer. Answered when no view has it any more.
    void end_queue(QueueId queue, ReplyTo reply_to = {});
    /// The view says that the queue is closed: answered when this view has it back or has dropped it.
    void answer_when_decided(QueueId queue, ReplyTo reply_to) { undecided_.push_back({queue, reply_to}); }

    /// Octets of channels and consumers of the connections here.
    void hold(std::size_t octets) { held_ += octets; }
    void let_go(std::size_t octets) { held_ -= octets; }
    /// Do they take as much memory as they may? None is added then.
    bool holds_much() const {
        return settings_.held_memory != 0 && held_ >= settings_.held_memory / shards_.size();
    }

    /// Throws std::length_error when there is no room.
    ConsumerId add_consumer(Subscriber& subscriber) { return consumers_.insert(&subscriber); }
    bool has_room_for_consumer() const { return !consumers_.full(); }
    void remove_consumer(ConsumerId id) { consumers_.take(id); }

    /// To whoever consumes amq.rabbitmq.reply-to under that name; dropped if nobody does, or reads. Answered
    /// with `done` or `gone`. False: the road there is full; the reply is on its way all the same, but the
    /// publisher has to pause.
    bool direct_reply(const ReplyAddress& address, Arrival& arrival, ReplyTo reply_to = {});
    void find_direct_reply(const ReplyAddress& address, ReplyTo reply_to);

    // ---- Audience: what the catalog of this shard says.

    void reply(ReplyTo to, Answer&& answer) override;
    void tell(ShardIndex shard, std::shared_ptr<const ChangeSet> changes) override;
    bool apply(std::span<const Change> changes, std::size_t& applied) override;
    /// Before the threads start.
    void apply(const ChangeSet& changes) {
        std::size_t applied = 0;
        while (!apply(changes, applied)) {
        }
    }

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
    std::atomic<bool>& asleep() { return roads_.asleep(); }
    void wake_if_asleep() { roads_.wake_if_asleep(); }

    /// A letter from outside the shards (the listener, the watch on memory, a signal), to this or another
    /// one.
    void send_to(ShardIndex shard, Letter letter) { send_letter(shard, std::move(letter)); }

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
    /// `octets`: of a message that it carries. Throws std::bad_alloc with the letter as it was.
    void send_letter(ShardIndex shard, Letter&& letter, std::uint64_t octets = 0);
    /// Throws std::bad_alloc when memory is lacking: it is to be received again.
    void receive(const Mail& mail);
    void receive_enqueue(const Mail& mail);
    void receive_other(const Mail& mail);
    void receive_delivery(const Mail& mail);
    void open(Letter& letter);
    /// Whoever the letter is about is told what could not be done, or closed. Throws std::bad_alloc when that
    /// is too much as well: what is left to do is the letter then, to be opened again.
    void open_guarded(Letter& letter);
    void could_not_open(Letter& letter, const std::exception& error);
    void try_lacking_queues();
    void could_not_receive(const Mail& mail, const char* what) noexcept;
    /// What cannot be done for a resident ends it.
    template <class Act>
    void guard(Resident& resident, Act act) noexcept {
        try {
            act();
        } catch (const std::exception& error) {
            resident.fail(error.what());
        }
    }
    // QueueEvents
    void wait_for_disk(QueueId queue) override { waiting_for_disk_.push_back(queue); }
    void wait_for_memory() override { queues_lack_memory_ = true; }
    void end_unused(QueueId queue) override { end_queue(queue); }
    void tell_queue_gone(ConsumerId consumer) override;
    /// May those go on that met a full road, a full journal or a disk that was behind?
    bool room_again() const;
    bool enqueue_far(const QueueInfo& queue, Arrival& arrival);
    bool purge(Queue& queue, ask::Purge& asked);
    void answer_question(QueueId id, QueueQuestion& question, ReplyTo reply_to);
    /// False: not yet, for the disk is being read.
    bool answer_get(Queue& queue, const ask::Get& asked, ReplyTo reply_to);
    Answer subscribe(Queue& queue, ask::Subscribe& asked);
    bool go_on_in_line();
    bool open_own_letters(std::size_t most);
    void apply_one(const Change& change);
    bool tidy();
    bool look_at_journal();
    bool look_at_disk();
    void ask_again_from_disk();
    // queue_ends.cpp
    void begin_end(Queue& queue, ask::Delete asked, ReplyTo reply_to);
    void decide_end(QueueId id);
    /// With those for which something is due. True: there were some.
    bool go_on_with_closings();
    void go_on_with_closing(QueueId id);
    bool answer_decided();
    /// No view has it any more: what is left in it goes, and the memory of it.
    void put_away(std::unique_ptr<Queue>& queue);
    bool clear_ended();
    // queue_moves.cpp
    void begin_move(Queue& queue, letter::ToQueue subscribe);
    void hand_over(QueueId id);
    void open_again(QueueId id);
    void answer_what_waited(QueueId id);
    void look_at_watermarks();
    /// Octets that clients made this shard take so far, or a good part of them: it grows with what the broker
    /// holds, and is what looks at the watermarks are counted by.
    std::uint64_t taken() const { return taken_ + bodies_.taken(); }

    void open_one(letter::ToQueue&);
    void open_one(letter::ToCatalog&);
    void open_one(letter::Reply&);
    void open_one(letter::Unanswered&);
    void open_one(letter::Apply&);
    void open_one(letter::Applied&);
    void open_one(letter::Closed&);
    void open_one(letter::MoveQueue&);
    void open_one(letter::QueueMoved&);
    void open_one(letter::QueueGone&);
    void open_one(letter::Adopt&);
    void open_one(letter::DirectReply&);
    void open_one(letter::FindDirectReply&);
    void open_one(letter::Alarm&);
    void open_one(letter::Reload&);
    void open_one(letter::DropUnfinished&);
    void open_one(letter::Stop&);

    const ShardIndex index_;
    const Settings& settings_;
    std::shared_ptr<const LiveSettings> live_settings_;
    ShardLoop* loop_ = nullptr;
    Time now_{};
    std::int64_t seconds_ = 0;
    TimerWheel timers_;
    Turn turn_;
    std::deque<AskerId> line_;  // residents that have more to be taken
    MessagePool messages_;
    Bodies bodies_;
    QueueHome queue_home_{messages_, bodies_, turn_, *this};
    ChunkPool chunks_;
    View view_;
    std::unique_ptr<Catalog> catalog_;
    auth::LoginThrottle logins_;
    SlotTable<AskerId, Resident*> residents_;
    SlotTable<ConsumerId, Subscriber*> consumers_;
    std::vector<std::unique_ptr<Queue>> queues_;  // by slot of the id; those that live here

    std::vector<Shard*> shards_;
    Roads roads_;
    std::vector<std::unique_ptr<FarReceiver>> far_receivers_;  // by shard; none for this one
    std::deque<Letter> own_letters_;
    std::vector<AskerId> waiting_for_room_;
    DiskWaits disk_waits_;
    /// What a queue's home knows of it while it is closed.
    struct Closing {
        enum class What : std::uint8_t { end, leave, arrive } what;
        ShardIndex to{};                          // of one that leaves
        ask::Delete asked{};                      // of one that ends
        ReplyTo reply_to{};                       // likewise
        std::size_t open_views;                   // shards that may still send to it, or to its old home
        std::list<letter::ToQueue> waiting = {};  // what was asked meanwhile
        // How far that has come, for memory may be lacking at each step.
        std::uint64_t untold = 0;          // of one that arrives: a bit for each shard
        bool decided = false;              // of one that ends:
        std::optional<Refusal> refused{};  // none: it goes
        bool catalog_told = false;
    };
    std::unordered_map<QueueId, Closing> closings_;
    struct Undecided {
        QueueId queue;
        ReplyTo reply_to;
    };
    std::list<QueueId> closings_due_;  // those for which something is to be done
    std::vector<Undecided> undecided_;
    bool some_decided_ = false;     // perhaps
    std::unique_ptr<Queue> ended_;  // and those behind it
    std::vector<QueueId> waiting_for_disk_;
    bool queues_lack_memory_ = false;
    bool disk_undone_ = false;  // for what it has brought memory was lacking
    std::deque<letter::ToQueue> gets_waiting_for_disk_;
    std::uint64_t last_serial_ = 0;
    std::uint64_t held_ = 0;
    letter::Alarm alarm_;
    const Watermarks* watermarks_ = nullptr;
    std::function<void(letter::Alarm)> passed_;
    std::uint64_t taken_ = 0;
    std::uint64_t next_look_ = UINT64_MAX;  // at the watermarks, in octets taken
    bool stopping_ = false;
};

}  // namespace trilby::broker
