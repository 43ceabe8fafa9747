// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "broker/ids/ids.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

/// Which numbers queues get: one for life, of 40 bits, that is never given again, and a slot of 24 bits that
/// the next one may have.
class QueueNumbers {
  public:
    /// `last`: the number for life that was given last. `most`: queues that exist at a time.
    explicit QueueNumbers(std::uint64_t last = 0, std::uint64_t most = slot_limit)
        : last_(last), most_(most) {}

    void begin_behind(std::uint64_t last) { last_ = std::max(last_, last); }
    bool has_room() const {
        constexpr std::uint64_t last = UINT64_MAX >> slot_bits;
        return slots_ - free_.size() < most_ && last_ < last;
    }
    /// There must be room. `known`: the number for life that the queue had before; 0: a new one. Throws
    /// std::bad_alloc with nothing changed.
    QueueId take(std::uint64_t known = 0) {
        std::uint32_t slot;
        if (free_.empty()) {
            make_room(free_, std::size_t{slots_} + 1);  // for when it is given back
            slot = slots_++;
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        if (known == 0) known = last_ + 1;
        begin_behind(known);
        return QueueId{known << slot_bits | slot};
    }
    /// The queue has gone: another one may have its slot. Needs no memory.
    void give_back(QueueId queue) { free_.push_back(slot_of(queue)); }

  private:
    std::uint64_t last_;
    const std::uint64_t most_;
    std::vector<std::uint32_t> free_;
    std::uint32_t slots_ = 0;
};

}  // namespace trilby::broker
