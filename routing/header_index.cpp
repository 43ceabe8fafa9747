// SPDX-License-Identifier: Apache-2.0
#include "routing/header_index.hpp"

#include <algorithm>
#include <bit>

#include "protocol/room.hpp"

namespace trilby::routing {

namespace {

// A pair this common is looked at again each time its uses double.
constexpr std::uint32_t common_pair = 32;

}  // namespace

void HeaderIndex::forget_messages() {
    for (std::uint32_t name = 0; name < names_.end(); ++name) names_[name].seen = 0;
    std::ranges::fill(pair_seen_, 0);
    message_ = 1;
}

std::uint32_t HeaderIndex::intern_name(std::string_view text) {
    if (const auto found = find_name(text); found != none) return found;
    std::string copy(text);
    name_index_.make_room();
    const auto name = names_.add();
    names_[name].text = std::move(copy);
    name_filter_[look(text) / 64] |= std::uint64_t{1} << look(text) % 64;
    name_index_.insert(static_cast<std::uint32_t>(hash_bytes(text)), name);
    return name;
}

std::uint32_t HeaderIndex::use_pair(std::uint32_t name, const HeaderValue& value) {
    auto index = value.is_void() ? names_[name].presence : find_pair(name, value);
    if (index == none) {
        std::string copy(value.bytes);
        pair_index_.make_room();
        found_.resize(std::max(found_.size(), pairs_.end() + 1));
        pair_seen_.resize(found_.size());
        index = pairs_.add();
        Pair& pair = pairs_[index];
        pair.name = name;
        pair.kind = value.kind;
        pair.number = value.number;
        pair.bytes = std::move(copy);
        pair.hash = pair_hash(name, value);
        if (value.is_void()) {
            names_[name].presence = index;
        } else {
            ++names_[name].values;
            pair_index_.insert(pair.hash, index);
        }
        pair_seen_[index] = 0;
    }
    ++pairs_[index].uses;
    return index;
}

void HeaderIndex::stop_using_pair(std::uint32_t index) {
    Pair& pair = pairs_[index];
    if (--pair.uses > 0) return;
    Name& name = names_[pair.name];
    if (name.presence == index) {
        name.presence = none;
    } else {
        --name.values;
        pair_index_.erase(pair.hash, index);
    }
    forget_if_unused(pair.name);
    pairs_.remove(index);
}

void HeaderIndex::forget_if_unused(std::uint32_t index) {
    const Name& name = names_[index];
    if (name.presence != none || name.values != 0) return;
    name_index_.erase(static_cast<std::uint32_t>(hash_bytes(name.text)), index);
    names_.remove(index);
    if (names_.size() == 0) name_filter_ = {};
}

std::uint32_t HeaderIndex::add(PackedDestination destination, protocol::TableView arguments) {
    std::string_view match = "all";
    if (const auto given = arguments.find("x-match")) match = given->as_string().value_or("all");

    const auto id = entries_.add();
    Undo no_entry([&] {
        stop_using_pairs(entries_[id]);
        entries_.remove(id);
    });
    Entry& entry = entries_[id];
    entry.destination = destination;
    entry.wants = match.starts_with("any") ? Wants::any : Wants::all;
    use_pairs(entry, arguments, match.ends_with("-with-x"));
    entry.wants == Wants::any ? hang_any(id) : hang_all(id);
    no_entry.keep();
    if (entry.wants == Wants::any) return id;
    Undo not_there([&] { remove(id); });
    for (std::uint32_t i = 0; i < entry.count; ++i) {
        const std::uint32_t pair = entry.places[i].pair, uses = pairs_[pair].uses;
        if (uses >= common_pair && std::has_single_bit(uses)) spread(pair);
    }
    not_there.keep();
    return id;
}

void HeaderIndex::use_pairs(Entry& entry, protocol::TableView arguments, bool with_x) {
    const auto counts = [&](const protocol::TableView::Field& field) {
        return field.name != "x-match" && (with_x || !field.name.starts_with("x-"));
    };
    const auto most = std::count_if(arguments.begin(), arguments.end(), counts);
    if (most == 0) return;
    entry.places = std::make_unique<Place[]>(static_cast<std::size_t>(most));
    next_message();  // only to see which names came before
    for (const auto& field : arguments) {
        if (!counts(field)) continue;
        const auto name = intern_name(field.name);
        if (names_[name].seen == message_) continue;
        names_[name].seen = message_;
        Undo no_name([&] { forget_if_unused(name); });
        entry.places[entry.count] = {use_pair(name, HeaderValue(field.value)), 0};
        no_name.keep();
        ++entry.count;
    }
}

void HeaderIndex::stop_using_pairs(Entry& entry) {
    for (std::uint32_t i = 0; i < entry.count; ++i) stop_using_pair(entry.places[i].pair);
}

void HeaderIndex::remove(std::uint32_t id) {
    Entry& entry = entries_[id];
    if (entry.wants == Wants::all) {
        unhang_all(id);
    } else {
        for (std::uint32_t i = 0; i < entry.count; ++i) {
            take_out(pairs_[entry.places[i].pair].any, entry.places[i].position);
        }
    }
    stop_using_pairs(entry);
    entries_.remove(id);
}

void HeaderIndex::hang_any(std::uint32_t id) {
    Entry& entry = entries_[id];
    for (std::uint32_t i = 0; i < entry.count; ++i) {
        auto& any = pairs_[entry.places[i].pair].any;
        make_room(any, any.size() + 1);
    }
    for (std::uint32_t i = 0; i < entry.count; ++i) {
        auto& any = pairs_[entry.places[i].pair].any;
        entry.places[i].position = static_cast<std::uint32_t>(any.size());
        any.push_back({entry.destination, id, i});
    }
}

std::uint32_t HeaderIndex::rarest(const Entry& entry) const {
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < entry.count; ++i) {
        if (pairs_[entry.places[i].pair].uses < pairs_[entry.places[best].pair].uses) best = i;
    }
    return best;
}

void HeaderIndex::hang_all(std::uint32_t id) {
    Entry& entry = entries_[id];
    if (entry.count == 0) {
        always_.push_back({entry.destination, id});
        entry.hangs_at = static_cast<std::uint32_t>(always_.size() - 1);
        return;
    }
    const std::uint32_t best = rarest(entry);
    auto& all = pairs_[entry.places[best].pair].all;
    make_room(all, all.size() + 1);
    // The pair it hangs under stands first, so the others are places 1 and on.
    std::swap(entry.places[0], entry.places[best]);
    HungAll hung;
    hung.destination = entry.destination;
    hung.entry = id;
    hung.others = entry.count - 1;
    for (std::uint32_t i = 0; i < std::min(hung.others, HungAll::near); ++i) {
        hung.first_others[i] = entry.places[i + 1].pair;
    }
    entry.places[0].position = static_cast<std::uint32_t>(all.size());
    all.push_back(hung);
}

void HeaderIndex::unhang_all(std::uint32_t id) {
    Entry& entry = entries_[id];
    if (entry.count > 0) {
        take_out(pairs_[entry.places[0].pair].all, entry.places[0].position);
        return;
    }
    always_[entry.hangs_at] = always_.back();
    entries_[always_[entry.hangs_at].entry].hangs_at = entry.hangs_at;
    always_.pop_back();
}

template <class Kind>
void HeaderIndex::take_out(std::vector<Kind>& hung, std::uint32_t position) {
    hung[position] = hung.back();
    hung.pop_back();
    if (position == hung.size()) return;
    const Hung& moved = hung[position];
    entries_[moved.entry].places[moved.place].position = position;
}

/// Hangs what hangs under a pair that has become common under a rarer one. Each doubling looks at each
/// binding once, so a binding costs a constant number of such looks.
void HeaderIndex::spread(std::uint32_t common) {
    auto& all = pairs_[common].all;
    for (std::size_t i = all.size(); i-- > 0;) {
        const std::uint32_t id = all[i].entry;
        Entry& entry = entries_[id];
        const std::uint32_t best = entry.places[rarest(entry)].pair;
        if (best == common || pairs_[best].uses * 2 > pairs_[common].uses) continue;
        make_room(pairs_[best].all, pairs_[best].all.size() + 1);
        unhang_all(id);
        hang_all(id);
    }
}

bool HeaderIndex::far_others_seen(const HungAll& hung) const {
    const Entry& entry = entries_[hung.entry];
    for (std::uint32_t i = HungAll::near + 1; i < entry.count; ++i) {
        if (pair_seen_[entry.places[i].pair] != message_) return false;
    }
    return true;
}

}  // namespace trilby::routing
