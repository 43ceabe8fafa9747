// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/journal/journal.hpp"
#include "broker/message/arrival.hpp"
#include "broker/storage/background_io.hpp"
#include "broker/storage/block_cache.hpp"
#include "broker/storage/kept.hpp"
#include "broker/storage/spill.hpp"

namespace trilby::broker {

/// Where the messages are that wait in a shard's queues: in memory up to a budget; beyond it, those of the
/// journal are read back from there when their turn comes, others go to a spill file. One shard's thread.
///
/// Reading never waits for the disk: what the system has not in its cache is asked of BackgroundIo, and the
/// queue is looked at again when `moved`.
class Bodies {
  public:
    struct Limits {
        std::uint64_t memory;      // octets of messages
        std::size_t cache_blocks;  // of BlockCache::block_size
    };

    Bodies(MessagePool& messages, Limits limits);
    ~Bodies();
    Bodies(const Bodies&) = delete;
    Bodies& operator=(const Bodies&) = delete;

    /// Before the threads start; without these everything stays in memory.
    void read_from(journal::End& journal) { journal_ = &journal; }
    void spill_to(std::filesystem::path directory, BackgroundIo& io, ShardIndex shard);

    /// For a queue that keeps the message. `durable`: of a durable queue, for which the journal has it if it
    /// has it at all. `first`: nothing waits before it, so it is kept in memory whatever the budget says.
    Kept keep(Arrival& arrival, bool durable, bool first) {
        if (octets_ >= limits_.memory && !first)
            if (const Kept kept = keep_on_disk(arrival, durable); kept != Kept{}) return kept;
        Message* message = arrival.keep();
        octets_ += message->weight();
        taken_ += entry_size;
        return Kept(message);
    }
    /// The same for one that is handed out at once: what would have to be spilled, and then is settled before
    /// anybody reads it, has more room in memory.
    Kept keep_handed_out(Arrival& arrival, bool durable) {
        const bool in_journal = durable && arrival.stored() != 0;
        return keep(arrival, durable, !in_journal && octets_ < 2 * limits_.memory);
    }
    void drop(Kept kept) {
        if (kept.in_memory()) {
            octets_ -= kept.message()->weight();
            messages_.release(kept.message());
        } else {
            drop_on_disk(kept);
        }
    }

    /// A queue takes its messages to another shard: not one that is spilled, for the file stays here.
    void hand_over(Kept kept) {
        if (kept.in_memory()) {
            octets_ -= kept.message()->weight();
        } else {
            drop_on_disk(kept);
        }
    }
    /// … and is here: what is kept of it from now on. What is beyond the budget does not stay in memory.
    Kept take_over(Kept kept, bool durable);

    /// A message of the journal that waited when the broker started.
    Kept restore(std::uint64_t stored) {
        ++in_journal_;
        return Kept::stored(stored);
    }

    /// Is so much on its way to the spill file that who adds to it has to pause? Ends some time after
    /// `moved`.
    bool is_behind() const { return behind_; }
    /// Has something been added meanwhile? Once for each.
    bool added_while_behind() { return added_while_behind_ && std::exchange(added_while_behind_, false); }

    /// Octets of memory and disk that were taken so far besides what was received: what the spill file got,
    /// and the entries of queues, of which one publish may fill many.
    std::uint64_t taken() const { return taken_; }

    enum class Missing : std::uint8_t {
        not_yet,  // to be tried again when `moved`
        lost,     // damaged on the disk; it has been reported
    };
    /// The octets of one that is not in memory, good until the next call.
    std::expected<Publication, Missing> read(Kept kept);

    /// May what was not there be there now? From any state of sleep: a shard that has got `not_yet` is woken.
    bool moved() const {
        return completed_.load(std::memory_order_seq_cst) != seen_ ||
               (waits_for_journal_ && journal_->batches() != seen_batches_);
    }
    /// Before trying again.
    void look();

  private:
    struct Reading {
        std::uint64_t file;
        std::uint64_t offset;
        BackgroundIo::Request request;
    };
    /// Octets of a file that may be read, up to `end`.
    struct Source {
        std::uint64_t number = UINT64_MAX;  // of the segment; 0: the spill file
        int file = -1;
        std::uint64_t end = 0;
    };
    struct OpenSegment {
        std::uint64_t number;
        int file;
    };
    enum class Got : std::uint8_t { all, some, not_yet };
    enum class Opened : std::uint8_t { done, gone, not_yet };

    Kept keep_on_disk(Arrival& arrival, bool durable);
    void drop_on_disk(Kept kept);
    std::expected<Publication, Missing> read_stored(std::uint64_t id);
    std::expected<Publication, Missing> read_spilled(std::uint64_t place);
    /// The whole record of that id at `offset`. Null: there is another one, or none.
    std::expected<const char*, Missing> record(const Source& source, std::uint64_t offset, std::uint64_t id);
    Got fill(const Source& source, BlockCache::Block& block, std::size_t needed);
    Got read_at(const Source& source, std::uint64_t offset, char* to, std::size_t& got, std::size_t size);
    Opened open_segment(std::uint64_t number, int& file);
    bool is_being_read(std::uint64_t file, std::uint64_t offset) const;
    /// A request whose end makes the waiting queues try again; none if there are many already, and theirs
    /// will.
    void ask(const Source& source, std::uint64_t offset, std::uint64_t size);
    void try_again_later() { ask({}, 0, 0); }
    void forget_long_record();
    void close_segment(std::uint64_t number);

    MessagePool& messages_;
    const Limits limits_;
    /// A number grows in doubled rings.
    static constexpr std::uint64_t entry_size = 2 * sizeof(Kept);
    std::uint64_t octets_ = 0;
    std::uint64_t taken_ = 0;
    journal::End* journal_ = nullptr;
    BackgroundIo* io_ = nullptr;
    ShardIndex shard_ = 0;
    BlockCache cache_;
    std::unique_ptr<Spill> spill_;
    bool behind_ = false;
    bool added_while_behind_ = false;
    std::uint64_t in_journal_ = 0;       // messages that are only there
    std::vector<OpenSegment> segments_;  // the last used at the end
    std::vector<std::unique_ptr<Reading>> reading_;
    std::uint64_t asked_file_ = 0, asked_offset_ = 0;  // last
    std::string long_record_;                          // longer than a block of the cache
    bool can_look_ = true;  // the system can read what is in its cache without waiting for more
    std::uint32_t seen_ = 0;
    bool waits_for_journal_ = false;
    std::uint64_t seen_batches_ = 0;
    alignas(64) std::atomic<std::uint32_t> completed_{0};
};

}  // namespace trilby::broker
