// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "broker/message_pool.hpp"

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

    Chunk* lend();
    void take_back(Chunk* chunk);

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
        if (last_ == nullptr || last_->used + size > reservable) open_chunk();
        char* at = last_->bytes + last_->used;
        last_->used += static_cast<std::uint32_t>(size);
        last_->pending += static_cast<std::uint32_t>(size);
        if (Piece* piece = last_piece(); piece != nullptr && piece->data + piece->size == at) {
            piece->size += size;
        } else {
            pieces_.push_back({at, size, nullptr, last_});
        }
        size_ += size;
        copied_ += size;
        return at;
    }

    void append(std::string_view bytes);
    /// Octets of `message` itself, which is held until they are sent.
    void reference(Message* message, std::string_view bytes);

    /// Octets waiting to be sent.
    std::size_t size() const { return size_; }
    /// Of these, octets in chunks: what this connection alone costs.
    std::size_t copied() const { return copied_; }
    bool empty() const { return size_ == 0; }

    /// Fills `vectors` with what is first in line; returns how many it filled.
    std::size_t gather(std::span<iovec> vectors) const;
    /// The first `size` octets have been sent.
    void sent(std::size_t size);
    void clear();

  private:
    struct Piece {
        const char* data;
        std::size_t size;
        Message* message;         // of a reference
        ChunkPool::Chunk* chunk;  // of a copy
    };

    Piece* last_piece() { return first_ == pieces_.size() ? nullptr : &pieces_.back(); }
    void open_chunk();

    ChunkPool& chunks_;
    MessagePool& messages_;
    std::vector<Piece> pieces_;  // from first_
    std::size_t first_ = 0;
    ChunkPool::Chunk* last_ = nullptr;  // being filled
    std::size_t size_ = 0;
    std::size_t copied_ = 0;
};

}  // namespace trilby::broker
