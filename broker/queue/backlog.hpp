// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "broker/ids/ids.hpp"
#include "broker/ids/sequence_map.hpp"
#include "broker/storage/kept.hpp"

namespace trilby::broker {

/// The messages of one queue, each under its number, in the order of their arrival.
///
///       handed out, or gone          never handed out
///     |--------------------------|---------------------|
///                                ^ cursor_             ^ end
///
/// Below the cursor an entry is unacknowledged or has been given back. What was given back is ready again at
/// its old place, before everything at the cursor, and it is what makes a message redelivered: no flag is
/// kept.
class Backlog {
  public:
    struct Entry {
        EntryNumber number;
        Kept kept;
        bool redelivered;
    };

    std::size_t ready() const { return ready_; }
    std::size_t unacknowledged() const { return entries_.size() - ready_; }

    /// The next `add` or `add_handed_out` needs no memory.
    void make_room() { entries_.make_room(); }
    /// At the end, ready.
    void add(Kept kept) {
        entries_.push_back(kept);
        ++ready_;
    }
    /// At the end and handed out at once; nothing may be ready.
    EntryNumber add_handed_out(Kept kept) {
        const EntryNumber number = entries_.push_back(kept);
        cursor_ = number + 1;
        return number;
    }

    /// At the end, ready, as it was before the broker stopped. What was delivered then stood before all that
    /// was not.
    void restore(Kept kept, bool redelivered) {
        add(kept);
        while (redelivered && cursor_ != entries_.end()) {
            --ready_;
            give_back(cursor_++);
        }
    }

    /// The first ready entry. There must be one.
    Entry first() {
        const bool again = !given_back_.empty();
        const EntryNumber number = again ? given_back_.front() : cursor_;
        return {number, *entries_.find(number), again};
    }
    /// The first ready entry is handed out …
    void hand_out(const Entry& first) {
        --ready_;
        if (!first.redelivered) {
            ++cursor_;
        } else {
            std::pop_heap(given_back_.begin(), given_back_.end(), std::greater<>{});
            given_back_.pop_back();
        }
    }
    /// … and at once is not, nothing else having happened: it was never out. Needs no memory.
    void take_back(const Entry& first) {
        ++ready_;
        if (!first.redelivered) {
            --cursor_;
        } else {
            given_back_.push_back(first.number);
            std::push_heap(given_back_.begin(), given_back_.end(), std::greater<>{});
        }
    }
    /// … or is gone.
    void remove(const Entry& first) {
        hand_out(first);
        entries_.take(first.number);
    }

    /// Those from `first` up to `end`, all handed out: settle(kept), and then each is gone. What is thrown
    /// for stays, and what follows.
    template <class F>
    void settle_each(EntryNumber first, EntryNumber end, F settle) {
        entries_.take_each(first, end, settle);
    }
    /// A handed-out entry is settled: returns what was kept, nothing if there is none under that number.
    Kept settle(EntryNumber number) {
        return entries_.find(number) == nullptr ? Kept() : entries_.take(number);
    }
    /// The next so many calls of `give_back` need no memory.
    void make_room_to_give_back(std::size_t count) {
        if (given_back_.capacity() - given_back_.size() < count)
            given_back_.reserve(std::max(given_back_.size() + count, 2 * given_back_.capacity()));
    }
    /// A handed-out entry is ready again at its old place. Nothing happens if there is none under that
    /// number.
    void give_back(EntryNumber number) {
        if (entries_.find(number) == nullptr) return;
        given_back_.push_back(number);
        std::push_heap(given_back_.begin(), given_back_.end(), std::greater<>{});
        ++ready_;
    }

    /// Everything, ready or not, in order. `visit` may put something else in its place.
    template <class F>
    void each(F visit) {
        for (EntryNumber number = entries_.next(0); number != entries_.end();
             number = entries_.next(number + 1))
            visit(*entries_.find(number));
    }

    /// The number of the entry to come.
    EntryNumber end() const { return entries_.end(); }

    /// Everything, ready or not, in order, until `take` returns false; true when the backlog is empty. What
    /// `take` throws for stays, and what follows it. Nothing else may be done with it after the first call.
    template <class F>
    bool clear(F take) {
        given_back_.clear();
        ready_ = 0;
        for (bool more = true; more && !entries_.empty();) {
            const EntryNumber number = entries_.next(0);
            more = take(*entries_.find(number));
            entries_.take(number);
        }
        return entries_.empty();
    }

  private:
    SequenceMap<Kept> entries_{1};         // from 1: 0 is the number of what is not kept
    EntryNumber cursor_ = 1;               // no entry at or after it was ever handed out
    std::vector<EntryNumber> given_back_;  // a heap, lowest first; all below the cursor
    std::size_t ready_ = 0;
};

}  // namespace trilby::broker
