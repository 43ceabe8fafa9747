// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "routing/bindings.hpp"
#include "routing/flat_table.hpp"
#include "routing/slab.hpp"
#include "routing/target.hpp"

namespace trilby::routing {

/// Where one pattern of one exchange leads: a destination and the binding that says so, for each binding.
class PatternList {
  public:
    struct Entry {
        PackedDestination destination;
        BindingId binding = no_binding;
    };

    std::span<const Entry> entries() const { return {capacity_ == 0 ? &only_ : many_.get(), size_}; }
    std::uint32_t size() const { return size_; }

    void push(Entry entry);
    /// The last entry takes the place of the removed one.
    void remove(std::uint32_t position);

    ExchangeIndex exchange = 0;
    TextId pattern = 0;      // in normal form
    std::uint32_t seen = 0;  // the last route that came here

  private:
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;  // of many_; 0 while only_ is in use
    Entry only_;
    std::unique_ptr<Entry[]> many_;
};

/// The lists of all patterns, found by exchange and pattern.
class PatternLists {
  public:
    static constexpr std::uint32_t none = FlatIndex::none;

    std::uint32_t find(ExchangeIndex exchange, TextId pattern) const;
    std::uint32_t add(ExchangeIndex exchange, TextId pattern);
    void remove(std::uint32_t list);

    bool has_room() const { return lists_.size() + 1 < Target::most; }
    PatternList& operator[](std::uint32_t list) { return lists_[list]; }
    const PatternList& operator[](std::uint32_t list) const { return lists_[list]; }

    /// The shortest way to all of it.
    Target target(std::uint32_t list) const;
    void forget_seen();

  private:
    static std::uint32_t hash(ExchangeIndex exchange, TextId pattern);

    Slab<PatternList> lists_;
    FlatIndex index_;
};

}  // namespace trilby::routing
