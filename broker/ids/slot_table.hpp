// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

/// Values found by an id of ids.hpp. T is a pointer, owned or not; an id that was taken out finds nothing.
template <class Id, class T>
class SlotTable {
  public:
    explicit SlotTable(ShardIndex shard, std::uint64_t most = slot_limit) : shard_(shard), most_(most) {}

    bool full() const { return size() >= most_; }
    /// Throws std::length_error when it is full.
    Id insert(T value) {
        if (full()) throw std::length_error("a shard has no number left for another one");
        std::uint32_t slot;
        if (free_.empty()) {
            slot = static_cast<std::uint32_t>(slots_.size());
            // Whoever takes a value out, at its end, needs no memory for it.
            if (free_.capacity() <= slot) free_.reserve(2 * (std::size_t{slot} + 1));
            slots_.push_back({});
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        counter_ = counter_ == UINT32_MAX ? 1 : counter_ + 1;
        const Id id{std::uint64_t{shard_} << 56 | std::uint64_t{counter_} << slot_bits | slot};
        slots_[slot] = {id, std::move(value)};
        return id;
    }

    /// Null if it is gone.
    auto find(Id id) const -> decltype(&*std::declval<const T&>()) {
        const std::uint32_t slot = slot_of(id);
        if (slot >= slots_.size() || slots_[slot].id != id) return nullptr;
        return &*slots_[slot].value;
    }

    T take(Id id) {
        Slot& slot = slots_[slot_of(id)];
        assert(slot.id == id);
        slot.id = Id{};
        free_.push_back(slot_of(id));
        return std::exchange(slot.value, T{});
    }

    std::size_t size() const { return slots_.size() - free_.size(); }

    /// In no order. `visit` must not insert or take.
    template <class F>
    void each(F visit) const {
        for (const Slot& slot : slots_)
            if (slot.id != Id{}) visit(*slot.value);
    }

  private:
    struct Slot {
        Id id{};
        T value{};
    };
    const ShardIndex shard_;
    const std::uint64_t most_;
    std::uint32_t counter_ = 0;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
};

}  // namespace trilby::broker
