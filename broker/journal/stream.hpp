// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include <sys/uio.h>

namespace trilby::broker::journal {

/// Records on their way from a shard to the writer: one producer, one consumer, first in, first out, in
/// chunks, so that a record lies in one piece however large it is. It has no end of its own: who fills it
/// asks `unwritten` and stops reading publishers.
class Stream {
  public:
    static constexpr std::size_t chunk_size = std::size_t{256} << 10;

    Stream() : head_(new_chunk(chunk_size)), tail_chunk_(head_), tail_data_(head_->data()) {}
    ~Stream() {
        for (Chunk* chunk = head_; chunk != nullptr;) {
            Chunk* next = chunk->next.load(std::memory_order_relaxed);
            delete_chunk(chunk);
            chunk = next;
        }
        if (Chunk* spare = spare_.load(std::memory_order_relaxed)) delete_chunk(spare);
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // ---- The shard's thread.

    /// Room for a record of `size` octets, a multiple of 8. Good until `push`.
    char* reserve(std::size_t size) {
        if (static_cast<std::size_t>(tail_data_ - tail_chunk_->data()) + size > tail_chunk_->capacity) {
            Chunk* next = nullptr;
            if (size <= chunk_size) next = spare_.exchange(nullptr, std::memory_order_acquire);
            if (next == nullptr) next = new_chunk(std::max(size, chunk_size));
            tail_chunk_->used = static_cast<std::size_t>(tail_data_ - tail_chunk_->data());
            tail_chunk_->next.store(next, std::memory_order_release);
            tail_chunk_ = next;
            tail_data_ = next->data();
        }
        return tail_data_;
    }
    /// Hands over what was reserved last.
    void push(std::size_t size) {
        tail_data_ += size;
        tail_.store(tail_.load(std::memory_order_relaxed) + size, std::memory_order_release);
    }
    /// Octets pushed so far: the position behind the last record.
    std::uint64_t position() const { return tail_.load(std::memory_order_relaxed); }
    /// Octets that the writer has not taken yet.
    std::uint64_t unwritten() const { return position() - taken_.load(std::memory_order_acquire); }

    // ---- The writer's thread.

    std::uint64_t tail() const { return tail_.load(std::memory_order_acquire); }
    std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }
    /// Appends pieces that cover everything up to the position `end`, whole records each.
    void gather(std::uint64_t end, std::vector<iovec>& pieces) const {
        Chunk* chunk = head_;
        std::size_t at = head_at_;
        for (std::uint64_t left = end - taken(); left != 0;) {
            const Chunk* next = chunk->next.load(std::memory_order_acquire);
            const std::size_t there =
                next == nullptr ? left : std::min<std::uint64_t>(chunk->used - at, left);
            if (there != 0) pieces.push_back({chunk->data() + at, there});
            left -= there;
            if (left == 0) return;
            chunk = chunk->next.load(std::memory_order_acquire);
            at = 0;
        }
    }
    /// What lies before `end` is no longer needed here.
    void take(std::uint64_t end) {
        for (std::uint64_t left = end - taken(); left != 0;) {
            Chunk* next = head_->next.load(std::memory_order_acquire);
            const std::size_t there =
                next == nullptr ? left : std::min<std::uint64_t>(head_->used - head_at_, left);
            head_at_ += there;
            left -= there;
            if (next == nullptr || head_at_ != head_->used) continue;
            give_back(head_);
            head_ = next;
            head_at_ = 0;
        }
        taken_.store(end, std::memory_order_release);
    }

  private:
    struct Chunk {
        std::atomic<Chunk*> next{nullptr};
        std::size_t capacity;
        std::size_t used = 0;  // set before next
        char* data() { return reinterpret_cast<char*>(this + 1); }
        const char* data() const { return reinterpret_cast<const char*>(this + 1); }
    };
    static Chunk* new_chunk(std::size_t capacity) {
        Chunk* chunk = new (::operator new(sizeof(Chunk) + capacity)) Chunk;
        chunk->capacity = capacity;
        return chunk;
    }
    static void delete_chunk(Chunk* chunk) {
        chunk->~Chunk();
        ::operator delete(chunk);
    }
    void give_back(Chunk* chunk) {
        if (chunk->capacity == chunk_size) {
            chunk->next.store(nullptr, std::memory_order_relaxed);
            chunk = spare_.exchange(chunk, std::memory_order_release);
        }
        if (chunk != nullptr) delete_chunk(chunk);
    }

    Chunk* head_;  // the writer's
    std::size_t head_at_ = 0;
    alignas(64) Chunk* tail_chunk_;  // the shard's
    char* tail_data_;
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    alignas(64) std::atomic<std::uint64_t> taken_{0};
    std::atomic<Chunk*> spare_{nullptr};
};

}  // namespace trilby::broker::journal
