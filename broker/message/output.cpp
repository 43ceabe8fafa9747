// SPDX-License-Identifier: Apache-2.0
#include "broker/message/output.hpp"

#include <algorithm>
#include <cstring>

namespace trilby::broker {

ChunkPool::Chunk* ChunkPool::lend() {
    if (free_.empty()) return new Chunk;  // default-initialised: the octets are not touched
    Chunk* chunk = free_.back().release();
    free_.pop_back();
    chunk->used = chunk->pending = 0;
    return chunk;
}

void ChunkPool::take_back(Chunk* chunk) noexcept {
    if (free_.size() < kept) {
        free_.emplace_back(chunk);
    } else {
        delete chunk;
    }
}

void Output::open_chunk() {
    // A chunk that is full and wholly sent was given back by sent(); this one still has octets under way.
    last_ = chunks_.lend();
}

void Output::append(std::string_view bytes) {
    append_whole([&] {
        while (!bytes.empty()) {
            const std::size_t part = std::min(bytes.size(), reservable);
            std::memcpy(reserve(part), bytes.data(), part);
            bytes.remove_prefix(part);
        }
    });
}

void Output::take_back(std::size_t size) {
    size_ -= size;
    while (size != 0) {
        Piece& piece = pieces_.back();
        const auto part = static_cast<std::uint32_t>(std::min<std::size_t>(size, piece.size));
        piece.size -= part;
        size -= part;
        if (piece.owed) owed_ -= part;
        if (piece.chunk != nullptr) {
            piece.chunk->used -= part;
            piece.chunk->pending -= part;
            if (piece.chunk->pending == 0) {
                if (piece.chunk == last_) last_ = nullptr;
                chunks_.take_back(piece.chunk);
            }
        }
        if (piece.size != 0) continue;
        if (piece.message != nullptr) messages_.release(piece.message);
        pieces_.pop_back();
    }
}

void Output::reference(Message* message, std::string_view bytes, bool owed) {
    pieces_.push_back({bytes.data(), static_cast<std::uint32_t>(bytes.size()), owed, message, nullptr});
    message->hold();
    size_ += bytes.size();
    if (owed) owed_ += bytes.size();
}

std::size_t Output::gather(std::span<iovec> vectors) const {
    const std::size_t count = std::min(vectors.size(), pieces_.size() - first_);
    for (std::size_t i = 0; i < count; ++i) {
        const Piece& piece = pieces_[first_ + i];
        vectors[i] = {const_cast<char*>(piece.data), piece.size};
    }
    return count;
}

void Output::sent(std::size_t size) {
    size_ -= size;
    while (size != 0) {
        Piece& piece = pieces_[first_];
        const auto part = static_cast<std::uint32_t>(std::min<std::size_t>(size, piece.size));
        piece.data += part;
        piece.size -= part;
        size -= part;
        if (piece.owed) owed_ -= part;
        if (piece.chunk != nullptr) {
            piece.chunk->pending -= part;
            if (piece.chunk->pending == 0) {
                if (piece.chunk == last_) last_ = nullptr;
                chunks_.take_back(piece.chunk);
                piece.chunk = nullptr;
            }
        }
        if (piece.size == 0) {
            if (piece.message != nullptr) messages_.release(piece.message);
            ++first_;
        }
    }
    if (first_ == pieces_.size()) {
        first_ = 0;
        pieces_.clear();
        if (pieces_.capacity() > 1024) pieces_.shrink_to_fit();
    } else if (first_ > 256 && first_ * 2 > pieces_.size()) {
        pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

void Output::clear() {
    sent(size_);
}

}  // namespace trilby::broker
