// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace trilby::routing {

/// Open addressing with linear probing; erasing moves later slots back, so there are no tombstones and a
/// table that has been emptied is as fast as a new one. At most `most_taken` slots in a hundred are taken. A
/// Slot has `bool vacant() const` (true when default-constructed) and `std::uint32_t home() const`, its hash.
template <class Slot, std::size_t most_taken = 60>
class FlatTable {
  public:
    template <class Equal>
    Slot* find(std::uint32_t home, Equal equal) {
        return const_cast<Slot*>(std::as_const(*this).find(home, equal));
    }

    template <class Equal>
    const Slot* find(std::uint32_t home, Equal equal) const {
        if (slots_.empty()) return nullptr;
        for (std::size_t i = home & mask_;; i = (i + 1) & mask_) {
            const Slot& slot = slots_[i];
            if (slot.vacant()) return nullptr;
            if (equal(slot)) return &slot;
        }
    }

    /// The slot must not be there yet. Pointers to slots are void after it.
    Slot& insert(const Slot& slot) {
        reserve(1);
        ++size_;
        return place(slot);
    }
    /// The next `count` calls of `insert` need no memory.
    void reserve(std::size_t count) {
        while ((size_ + count) * 100 > slots_.size() * most_taken) grow();
    }

    void erase(Slot* slot) {
        std::size_t hole = static_cast<std::size_t>(slot - slots_.data());
        for (std::size_t i = (hole + 1) & mask_; !slots_[i].vacant(); i = (i + 1) & mask_) {
            const std::size_t home = slots_[i].home() & mask_;
            if (((i - home) & mask_) < ((i - hole) & mask_)) continue;  // would stand before its home
            slots_[hole] = slots_[i];
            hole = i;
        }
        slots_[hole] = Slot{};
        --size_;
    }

    void prefetch(std::uint32_t home) const {
        if (!slots_.empty()) __builtin_prefetch(&slots_[home & mask_]);
    }

    std::size_t size() const { return size_; }
    std::size_t capacity() const { return slots_.size(); }
    const std::vector<Slot>& slots() const { return slots_; }

  private:
    Slot& place(const Slot& slot) {
        std::size_t i = slot.home() & mask_;
        while (!slots_[i].vacant()) i = (i + 1) & mask_;
        return slots_[i] = slot;
    }

    void grow() {
        std::vector<Slot> old(slots_.empty() ? 8 : slots_.size() * 2);
        old.swap(slots_);
        mask_ = slots_.size() - 1;
        for (const Slot& slot : old) {
            if (!slot.vacant()) place(slot);
        }
    }

    std::vector<Slot> slots_;  // a power of two of them
    std::size_t mask_ = 0;
    std::size_t size_ = 0;
};

/// Points from a hash to a record that stands elsewhere.
struct IndexSlot {
    static constexpr std::uint32_t none = 0xFFFF'FFFF;
    std::uint32_t hash = 0;
    std::uint32_t value = none;

    bool vacant() const { return value == none; }
    std::uint32_t home() const { return hash; }
};

template <std::size_t most_taken>
class BasicIndex {
  public:
    static constexpr std::uint32_t none = IndexSlot::none;

    /// `equal` is asked only where all 32 bits of the hash agree.
    template <class Equal>
    std::uint32_t find(std::uint32_t hash, Equal equal) const {
        const auto* slot =
            table_.find(hash, [&](const IndexSlot& each) { return each.hash == hash && equal(each.value); });
        return slot ? slot->value : none;
    }
    void insert(std::uint32_t hash, std::uint32_t value) { table_.insert({hash, value}); }
    /// The next `insert` needs no memory.
    void make_room() { table_.reserve(1); }
    void erase(std::uint32_t hash, std::uint32_t value) {
        auto* slot = table_.find(hash, [&](const IndexSlot& each) { return each.value == value; });
        if (slot) table_.erase(slot);
    }
    std::size_t size() const { return table_.size(); }

  private:
    FlatTable<IndexSlot, most_taken> table_;
};

/// Dense, for what is asked when bindings change.
using FlatIndex = BasicIndex<80>;
/// Fast, for what is asked when messages come.
using SparseIndex = BasicIndex<50>;

}  // namespace trilby::routing
