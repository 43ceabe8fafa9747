// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "broker/message/arrival.hpp"
#include "broker/message/message.hpp"
#include "broker/storage/background_io.hpp"
#include "broker/storage/block_cache.hpp"

namespace trilby::broker {

/// One shard's file for waiting messages that are not in the journal: records as the journal's, in blocks, a
/// message larger than one in several of its own. It has no name, is never synced, and goes with the broker.
///
///     block   being filled (memory) → being written (memory) → in the file → free
///
/// One shard's thread, but for what BackgroundIo writes.
class Spill {
  public:
    static constexpr std::size_t block_size = BlockCache::block_size;

    /// A place by its block and the offset in it, by 8 octets.
    static constexpr unsigned offset_bits = 13;
    static std::uint64_t block_of(std::uint64_t place) { return place >> offset_bits; }
    static std::size_t offset_of(std::uint64_t place) {
        return static_cast<std::size_t>(place & ((1u << offset_bits) - 1)) * 8;
    }

    /// The file is made in `directory` when it is first needed. `completed` counts up when something was
    /// written.
    Spill(std::filesystem::path directory, BackgroundIo& io, ShardIndex shard,
          std::atomic<std::uint32_t>& completed, BlockCache& cache);
    ~Spill();
    Spill(const Spill&) = delete;
    Spill& operator=(const Spill&) = delete;

    /// Where the message is from now on; none: the disk is full, has failed, or is far behind, and the
    /// message has to stay in memory.
    std::optional<Spilled> add(const Publication& publication);
    /// The same message for another queue: it is removed once for each. False: it may be gone already, or no
    /// more of them can be counted.
    bool add_again(const Spilled& spilled);
    void remove(std::uint64_t place);
    /// The record, if it has not left memory yet, else null: it is in `file` at block_of * block_size +
    /// offset_of.
    const char* in_memory(std::uint64_t place) const;
    int file() const { return file_; }
    /// Octets on their way to the file; none when it has failed, for then they stay where they are.
    std::size_t being_written() const { return failed_ ? 0 : writing_octets_; }
    /// After `completed` has moved.
    void collect();

  private:
    struct Extent {
        std::uint32_t living = 0;  // messages, each as often as queues have it
        std::uint32_t blocks = 0;  // 0: not the first block of one
    };
    struct Writing {
        std::uint64_t block;
        std::unique_ptr<char[]> octets;
        BackgroundIo::Request request;
    };

    bool open();
    std::optional<std::uint64_t> allocate(std::uint32_t blocks);
    void free(std::uint64_t block);
    /// Whole blocks, with zeros behind what is filled: ends that are never written would cut the file into as
    /// many pieces as it has messages, and a file system takes many times as long to free those.
    void write(std::uint64_t block, std::unique_ptr<char[]> octets, std::size_t filled, std::size_t size);

    const std::filesystem::path directory_;
    BackgroundIo& io_;
    const ShardIndex shard_;
    std::atomic<std::uint32_t>& completed_;
    BlockCache& cache_;
    int file_ = -1;
    bool failed_ = false;
    bool complained_ = false;  // that there is no file
    std::uint64_t messages_ = 0;
    std::uint64_t removals_ = 0;
    std::uint32_t refusals_left_ = 0;  // after a full disk, so that it is not asked for every message

    std::vector<Extent> extents_;                  // by block, to the end of what is in use
    std::map<std::uint64_t, std::uint64_t> free_;  // block → how many in a row, all below the end
    std::uint64_t room_ = 0;                       // blocks that the file has space for
    std::uint64_t filling_ = 0;                    // the block, if filling_octets_
    std::unique_ptr<char[]> filling_octets_;
    std::size_t filled_ = 0;
    std::vector<std::unique_ptr<Writing>> writing_;
    std::size_t writing_octets_ = 0;
};

}  // namespace trilby::broker
