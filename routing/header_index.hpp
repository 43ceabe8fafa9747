// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/field_table.hpp"
#include "routing/destination.hpp"
#include "routing/flat_table.hpp"
#include "routing/hash.hpp"
#include "routing/header_value.hpp"
#include "routing/slab.hpp"

namespace trilby::routing {

/// The bindings of one headers exchange, found by what they ask of a message: pairs of a name and a value,
/// where a void value asks only that the name be there. A binding that wants any of its pairs hangs under
/// each of them. One that wants all hangs under the rarest, the one that fewest bindings have, and its others
/// are looked at when a message has that one. So a message touches only bindings of which it has the rarest
/// pair, or any.
class HeaderIndex {
  public:
    /// Returns the binding's entry. A wrong x-match counts as "all"; refuse it before. Nothing changes if it
    /// throws; `remove` needs no memory.
    std::uint32_t add(PackedDestination destination, protocol::TableView arguments);
    void remove(std::uint32_t entry);

    std::size_t size() const { return entries_.size(); }

    /// Hands `sink.matched(PackedDestination, entry)` each binding that the message fits, perhaps several
    /// times. Returns how many fields and bindings it has looked at.
    template <class Sink>
    std::size_t match(protocol::TableView headers, Sink& sink) {
        std::size_t looks = 0;
        for (const Hung& hung : always_) sink.matched(hung.destination, hung.entry);
        if (names_.size() == 0) return looks;
        next_message();
        std::uint32_t found = 0;
        const auto note = [&](std::uint32_t pair) {
            pair_seen_[pair] = message_;
            found_[found++] = pair;
            pairs_.prefetch(pair);
        };
        for (const auto& field : headers) {
            if (!may_be_known(field.name)) continue;
            const std::uint32_t index = find_name(field.name);
            if (index == none) continue;
            Name& name = names_[index];
            if (name.seen == message_) continue;  // of two fields with one name the first counts
            name.seen = message_;
            if (name.presence != none) note(name.presence);
            if (name.values == 0) continue;
            const HeaderValue value(field.value);
            if (value.is_void()) continue;
            if (const std::uint32_t pair = find_pair(index, value); pair != none) note(pair);
        }
        for (std::uint32_t i = 0; i < found; ++i) {
            const Pair& pair = pairs_[found_[i]];
            looks += pair.all.size();
            for (const Hung& hung : pair.any) sink.matched(hung.destination, hung.entry);
            for (const HungAll& hung : pair.all) {
                if (all_seen(hung)) sink.matched(hung.destination, hung.entry);
            }
        }
        return looks + found;
    }

  private:
    static constexpr std::uint32_t none = FlatIndex::none;

    struct Hung {
        PackedDestination destination;
        std::uint32_t entry = none;
        std::uint32_t place = 0;  // of the entry's places, this one
    };
    struct HungAll : Hung {
        static constexpr std::uint32_t near = 3;
        std::uint32_t others = 0;               // the pairs that must be there too
        std::uint32_t first_others[near] = {};  // the rest stand in the entry
    };
    struct Name {
        std::string text;
        std::uint32_t presence = none;  // the pair of this name and void
        std::uint32_t values = 0;       // how many pairs with values there are
        std::uint32_t seen = 0;         // the last message that had it
    };
    struct Pair {
        std::vector<Hung> any;
        std::vector<HungAll> all;
        std::uint32_t name = none;
        std::uint32_t uses = 0;  // bindings that have it, wherever they hang
        char kind = 'V';
        std::int64_t number = 0;
        std::string bytes;
        std::uint32_t hash = 0;
    };
    struct Place {
        std::uint32_t pair = none;
        std::uint32_t position = 0;  // in the pair's any, or all
    };
    enum class Wants : std::uint8_t { all, any };
    struct Entry {
        PackedDestination destination;
        Wants wants = Wants::all;
        std::uint32_t count = 0;
        std::uint32_t hangs_at = 0;  // of all: which place; without places, the position in always_
        std::unique_ptr<Place[]> places;
    };

    /// A bit for the look of a name, far cheaper than a hash of it.
    static std::uint32_t look(std::string_view name) {
        if (name.empty()) return 0;
        const auto octet = [&](std::size_t i) {
            return static_cast<std::uint32_t>(static_cast<unsigned char>(name[i]));
        };
        const std::uint32_t some = octet(0) << 16 | octet(name.size() / 2) << 8 | octet(name.size() - 1);
        return (some ^ static_cast<std::uint32_t>(name.size()) << 24) * 0x9E37'79B1U >> 22;
    }
    bool may_be_known(std::string_view name) const {
        const auto bit = look(name);
        return (name_filter_[bit / 64] >> bit % 64 & 1) != 0;
    }
    std::uint32_t find_name(std::string_view text) const {
        return name_index_.find(static_cast<std::uint32_t>(hash_bytes(text)),
                                [&](std::uint32_t each) { return names_[each].text == text; });
    }
    static std::uint32_t pair_hash(std::uint32_t name, const HeaderValue& value) {
        return static_cast<std::uint32_t>(value.hash()) ^ name * 0x9E37'79B1U;
    }
    std::uint32_t find_pair(std::uint32_t name, const HeaderValue& value) const {
        return pair_index_.find(pair_hash(name, value), [&](std::uint32_t each) {
            const Pair& pair = pairs_[each];
            return pair.name == name && pair.kind == value.kind && pair.number == value.number &&
                   pair.bytes == value.bytes;
        });
    }
    bool all_seen(const HungAll& hung) const {
        const std::uint32_t near = hung.others < HungAll::near ? hung.others : HungAll::near;
        for (std::uint32_t i = 0; i < near; ++i) {
            if (pair_seen_[hung.first_others[i]] != message_) return false;
        }
        return hung.others <= HungAll::near || far_others_seen(hung);
    }
    bool far_others_seen(const HungAll& hung) const;

    void next_message() {
        if (++message_ == 0) forget_messages();
    }
    void forget_messages();
    std::uint32_t intern_name(std::string_view text);
    std::uint32_t use_pair(std::uint32_t name, const HeaderValue& value);
    void stop_using_pair(std::uint32_t pair);
    void forget_if_unused(std::uint32_t name);
    void use_pairs(Entry& entry, protocol::TableView arguments, bool with_x);
    void stop_using_pairs(Entry& entry);
    void hang_any(std::uint32_t entry);
    void hang_all(std::uint32_t entry);
    void unhang_all(std::uint32_t entry);
    std::uint32_t rarest(const Entry& entry) const;
    void spread(std::uint32_t pair);
    template <class Kind>
    void take_out(std::vector<Kind>& hung, std::uint32_t position);

    Slab<Name, 6> names_;
    Slab<Pair, 6> pairs_;
    Slab<Entry, 6> entries_;
    SparseIndex name_index_, pair_index_;
    std::array<std::uint64_t, 16> name_filter_{};  // bits that names in use have, and perhaps some more
    std::vector<Hung> always_;                     // all of nothing: every message
    std::vector<std::uint32_t> pair_seen_;         // by pair: the last message that had it
    std::vector<std::uint32_t> found_;             // the pairs of the message at hand; room for all there are
    std::uint32_t message_ = 0;
};

}  // namespace trilby::routing
