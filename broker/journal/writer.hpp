// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "broker/journal/files.hpp"
#include "broker/journal/format.hpp"
#include "broker/journal/living.hpp"
#include "broker/journal/reclaim.hpp"
#include "broker/journal/spares.hpp"
#include "broker/journal/stream.hpp"

namespace trilby::broker::journal {

/// One shard's end of the journal: two streams to the writer, and how far the disk has them.
struct ShardStreams {
    Stream publishes;
    Stream settles;
    /// Positions of the streams up to which everything is on the disk. The writer's to set.
    alignas(64) std::atomic<std::uint64_t> safe_publishes{0};
    std::atomic<std::uint64_t> safe_settles{0};
};

/// What recovery found, and where writing goes on.
struct State {
    std::uint64_t journal = 0;  // 0: there was none
    std::uint64_t next_segment = 1;
    std::uint64_t next_sequence = 1;
    std::uint64_t read_through = 0;  // sequence of the last batch that is there
    std::uint64_t previous_end = 0;  // of the last segment
    std::array<std::uint64_t, most_shards>
        highest{};  // message ids given, by shard, without the shard's bits
    std::uint64_t last_stamp = 0;
    // Of the catalog, as far as the journal knows: changes that it had stored, and its newest durable queue.
    std::uint64_t catalog = 0;
    StoredQueue newest_queue = 0;
    struct Segment {
        std::uint64_t number;
        std::uint64_t size;    // octets used
        bool damaged = false;  // goes aside, where others are removed
    };
    std::vector<Segment> segments;  // all that may still hold something living, oldest first
    std::optional<SegmentHead> newest_head;
    /// What lives in segments up to this one is written again, so that they can go: they are damaged, or one
    /// of them is missing.
    std::uint64_t damaged_through = 0;
    Living living;
};

struct WriterOptions {
    std::uint64_t segment_size = std::uint64_t{16} << 20;
    /// Of a segment that is made while publishers wait, because none was prepared.
    std::uint64_t hasty_size = std::uint64_t{1} << 20;
    std::uint64_t scan_at_least = std::uint64_t{1}
                                  << 20;  // octets of reclaim in a round that has nothing else
    std::size_t spare_segments = 2;
    std::chrono::milliseconds settle_delay{100};  // settles alone are synced after so long
    /// Segments that are needed no more wait so long for the next one, whose head says so without a sync
    /// more.
    std::chrono::milliseconds removal_delay{1000};
    /// Mutants, for the test that shows that it finds them.
    enum class Fault : std::uint8_t {
        none,
        confirm_before_sync,
        no_directory_sync,
        roll_without_sync,
        head_without_sync,
        remove_before_sync,
        publishes_looked_at_first,
    };
    Fault fault = Fault::none;
    std::function<void()> between_looks;  // called between the looks at the settles and at the publishes
};

/// The journal's one writer: takes what all shards have, writes it as one batch, syncs, and says how far it
/// is safe. One thread. `step` throws std::system_error when the disk fails, and the journal is over then:
/// nothing more may be promised, for what a failed sync has lost a second one does not bring back.
class Writer {
  public:
    using Clock = std::chrono::steady_clock;

    /// `streams` by shard. Starts a segment of its own when there is something to write.
    Writer(Files& files, std::vector<ShardStreams*> streams, State state, WriterOptions options);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    /// One round; false: there was nothing to do. Throws Shortage too.
    bool step(Clock::time_point now);
    /// Has a shard handed something over since?
    bool has_news() const;
    /// When `step` has something to do without anything new: settles to be synced, segments to be removed.
    /// max(): never.
    Clock::time_point next_due() const;
    /// A file of segment_size octets of zeros, made elsewhere and synced, under a name that begins with
    /// "spare-".
    void add_spare(std::string name) { spares_.add(std::move(name)); }
    /// Has something been written, and are there fewer spare segments than there should be?
    bool wants_spare() const { return file_ != -1 && spares_.wanted(); }

    /// Once something was written, when there is time: a small file for settles, so that a full disk can be
    /// drained.
    void make_reserve() {
        if (file_ != -1) spares_.make_reserve();
    }

    /// Syncs what was written, and says so in an empty batch, so that recovery can tell a torn batch from a
    /// rotten one.
    void finish();

    // ---- Any thread: where a message can be read.

    std::optional<Place> place(MessageId id) const { return living_.place(id); }
    /// Has it been written, whatever became of it since?
    bool written(MessageId id) const {
        return (id & ((std::uint64_t{1} << 56) - 1)) <= written_[id >> 56].load(std::memory_order_acquire);
    }
    /// Counts up with each batch.
    std::uint64_t batches() const { return batches_.load(std::memory_order_acquire); }
    /// Its number.
    std::uint64_t journal() const { return journal_; }
    /// The sequence of the last batch that is on the disk.
    std::uint64_t promised() const { return promised_.load(std::memory_order_relaxed); }
    /// The catalog has so many changes on the disk. Written with the next batch, so that an older catalog is
    /// known for what it is.
    void catalog_is_at(std::uint64_t changes) { catalog_.store(changes, std::memory_order_relaxed); }
    /// Behind the last batch. What is behind that place in its segment is not written yet.
    Place end() const {
        const std::uint64_t packed = end_.load(std::memory_order_acquire);
        return {packed >> 32, (packed & UINT32_MAX) * 8};
    }

    // ---- For who watches it; the writer's thread.

    std::uint64_t octets() const { return octets_; }
    std::uint64_t living_octets() const { return living_.octets(); }
    std::size_t segments() const { return segments_.size(); }

  private:
    struct Segment {
        std::uint64_t number;
        std::uint64_t size;      // octets used, its head included
        std::uint64_t capacity;  // of the file
        bool damaged = false;
    };
    struct Round {
        std::vector<std::uint64_t> settles, publishes;  // positions, by shard
        std::uint64_t size = 0;
        bool promises = false;
    };

    bool snapshot(Round& round);
    void roll(std::uint64_t least, Reserve reserve);
    /// There is no room for the round: leaves of it what frees space, settles of messages that were written
    /// before. False: nothing.
    bool leave_settles(Round& round);
    /// Octets that can be written without the publishes of the round: a record, or a transaction. 0: it
    /// cannot.
    std::size_t alone(const char* record) const;
    void gather(const Round& round);
    void write_batch(Round& round, Reserve reserve);
    void sync();
    void write_head(std::uint64_t at, Files::File file);
    /// The newest head says from now on which segment is the oldest, so that one that is missing is missed.
    bool note_oldest(std::uint64_t number);
    bool has_damage() const { return !segments_.empty() && segments_.front().number <= damaged_through_; }
    /// Damaged segments can go when there are enough behind them.
    void leave_damage_behind();
    void apply(const char* records, std::size_t size, std::uint64_t offset);
    bool reclaim_due() const;
    /// How many of the first segments are needed no more when there are so many in all.
    std::size_t dead(std::size_t segments) const;
    /// Those that the newest head says are not needed; others when they have waited, are damaged, or are
    /// many.
    bool remove_oldest(Clock::time_point now);
    /// Everything that was taken is safe.
    void tell();

    Files& files_;
    const std::vector<ShardStreams*> streams_;
    const WriterOptions options_;
    const std::uint64_t journal_;
    std::uint64_t next_segment_;
    std::uint64_t sequence_;
    std::uint64_t synced_sequence_;
    std::uint64_t previous_end_;
    std::array<std::uint64_t, most_shards> highest_;
    Living living_;
    std::deque<Segment> segments_;
    std::uint64_t octets_ = 0;           // of all segments, used
    Files::File file_ = -1;              // of the last segment; -1: it was not begun by this writer
    SegmentHead head_{};                 // of the last segment
    bool second_copy_unsynced_ = false;  // of that head
    std::uint32_t seed_ = 0;
    const std::uint64_t damaged_through_;
    bool finishing_ = false;
    bool unsynced_ = false;
    Clock::time_point unsynced_since_{};
    std::optional<Clock::time_point> removal_due_;
    Spares spares_;

    std::array<std::atomic<std::uint64_t>, most_shards> written_{};  // as highest_
    std::atomic<std::uint64_t> batches_{0};
    std::atomic<std::uint64_t> promised_{0};
    std::atomic<std::uint64_t> catalog_{0};
    std::uint64_t noted_catalog_ = 0;  // in this segment
    std::array<char, sizeof(RecordHead)> catalog_record_;
    std::size_t catalog_record_size_ = 0;  // 0: the batch has none
    std::atomic<std::uint64_t> end_{0};    // segment, and offset by 8 octets in the low half

    Reclaim reclaim_{files_, living_, journal_};
    std::vector<iovec> pieces_;
};

}  // namespace trilby::broker::journal
