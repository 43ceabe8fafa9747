// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "broker/ids/ids.hpp"
#include "broker/journal/records.hpp"
#include "broker/journal/recovery.hpp"
#include "broker/journal/writer.hpp"
#include "broker/message/message.hpp"

namespace trilby::broker::journal {

class Journal;

/// One shard's end of the journal. Its thread only.
///
/// A publish is handed over before its message is shown to a queue or a road, and what a queue settles after
/// that: the writer's order of looks rests on it.
class End {
  public:
    /// What a shard may hand over before its publishers have to wait for the disk, in octets.
    static constexpr std::uint64_t most_unwritten = std::uint64_t{1} << 20;

    End(Journal& journal, ShardIndex shard, std::uint64_t next_id)
        : journal_(journal), shard_(shard), next_id_(next_id) {}

    /// A message for these durable queues, at least one; its id.
    MessageId publish(std::span<const StoredQueue> queues, const Publication& publication);
    /// Safe when safe_publishes() has come so far.
    std::uint64_t publish_position() const { return streams_.publishes.position(); }
    std::uint64_t safe_publishes() const { return streams_.safe_publishes.load(std::memory_order_acquire); }
    bool out_of_space() const;
    bool full() const { return streams_.publishes.unwritten() > most_unwritten; }

    /// The queue holds it no longer, or has delivered it once more. Handed over by `flush`, in runs.
    void settle(StoredQueue queue, MessageId message) { gather(RecordType::settle, queue, message); }
    void mark(StoredQueue queue, MessageId message) { gather(RecordType::mark, queue, message); }
    /// The next so many calls of these need no memory.
    void make_room(std::size_t count) {
        if (gathered_.capacity() - gathered_.size() < count)
            gathered_.reserve(std::max(gathered_.size() + count, 2 * gathered_.capacity()));
    }

    /// A transaction: counts as a whole, or not at all.
    class Unit {
      public:
        explicit Unit(End& end) : end_(end) {}
        MessageId publish(std::span<const StoredQueue> queues, const Publication& publication);
        void settle(StoredQueue queue, MessageId message);
        bool empty() const { return records_.empty(); }

      private:
        friend class End;
        End& end_;
        std::string records_;
        std::uint32_t count_ = 0;
    };
    /// Safe when safe_settles() has come so far.
    std::uint64_t commit(Unit unit);
    std::uint64_t safe_settles() const { return streams_.safe_settles.load(std::memory_order_acquire); }

    /// For who reads messages back. A message of any shard; none: it is not written yet, or no queue holds
    /// it.
    std::optional<Place> place(MessageId id) const;
    bool written(MessageId id) const;
    /// Counts up when messages have been written. While it `wants_calls` this shard is woken then.
    std::uint64_t batches() const;
    void want_calls(bool wanted) { wants_calls_.store(wanted, std::memory_order_seq_cst); }
    bool wants_calls() const { return wants_calls_.load(std::memory_order_relaxed); }
    /// Behind the last batch: what follows in that segment is not written yet.
    Place end_of_log() const;
    /// A handle, to be closed by the caller. Throws std::system_error: the segment has gone.
    int open(std::uint64_t segment) const;

    /// Once a turn.
    void flush();
    /// Has the disk come further than when this was asked last?
    bool moved() const { return safe_publishes() != seen_publishes_ || safe_settles() != seen_settles_; }
    void look() {
        seen_publishes_ = safe_publishes();
        seen_settles_ = safe_settles();
    }
    ShardStreams& streams() { return streams_; }

  private:
    void gather(RecordType type, StoredQueue queue, MessageId message);
    /// The time at the first publish of a turn: within a shard ids tell what was first, between shards this
    /// does.
    std::uint64_t stamp();
    MessageId next_id() { return std::uint64_t{shard_} << 56 | next_id_++; }

    Journal& journal_;
    const ShardIndex shard_;
    std::uint64_t next_id_;
    std::uint64_t stamp_ = 0;  // 0: no publish yet in this turn
    std::uint64_t seen_publishes_ = 0;
    std::uint64_t seen_settles_ = 0;
    bool news_ = false;  // something was handed over that the writer may not know of
    struct Gathered {
        RecordType type;
        StoredQueue queue;
        Run run;
    };
    std::vector<Gathered> gathered_;
    std::vector<Run> runs_;
    std::atomic<bool> wants_calls_{false};
    ShardStreams streams_;
};

/// The journal of a broker: its directory, what recovery found in it, an end for each shard, and the thread
/// that writes.
class Journal {
  public:
    /// Reads what is there, and changes nothing before `start`. Throws std::system_error, or
    /// std::runtime_error with a sentence for the operator.
    Journal(const std::filesystem::path& directory, std::size_t shards, Remembered remembered);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    // ---- Before `start`: what was found.

    /// Its number, which the catalog remembers; 0: there was no journal.
    std::uint64_t number() const { return number_; }
    const std::vector<Damage>& damages() const { return recovered_->damages; }
    const State& state() const { return recovered_->state; }
    /// Once, before `start`: visit(MessageId, Living::Holder) for every queue that holds a message, in the
    /// order of each queue.
    template <class F>
    void restore(F visit) {
        for (const Published& one : std::exchange(recovered_->published, {}))
            recovered_->state.living.each_holder(one.id,
                                                 [&](Living::Holder holder) { visit(one.id, holder); });
    }
    /// Before `start`: a queue that does not exist any more holds nothing.
    void forget(StoredQueue queue, MessageId message) { recovered_->state.living.settle(queue, message, 1); }
    /// Something in them cannot be placed: what can is written again, and then they are moved aside.
    void keep_all_aside();

    End& end(std::size_t shard) { return *ends_[shard]; }

    using Moved = std::function<void(std::size_t shard)>;
    using Failed = std::function<void(const std::string&)>;
    /// `moved` is called by the writer's thread when a shard has something to look at; `failed` once, when
    /// the disk fails for good: nothing more will be safe then.
    void start(Moved moved, Failed failed);
    /// When the shards have ended: everything handed over is synced.
    void stop();

    /// As `start`, without threads: whoever calls this calls `turn` as well, and is the writer's thread.
    void begin(Moved moved, WriterOptions options);
    /// A step of the writer; whom it concerns is told. False: there is nothing more to do before `next_due`,
    /// or before something is handed over. Throws what the writer throws.
    bool turn(Writer::Clock::time_point now);
    bool has_news() const { return writer_->has_news(); }
    /// time_point::max(): nothing is due.
    Writer::Clock::time_point next_due() const { return writer_->next_due(); }

    /// Any shard's thread: it has handed something over.
    void wake();
    /// Microseconds, later than all stamps of earlier lives; any thread.
    std::uint64_t time() const;
    /// What the catalog should remember; any thread, once it is started.
    Remembered to_remember() const { return {writer_->journal(), writer_->promised()}; }
    void catalog_is_at(std::uint64_t changes) { writer_->catalog_is_at(changes); }
    /// There is nothing to make another segment of; any thread.
    bool out_of_space() const { return out_of_space_.load(std::memory_order_relaxed); }

  private:
    friend class End;
    void run();
    void tell();
    void finish();
    /// The writer's thread: takes a segment that was prepared, and asks for another one.
    void look_after_spares();
    void prepare();

    DirectoryFiles files_;
    std::optional<Recovered> recovered_;  // until `start`
    std::uint64_t number_ = 0;
    const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    std::uint64_t first_stamp_ = 0;
    std::vector<std::unique_ptr<End>> ends_;
    Moved moved_;
    Failed failed_;
    std::vector<std::uint64_t> told_;  // of each end: how far its publishes and its settles are safe
    std::unique_ptr<Writer> writer_;
    std::atomic<bool> out_of_space_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> asleep_{false};
    std::mutex mutex_;
    std::condition_variable woken_;
    bool wake_up_ = false;
    std::jthread thread_;

    // Segments are made ahead, by a thread of their own: filling one takes as long as dozens of syncs.
    std::mutex spare_mutex_;
    std::condition_variable spare_wanted_;
    bool spare_asked_ = false;
    bool spare_over_ = false;
    std::string prepared_;  // empty: none
    std::jthread preparer_;
};

}  // namespace trilby::broker::journal
