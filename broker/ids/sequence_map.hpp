// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <utility>

namespace trilby::broker {

/// Values under consecutive numbers, added at the end and taken out anywhere, mostly near the front: a
/// queue's entries, a channel's unacknowledged deliveries. Reached by number without search.
///
///     strays (map)          ring of slots, base_ … end_
///     {7} {19}      …       [40][  ][42][43][  ][45]
///
/// T is cheap to move, and T{} means "nothing here". A few old values among many that went would pin a long
/// ring, so when less than a quarter of it is alive the oldest move to a map: memory stays in proportion to
/// what is alive.
template <class T>
class SequenceMap {
  public:
    using Number = std::uint64_t;

    explicit SequenceMap(Number first = 0) : base_(first), end_(first) {}

    /// The next `push_back` needs no memory.
    void make_room() {
        if (end_ - base_ == capacity_) grow();
    }
    Number push_back(T value) {
        make_room();
        slot(end_) = value;
        ++alive_;
        return end_++;
    }

    /// The next number with nothing under it.
    Number skip() {
        if (base_ == end_) {
            ++base_;
            return end_++;
        }
        make_room();
        ++end_;
        tidy();
        return end_ - 1;
    }

    /// Null if there is nothing under that number.
    T* find(Number number) {
        if (number >= base_) {
            if (number >= end_) return nullptr;
            T& value = slot(number);
            return value == T{} ? nullptr : &value;
        }
        if (strays_.empty()) return nullptr;
        const auto found = strays_.find(number);
        return found == strays_.end() ? nullptr : &found->second;
    }

    /// There must be something under that number. Needs no memory.
    T take(Number number) {
        --alive_;
        if (number < base_) {
            const auto found = strays_.find(number);
            assert(found != strays_.end());
            const T value = found->second;
            strays_.erase(found);
            return value;
        }
        T value = slot(number);
        assert(!(value == T{}));
        slot(number) = T{};
        if (number == base_) skip_gone();
        tidy();
        return value;
    }

    /// Calls visit(value) for what is there from `first` up to `end`, in order, and takes it out. What
    /// `visit` throws for stays, and what follows. It must not touch this map. Needs no memory.
    template <class F>
    void take_each(Number first, Number end, F visit) {
        for (auto stray = strays_.lower_bound(first); stray != strays_.end() && stray->first < end;
             stray = strays_.erase(stray), --alive_)
            visit(stray->second);
        if (end > end_) end = end_;
        const bool from_base = first <= base_;
        Number number = from_base ? base_ : first;
        if (number >= end) return;
        const auto taken = [&] {
            if (from_base) base_ = number;
            skip_gone();
            tidy();
        };
        try {
            for (; number < end; ++number) {
                T& value = slot(number);
                if (value == T{}) continue;
                visit(value);
                value = T{};
                --alive_;
            }
        } catch (...) {
            taken();
            throw;
        }
        taken();
    }

    std::size_t size() const { return alive_; }
    bool empty() const { return alive_ == 0; }
    Number end() const { return end_; }
    /// The lowest number in use; `end()` if none.
    Number first() const { return strays_.empty() ? base_ : strays_.begin()->first; }
    /// The lowest number in use that is not below `from`; `end()` if none. The values between are skipped one
    /// by one.
    Number next(Number from) const {
        if (from < base_) {
            const auto stray = strays_.lower_bound(from);
            if (stray != strays_.end()) return stray->first;
            from = base_;
        }
        while (from < end_ && slot(from) == T{}) ++from;
        return from;
    }

  private:
    T& slot(Number number) { return slots_[number & (capacity_ - 1)]; }
    const T& slot(Number number) const { return slots_[number & (capacity_ - 1)]; }

    void skip_gone() {
        while (base_ < end_ && slot(base_) == T{}) ++base_;
        if (capacity_ > 1024 && end_ - base_ < capacity_ / 8)
            move_to(std::unique_ptr<T[]>(new (std::nothrow) T[capacity_ / 4]()), capacity_ / 4);
    }

    /// While memory is lacking nothing is tidied.
    void tidy() noexcept {
        if (end_ - base_ <= 1024 || (alive_ - strays_.size()) * 4 >= end_ - base_) return;
        const Number middle = base_ + (end_ - base_) / 2;
        try {
            for (; base_ < middle; ++base_) {
                if (!(slot(base_) == T{})) strays_.emplace_hint(strays_.end(), base_, slot(base_));
                slot(base_) = T{};
            }
        } catch (const std::bad_alloc&) {
            return;
        }
        skip_gone();
    }

    void grow() {
        const std::size_t capacity = capacity_ == 0 ? 8 : capacity_ * 2;
        move_to(std::make_unique<T[]>(capacity), capacity);
    }
    void move_to(std::unique_ptr<T[]> slots, std::size_t capacity) {
        if (slots == nullptr) return;
        for (Number number = base_; number < end_; ++number) slots[number & (capacity - 1)] = slot(number);
        slots_ = std::move(slots);
        capacity_ = capacity;
    }

    std::unique_ptr<T[]> slots_;
    std::size_t capacity_ = 0;  // a power of two, or 0
    Number base_;               // slots_[base_] holds something, or base_ == end_
    Number end_;
    std::size_t alive_ = 0;
    std::map<Number, T> strays_;  // all below base_
};

}  // namespace trilby::broker
