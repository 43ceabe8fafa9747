// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "broker/message/message.hpp"

namespace trilby::broker {

/// The memory of one shard's messages: blocks of a size class carved from aligned slabs, so that a slab whose
/// last block is freed goes back to the system and a drained backlog leaves no memory behind.
///
/// Every member is for the owning shard's thread, but for `returned`, which other shards push to. A message
/// that another shard frees waits in that shard's own list until its turn ends (`flush`), and costs one
/// compare-exchange a turn.
class MessagePool {
  public:
    static constexpr std::uint8_t huge = 0xFF;  // size class of a block that is allocated by itself

    explicit MessagePool(std::uint8_t shard);
    ~MessagePool();
    MessagePool(const MessagePool&) = delete;
    MessagePool& operator=(const MessagePool&) = delete;

    /// The pools of all shards, in order; before any message crosses.
    void know(std::vector<MessagePool*> all);

    /// A message with one reference, sizes filled in, octets unset. Throws std::bad_alloc when the machine
    /// has no more.
    Message* allocate(std::size_t names_size, std::uint32_t header_frame_size, std::uint32_t body_size);
    /// The publication copied.
    Message* copy(const Publication& publication);

    /// Drops `count` references. The message may belong to any shard.
    void release(Message* message, std::uint32_t count = 1) {
        // The only holder needs no read-modify-write: nobody else can add to the count.
        if (message->references.load(std::memory_order_acquire) != count &&
            message->references.fetch_sub(count, std::memory_order_acq_rel) != count)
            return;
        free(message);
    }

    /// Once a turn: gives other shards' messages back, takes what they gave.
    void flush() {
        if (foreign_ != 0) give_back();
        if (returned_.load(std::memory_order_relaxed) != nullptr) take_returned();
    }

    /// Messages allocated here less those freed here. Only the sum over all shards means something: how many
    /// are alive.
    std::int64_t balance() const { return balance_; }
    /// Octets held from the system, used or not.
    std::size_t footprint() const { return footprint_; }

  private:
    struct Block {
        Block* next;
    };
    struct Slab;
    struct SizeClass {
        Slab* partial = nullptr;  // slabs with a free block, doubly linked; the first is allocated from
        std::uint32_t block_size = 0;
    };

    static std::uint8_t class_of(std::size_t size);
    void free(Message* message);
    void free_here(Message* message);
    Slab* fresh_slab(std::uint8_t size_class);
    void retire(Slab* slab);
    void give_back();
    void take_returned();

    static constexpr std::size_t classes = 16 + 24;  // to 1 KiB by 64, to 7 KiB by 256
    const std::uint8_t shard_;
    std::array<SizeClass, classes> classes_;
    std::vector<Slab*> spare_;  // empty slabs kept for any class
    std::size_t footprint_ = 0;
    std::int64_t balance_ = 0;
    std::vector<MessagePool*> pools_;
    std::vector<Block*> foreign_heads_;
    std::vector<Block*> foreign_tails_;
    std::size_t foreign_ = 0;
    alignas(64) std::atomic<Block*> returned_{nullptr};
};

}  // namespace trilby::broker
