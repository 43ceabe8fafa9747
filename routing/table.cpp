// SPDX-License-Identifier: Apache-2.0
#include "routing/table.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/erlang_text.hpp"

namespace trilby::routing {
Table::Table() : exact_(bindings_.texts()), walk_(trie_), collector_(lists_) {}

ExchangeIndex Table::add_exchange(std::string_view name, ExchangeType type) {
    assert(!find_exchange(name));
    auto index = static_cast<ExchangeIndex>(exchanges_.size());
    if (free_exchanges_.empty()) {
        exchanges_.emplace_back();
    } else {
        index = free_exchanges_.back();
        free_exchanges_.pop_back();
    }
    Exchange& exchange = exchanges_[index];
    exchange.in_use = true;
    exchange.type = type;
    exchange.name = name;
    if (type == ExchangeType::headers) exchange.headers = std::make_unique<HeaderIndex>();
    exact_.assign(ExactKeys::exchange_names, name, Target::queue(index));
    collector_.know_exchange(index);
    forget_routes();
    return index;
}

void Table::remove_exchange(ExchangeIndex index) {
    for (auto id = bindings_.first_from(index); id != no_binding; id = bindings_.first_from(index))
        remove_binding(id);
    const Destination itself{Destination::Kind::exchange, index};
    for (auto id = bindings_.first_to(itself); id != no_binding; id = bindings_.first_to(itself))
        remove_binding(id);
    Exchange& exchange = exchanges_[index];
    exact_.assign(ExactKeys::exchange_names, exchange.name, Target());
    if (exchange.trie_root != 0) trie_.remove_root(exchange.trie_root);
    exchange = Exchange{};
    free_exchanges_.push_back(index);
    forget_routes();
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
    if (queue >= queue_names_.size()) queue_names_.resize(queue + 1);
    queue_names_[queue] = name;
    exact_.assign(ExactKeys::queue_names, name, Target::queue(queue));
    ++generation_;
}

void Table::remove_queue(QueueIndex queue) {
    const Destination itself{Destination::Kind::queue, queue};
    for (auto id = bindings_.first_to(itself); id != no_binding; id = bindings_.first_to(itself))
        remove_binding(id);
    if (queue < queue_names_.size()) {
        exact_.assign(ExactKeys::queue_names, queue_names_[queue], Target());
        queue_names_[queue].clear();
    }
    ++generation_;
}

std::optional<QueueIndex> Table::find_queue(std::string_view name) const {
    const Target* found = exact_.find(ExactKeys::queue_names, name);
    return found ? std::optional(found->index()) : std::nullopt;
}

bool Table::bind(ExchangeIndex source, Destination destination, std::string_view key,
                 protocol::TableView arguments) {
    const BindingId id = bindings_.add(source, destination, key, arguments);
    if (id == no_binding) return false;
    if (destination.kind == Destination::Kind::queue) collector_.know_queue(destination.index);
    attach(id);
    note_change(id);
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
    bindings_.remove(id);
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
    if (found == PatternLists::none) return lists_.add(exchange, pattern);
    bindings_.texts().release(pattern);
    return found;
}

void Table::attach(BindingId id) {
    Binding& binding = bindings_[id];
    if (HeaderIndex* const headers = exchanges_[binding.source].headers.get()) {
        binding.list = headers->add(binding.destination, bindings_.arguments(id));
        return;
    }
    binding.list = list_for(binding.source, pattern_of(binding));
    PatternList& list = lists_[binding.list];
    const Target before = lists_.target(binding.list);
    binding.position = list.size();
    list.push({binding.destination, id});
    const Target after = lists_.target(binding.list);
    if (before != after) lead(binding.source, list.pattern, after);
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
    if (before != after) lead(binding.source, list.pattern, after);
    if (list.size() > 0) return;
    bindings_.texts().release(list.pattern);
    lists_.remove(binding.list);
}

/// What messages of the exchange that fit the pattern are led to from now on.
void Table::lead(ExchangeIndex index, TextId pattern, Target target) {
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
    if (exchange.trie_root == 0) {
        exchange.trie_root = trie_.add_root();
        exchange.starts = std::make_unique<KnownStarts>();
    }
    exchange.starts->forget();
    const TopicPattern words(text);
    trie_.assign(exchange.trie_root, words.words(), target);
    walk_.make_room();
}

template <class Sink>
void Table::match(ExchangeIndex index, std::string_view key, std::uint64_t hash, std::string_view headers,
                  Sink& sink) {
    const Exchange& exchange = exchanges_[index];
    switch (exchange.type) {
        case ExchangeType::fanout:
            if (!exchange.everything.none()) sink.matched(exchange.everything);
            return;
        case ExchangeType::headers: exchange.headers->match(protocol::TableView(headers), sink); return;
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
    return by_keys;
}

std::span<const QueueIndex> Table::route_topic(ExchangeIndex index, std::string_view key,
                                               std::string_view headers) {
    const std::uint64_t hash = hash_bytes(key);
    const bool cached = cache_.worthwhile(hash);
    if (cached) {
        if (const auto found = cache_.find(index, key, hash)) return *found;
    }
    collector_.begin(index);
    match_topic(index, key, hash);
    if (collector_.matches() == 0) look_elsewhere(index);
    const bool alone = !collector_.more_exchanges();
    const bool by_key = alone || pass_on(std::span(&key, 1), headers);
    if (cached && by_key) {
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
    pass_on(keys, headers);
    return collector_.queues();
}

std::span<const QueueIndex> Table::route_default(std::string_view key) {
    const Target* found = exact_.find(ExactKeys::queue_names, key);
    if (!found) return {};
    default_result_ = found->index();
    return {&default_result_, 1};
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
