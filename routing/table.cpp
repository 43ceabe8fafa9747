// SPDX-License-Identifier: Apache-2.0
#include "routing/table.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/erlang_text.hpp"
#include "protocol/room.hpp"

namespace trilby::routing {

namespace {
/// Bindings of what is removed; the others wait for `tidy`.
constexpr std::size_t removed_at_once = 256;
}  // namespace

Table::Table() : exact_(bindings_.texts()), walk_(trie_), collector_(lists_) {}

ExchangeIndex Table::add_exchange(std::string_view name, ExchangeType type) {
    assert(!find_exchange(name));
    Exchange added;
    added.in_use = true;
    added.type = type;
    added.name = name;
    if (type == ExchangeType::headers) added.headers = std::make_unique<HeaderIndex>();
    const bool fresh = free_exchanges_.empty();
    const auto index = fresh ? static_cast<ExchangeIndex>(exchanges_.size()) : free_exchanges_.back();
    if (fresh) {
        make_room(exchanges_, exchanges_.size() + 1);
        make_room(free_exchanges_, exchanges_.size() + 1);
        make_room(removed_, exchanges_.size() + 1 + queue_names_.size());
    }
    collector_.know_exchange(index);
    exact_.assign(ExactKeys::exchange_names, name, Target::queue(index));
    if (fresh) {
        exchanges_.push_back(std::move(added));
    } else {
        free_exchanges_.pop_back();
        exchanges_[index] = std::move(added);
    }
    forget_routes();
    return index;
}

void Table::remove_exchange(ExchangeIndex index) {
    exact_.assign(ExactKeys::exchange_names, exchanges_[index].name, Target());
    const Destination itself{Destination::Kind::exchange, index};
    collector_.leave_out(itself);
    removed_.push_back(itself);
    forget_routes();
    tidy(removed_at_once);
}

std::optional<ExchangeIndex> Table::find_exchange(std::string_view name) const {
    const Target* found = exact_.find(ExactKeys::exchange_names, name);
    return found ? std::optional(found->index()) : std::nullopt;
}

void Table::set_alternate(ExchangeIndex exchange, std::string_view name) {
    exchanges_[exchange].alternate = name;
    forget_routes();
}

void Table::add_queue(std::string_view name, QueueIndex queue) {
    std::string copy(name);
    if (queue >= queue_names_.size()) {
        make_room(removed_, exchanges_.size() + queue + 1);
        queue_names_.resize(queue + 1);
    }
    collector_.know_queue(queue);
    exact_.assign(ExactKeys::queue_names, name, Target::queue(queue));
    queue_names_[queue] = std::move(copy);
    ++generation_;
}

void Table::remove_queue(QueueIndex queue) {
    if (queue < queue_names_.size()) {
        exact_.assign(ExactKeys::queue_names, queue_names_[queue], Target());
        queue_names_[queue].clear();
    }
    const Destination itself{Destination::Kind::queue, queue};
    std::size_t most = removed_at_once;
    ++generation_;
    if (remove_some_to(itself, most)) return;
    collector_.leave_out(itself);
    removed_.push_back(itself);
    forget_routes();
}

bool Table::remove_some_to(Destination destination, std::size_t& most) {
    auto id = bindings_.first_to(destination);
    for (; id != no_binding && most != 0; --most, id = bindings_.first_to(destination)) remove_binding(id);
    return id == no_binding;
}

bool Table::remove_some_from(ExchangeIndex source, std::size_t& most) {
    auto id = bindings_.first_from(source);
    for (; id != no_binding && most != 0; --most, id = bindings_.first_from(source)) remove_binding(id);
    return id == no_binding;
}

bool Table::tidy(std::size_t most) {
    for (; !removed_.empty(); removed_.pop_back()) {
        const Destination one = removed_.back();
        if (!remove_some_to(one, most)) return false;
        if (one.kind == Destination::Kind::exchange) {
            if (!remove_some_from(one.index, most)) return false;
            Exchange& exchange = exchanges_[one.index];
            if (exchange.trie_root != 0) trie_.remove_root(exchange.trie_root);
            exchange = Exchange{};
            free_exchanges_.push_back(one.index);
        }
        collector_.take_in(one);
    }
    return true;
}

std::optional<QueueIndex> Table::find_queue(std::string_view name) const {
    const Target* found = exact_.find(ExactKeys::queue_names, name);
    return found ? std::optional(found->index()) : std::nullopt;
}

bool Table::bind(ExchangeIndex source, Destination destination, std::string_view key,
                 const protocol::SharedTable& arguments) {
    if (destination.kind == Destination::Kind::queue) collector_.know_queue(destination.index);
    const BindingId id = bindings_.add(source, destination, key, arguments);
    if (id == no_binding) return false;
    Undo not_there([&] { bindings_.remove(id); });
    attach(id);
    not_there.keep();
    note_change(id);
    octets_ += octets_of(id);
    return true;
}

bool Table::unbind(ExchangeIndex source, Destination destination, std::string_view key,
                   protocol::TableView arguments) {
    const BindingId id = bindings_.find(source, destination, key, arguments);
    if (id == no_binding) return false;
    remove_binding(id);
    return true;
}

void Table::remove_binding(BindingId id) {
    detach(id);
    note_change(id);
    octets_ -= octets_of(id);
    bindings_.remove(id);
}

std::size_t Table::octets_of(BindingId id) const {
    constexpr std::size_t place = 256, word = 64;
    const std::string_view key = bindings_.key(id);
    std::size_t octets = place + key.size();
    // The words of a pattern are nodes of a tree.
    if (exchanges_[bindings_[id].source].type == ExchangeType::topic)
        octets += word * static_cast<std::size_t>(std::ranges::count(key, '.') + 1);
    return octets;
}

/// Anything may lead elsewhere from now on: names that alternates have, exchanges.
void Table::forget_routes() {
    ++generation_;
    cache_.note_change(RouteCache::Change::everything, 0, {});
}

/// The binding came, or is about to go.
void Table::note_change(BindingId id) {
    ++generation_;
    const Binding& binding = bindings_[id];
    using enum RouteCache::Change;
    switch (exchanges_[binding.source].type) {
        case ExchangeType::headers: return;  // what passes through one is not cached
        case ExchangeType::fanout: cache_.note_change(topic_pattern, binding.source, "#"); return;
        case ExchangeType::direct: cache_.note_change(one_key, binding.source, bindings_.key(id)); return;
        case ExchangeType::topic:
            cache_.note_change(topic_pattern, binding.source, bindings_.key(id));
            return;
    }
}

/// What the binding asks of a key, as a text with one user more: bindings that ask the same have the same.
TextId Table::pattern_of(const Binding& binding) {
    TextPool& texts = bindings_.texts();
    const auto type = exchanges_[binding.source].type;
    if (type == ExchangeType::fanout) return texts.intern({});
    const auto key = texts.get(binding.key);
    if (type == ExchangeType::topic && key.find('#') != std::string_view::npos) {
        const TopicPattern pattern(key);
        if (!pattern.was_normal()) return texts.intern(pattern.text());
    }
    texts.add_user(binding.key);
    return binding.key;
}

/// Takes over the pattern's user.
std::uint32_t Table::list_for(ExchangeIndex exchange, TextId pattern) {
    const auto found = lists_.find(exchange, pattern);
    Undo one_user([&] { bindings_.texts().release(pattern); });
    if (found != PatternLists::none) return found;
    const auto added = lists_.add(exchange, pattern);
    one_user.keep();
    return added;
}

void Table::attach(BindingId id) {
    Binding& binding = bindings_[id];
    if (HeaderIndex* const headers = exchanges_[binding.source].headers.get()) {
        binding.list = headers->add(binding.destination, bindings_.arguments(id));
        return;
    }
    const std::uint32_t place = list_for(binding.source, pattern_of(binding));
    Undo no_list([&] { forget_if_empty(place); });
    PatternList& list = lists_[place];
    const Target before = lists_.target(place);
    list.push({binding.destination, id});
    Undo not_in_list([&] { list.remove(list.size() - 1); });
    const Target after = lists_.target(place);
    if (before != after) lead(binding.source, list.pattern, after, before.none());
    not_in_list.keep();
    no_list.keep();
    binding.list = place;
    binding.position = list.size() - 1;
}

void Table::forget_if_empty(std::uint32_t list) {
    if (lists_[list].size() > 0) return;
    bindings_.texts().release(lists_[list].pattern);
    lists_.remove(list);
}

void Table::detach(BindingId id) {
    const Binding& binding = bindings_[id];
    if (HeaderIndex* const headers = exchanges_[binding.source].headers.get()) {
        headers->remove(binding.list);
        return;
    }
    PatternList& list = lists_[binding.list];
    const Target before = lists_.target(binding.list);
    list.remove(binding.position);
    if (binding.position < list.size()) {
        bindings_[list.entries()[binding.position].binding].position = binding.position;
    }
    const Target after = lists_.target(binding.list);
    if (before != after) lead(binding.source, list.pattern, after, before.none());
    forget_if_empty(binding.list);
}

/// What messages of the exchange that fit the pattern are led to from now on. `is_new`: it led
/// nowhere before; nothing changes if it throws then, and nothing else throws.
void Table::lead(ExchangeIndex index, TextId pattern, Target target, bool is_new) {
    Exchange& exchange = exchanges_[index];
    if (exchange.type == ExchangeType::fanout) {
        exchange.everything = target;
        return;
    }
    const auto text = bindings_.texts().get(pattern);
    if (exchange.type == ExchangeType::direct || !has_wildcards(text)) {
        exact_.assign(index, pattern, target);
        return;
    }
    const TopicPattern words(text);
    if (is_new) {
        walk_.make_room(1 + TopicTrie::nodes_for(words.words().size()));
        trie_.make_room(words.words());
    }
    if (exchange.trie_root == 0) {
        auto starts = std::make_unique<KnownStarts>();
        exchange.trie_root = trie_.add_root();
        exchange.starts = std::move(starts);
    }
    exchange.starts->forget();
    trie_.assign(exchange.trie_root, words.words(), target);
}

template <class Sink>
void Table::match(ExchangeIndex index, std::string_view key, std::uint64_t hash, std::string_view headers,
                  Sink& sink) {
    const Exchange& exchange = exchanges_[index];
    switch (exchange.type) {
        case ExchangeType::fanout:
            if (!exchange.everything.none()) sink.matched(exchange.everything);
            return;
        case ExchangeType::headers:
            steps_ += exchange.headers->match(protocol::TableView(headers), sink);
            return;
        case ExchangeType::topic:
            if (exchange.trie_root != 0) walk_.run(exchange.trie_root, key, sink);
            [[fallthrough]];
        case ExchangeType::direct:
            if (const Target* target = exact_.find(index, key, hash)) sink.matched(*target);
    }
}

void Table::match_topic(ExchangeIndex index, std::string_view key, std::uint64_t hash) {
    const Exchange& exchange = exchanges_[index];
    if (exchange.trie_root != 0) {
        if (const auto* start = exchange.starts->find(walk_, exchange.trie_root, key)) {
            walk_.run(*start, key, collector_);
        } else {
            walk_.run(exchange.trie_root, key, collector_);
        }
    }
    if (const Target* target = exact_.find(index, key, hash)) collector_.matched(*target);
}

/// The exchange led nowhere by itself: its alternate may know.
void Table::look_elsewhere(ExchangeIndex exchange) {
    const auto& alternate = exchanges_[exchange].alternate;
    if (alternate.empty()) return;
    if (const auto next = find_exchange(alternate)) collector_.pass_on(*next);
}

/// Walks through the exchanges that wait in the collector, and those they pass on to. Returns whether what
/// was found depends on the keys alone.
bool Table::pass_on(std::span<const std::string_view> keys, std::string_view headers) {
    bool by_keys = true;
    while (collector_.more_exchanges()) {
        const ExchangeIndex index = collector_.next_exchange();
        const auto before = collector_.matches();
        switch (exchanges_[index].type) {
            case ExchangeType::topic:
                for (const auto key : keys) match_topic(index, key, hash_bytes(key));
                break;
            case ExchangeType::direct:
                for (const auto key : keys) match(index, key, hash_bytes(key), headers, collector_);
                break;
            case ExchangeType::headers: by_keys = false; [[fallthrough]];
            case ExchangeType::fanout:
                if (!keys.empty()) match(index, {}, 0, headers, collector_);
        }
        if (collector_.matches() == before) look_elsewhere(index);
    }
    steps_ += collector_.matches() + collector_.exchanges();
    return by_keys;
}

std::span<const QueueIndex> Table::route_topic(ExchangeIndex index, std::string_view key,
                                               std::string_view headers) {
    const std::uint64_t hash = hash_bytes(key);
    const bool cached = cache_.worthwhile(hash);
    if (cached) {
        if (const auto found = cache_.find(index, key, hash)) {
            routed_by_keys_ = true;
            return *found;
        }
    }
    collector_.begin(index);
    match_topic(index, key, hash);
    if (collector_.matches() == 0) look_elsewhere(index);
    const bool alone = !collector_.more_exchanges();
    if (alone) steps_ += collector_.matches();
    routed_by_keys_ = alone || pass_on(std::span(&key, 1), headers);
    if (cached && routed_by_keys_) {
        cache_.offer(index, key, hash, collector_.queues(),
                     alone ? RouteCache::Reach::one_exchange : RouteCache::Reach::several_exchanges);
    }
    return collector_.queues();
}

std::span<const QueueIndex> Table::route(ExchangeIndex exchange, std::string_view key,
                                         std::string_view headers) {
    if (exchanges_[exchange].trie_root != 0) return route_topic(exchange, key, headers);
    return route(exchange, std::span(&key, 1), headers);
}

std::span<const QueueIndex> Table::route(ExchangeIndex exchange, std::span<const std::string_view> keys,
                                         std::string_view headers) {
    collector_.begin();
    collector_.pass_on(exchange);
    routed_by_keys_ = pass_on(keys, headers);
    return collector_.queues();
}

std::span<const QueueIndex> Table::route_default(std::string_view key) {
    const Target* found = exact_.find(ExactKeys::queue_names, key);
    if (!found) return {};
    default_result_ = found->index();
    return {&default_result_, 1};
}

std::span<const QueueIndex> Table::route_default(std::span<const std::string_view> keys) {
    collector_.begin();
    for (const std::string_view key : keys)
        if (const Target* found = exact_.find(ExactKeys::queue_names, key)) collector_.matched(*found);
    return collector_.queues();
}

namespace {

/// Gathers which bindings match, each once: a target by its place, for a pattern has one.
struct Gather {
    void matched(const Target& target) { targets.push_back(&target); }
    void matched(PackedDestination, std::uint32_t entry) { entries.push_back(entry); }

    template <class Each>
    static void make_distinct(std::vector<Each>& all) {
        std::ranges::sort(all);
        all.erase(std::ranges::unique(all).begin(), all.end());
    }

    std::vector<const Target*> targets;
    std::vector<std::uint32_t> entries;
};

}  // namespace

std::size_t Table::matching_bindings(ExchangeIndex exchange, std::string_view key, std::string_view headers) {
    Gather gather;
    match(exchange, key, hash_bytes(key), headers, gather);
    Gather::make_distinct(gather.targets);
    Gather::make_distinct(gather.entries);
    std::size_t count = gather.entries.size();
    for (const Target* target : gather.targets)
        count += target->is_list() ? lists_[target->index()].size() : 1;
    return count;
}

std::optional<std::string> headers_binding_error(protocol::TableView arguments) {
    const auto match = arguments.find("x-match");
    if (!match) return std::nullopt;
    if (match->type != 'S') {
        return "Invalid x-match field type " + std::string(protocol::type_word(match->type)) + " (value " +
               protocol::to_text(*match) + "); expected longstr";
    }
    for (const std::string_view known : {"all", "any", "all-with-x", "any-with-x"}) {
        if (match->bytes == known) return std::nullopt;
    }
    return "Invalid x-match field value " + protocol::erlang_binary(match->bytes) +
           "; expected all, any, all-with-x, or any-with-x";
}

}  // namespace trilby::routing
