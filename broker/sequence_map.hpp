// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

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

    Number push_back(T value) {
        if (end_ - base_ == capacity_) resize(capacity_ == 0 ? 8 : capacity_ * 2);
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
        if (end_ - base_ == capacity_) resize(capacity_ * 2);
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

    /// There must be something under that number.
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
        if (capacity_ > 1024 && end_ - base_ < capacity_ / 8) resize(capacity_ / 4);
    }

    void tidy() {
        if (end_ - base_ <= 1024 || (alive_ - strays_.size()) * 4 >= end_ - base_) return;
        const Number middle = base_ + (end_ - base_) / 2;
        for (; base_ < middle; ++base_) {
            if (!(slot(base_) == T{})) strays_.emplace_hint(strays_.end(), base_, slot(base_));
            slot(base_) = T{};
        }
        skip_gone();
    }

    void resize(std::size_t capacity) {
        auto slots = std::make_unique<T[]>(capacity);
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
