// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "protocol/room.hpp"

namespace trilby::routing {

/// Records with a number that stays theirs, in chunks that never move: growing copies nothing, and a
/// reference holds until its record is removed. Removing needs no memory.
template <class Record, std::size_t chunk_bits = 8>
class Slab {
  public:
    std::uint32_t add() {
        if (!free_.empty()) {
            const std::uint32_t index = free_.back();
            free_.pop_back();
            return index;
        }
        if (end_ == chunks_.size() << chunk_bits) add_chunk();
        return static_cast<std::uint32_t>(end_++);
    }
    /// The next `count` calls of `add` need no memory.
    void reserve(std::size_t count) {
        while (free_.size() + (chunks_.size() << chunk_bits) - end_ < count) add_chunk();
    }

    void remove(std::uint32_t index) {
        (*this)[index] = Record{};
        free_.push_back(index);
    }

    Record& operator[](std::uint32_t index) { return chunks_[index >> chunk_bits][index & (chunk_size - 1)]; }
    const Record& operator[](std::uint32_t index) const {
        return chunks_[index >> chunk_bits][index & (chunk_size - 1)];
    }

    void prefetch(std::uint32_t index) const { __builtin_prefetch(&(*this)[index]); }

    std::size_t size() const { return end_ - free_.size(); }
    std::size_t end() const { return end_; }  ///< one more than the highest number ever in use

  private:
    static constexpr std::size_t chunk_size = std::size_t{1} << chunk_bits;

    void add_chunk() {
        make_room(free_, (chunks_.size() + 1) << chunk_bits);
        chunks_.push_back(std::make_unique<Record[]>(chunk_size));
    }

    std::vector<std::unique_ptr<Record[]>> chunks_;
    std::vector<std::uint32_t> free_;
    std::size_t end_ = 0;
};

}  // namespace trilby::routing
