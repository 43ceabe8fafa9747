// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "broker/message/pool.hpp"

namespace trilby::broker {

/// The 64 KiB chunks that a shard lends to the outputs of its connections. An idle connection holds none.
class ChunkPool {
  public:
    static constexpr std::size_t chunk_size = std::size_t{64} << 10;

    struct Chunk {
        std::uint32_t used = 0;     // octets written
        std::uint32_t pending = 0;  // octets not yet sent
        char bytes[chunk_size - 8];
    };

    ChunkPool() { free_.reserve(kept); }

    Chunk* lend();
    void take_back(Chunk* chunk) noexcept;

  private:
    static constexpr std::size_t kept = 64;
    std::vector<std::unique_ptr<Chunk>> free_;
};

/// What a connection has yet to send, in order: spans of lent chunks, and bodies large enough to be
/// referenced in their message instead of copied. One shard's thread.
class Output {
  public:
    /// The most that `reserve` gives.
    static constexpr std::size_t reservable = sizeof(ChunkPool::Chunk::bytes);

    Output(ChunkPool& chunks, MessagePool& messages) : chunks_(chunks), messages_(messages) {}
    ~Output() { clear(); }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    /// `size` octets in a row to be written at once; they count as appended. size ≤ reservable.
    char* reserve(std::size_t size) {
        if (pieces_.size() == pieces_.capacity()) pieces_.reserve(2 * pieces_.size() + 1);
        if (last_ == nullptr || last_->used + size > reservable) open_chunk();
        char* at = last_->bytes + last_->used;
        if (Piece* piece = last_piece(); piece != nullptr && piece->data + piece->size == at) {
            piece->size += static_cast<std::uint32_t>(size);
        } else {
            pieces_.push_back({at, static_cast<std::uint32_t>(size), true, nullptr, last_});
        }
        last_->used += static_cast<std::uint32_t>(size);
        last_->pending += static_cast<std::uint32_t>(size);
        size_ += size;
        owed_ += size;
        return at;
    }

    /// All of them, or none if memory is lacking.
    void append(std::string_view bytes);
    /// Octets of `message` itself, which is held until they are sent; no more than a frame. `owed`: nothing
    /// but this output bounds how many there are, for no consumer's limit counts them.
    void reference(Message* message, std::string_view bytes, bool owed);
    /// What `write` appends, whole, or nothing of it if it throws: half a frame would spoil all that follow.
    template <class Write>
    void append_whole(Write write) {
        const std::size_t before = size_;
        try {
            write();
        } catch (...) {
            take_back(size_ - before);
            throw;
        }
    }

    /// Octets waiting to be sent.
    std::size_t size() const { return size_; }
    /// Of these, what was copied, and what was referenced as owed.
    std::size_t owed() const { return owed_; }
    bool empty() const { return size_ == 0; }

    /// Fills `vectors` with what is first in line; returns how many it filled.
    std::size_t gather(std::span<iovec> vectors) const;
    /// The first `size` octets have been sent.
    void sent(std::size_t size);
    void clear();

  private:
    struct Piece {
        const char* data;
        std::uint32_t size;
        bool owed;
        Message* message;         // of a reference
        ChunkPool::Chunk* chunk;  // of a copy
    };

    Piece* last_piece() { return first_ == pieces_.size() ? nullptr : &pieces_.back(); }
    void open_chunk();
    /// The last `size` octets, which were not sent.
    void take_back(std::size_t size);

    ChunkPool& chunks_;
    MessagePool& messages_;
    std::vector<Piece> pieces_;  // from first_
    std::size_t first_ = 0;
    ChunkPool::Chunk* last_ = nullptr;  // being filled
    std::size_t size_ = 0;
    std::size_t owed_ = 0;
};

}  // namespace trilby::broker
