// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/field_table.hpp"
#include "protocol/shared_table.hpp"
#include "routing/bindings.hpp"
#include "routing/collector.hpp"
#include "routing/destination.hpp"
#include "routing/exact_keys.hpp"
#include "routing/header_index.hpp"
#include "routing/known_starts.hpp"
#include "routing/pattern_lists.hpp"
#include "routing/route_cache.hpp"
#include "routing/topic_trie.hpp"
#include "routing/topic_walk.hpp"

namespace trilby::routing {

/// The exchanges and bindings of one virtual host, and the way of a message through them. One thread.
/// Names and keys have at most 255 bytes. An index that is not in use must not be passed in.
///
/// What adds something throws std::bad_alloc with nothing changed. What takes away needs no memory.
class Table {
  public:
    Table();
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    /// Is there a number for one exchange, or one binding, more? What has none may not be added.
    bool has_room() const {
        return exchanges_.size() - free_exchanges_.size() < Target::most && lists_.has_room() &&
               trie_.has_room();
    }

    /// The name must be new.
    ExchangeIndex add_exchange(std::string_view name, ExchangeType type);
    /// With all bindings from it and to it: none of them counts any more. If they are many, some are taken
    /// apart by `tidy`, and the index is not used again before.
    void remove_exchange(ExchangeIndex exchange);
    std::optional<ExchangeIndex> find_exchange(std::string_view name) const;
    /// Where messages go that lead nowhere from here. The name is looked up when it is needed: it need not
    /// exist. Empty: none.
    void set_alternate(ExchangeIndex exchange, std::string_view name);

    /// The default exchange leads to the queue from now on.
    void add_queue(std::string_view name, QueueIndex queue);
    /// With all bindings to it, likewise; the index must not be used again before `tidy` is done.
    void remove_queue(QueueIndex queue);
    /// Takes apart at most so many bindings of what was removed; true when nothing is left. No other change
    /// may be made before that.
    bool tidy(std::size_t most);
    std::optional<QueueIndex> find_queue(std::string_view name) const;

    /// False: it was there already, with the same arguments in any order.
    bool bind(ExchangeIndex source, Destination destination, std::string_view key,
              const protocol::SharedTable& arguments);
    /// False: it was not there.
    bool unbind(ExchangeIndex source, Destination destination, std::string_view key,
                protocol::TableView arguments);
    /// Whether there is this very binding.
    bool has_binding(ExchangeIndex source, Destination destination, std::string_view key,
                     protocol::TableView arguments) const {
        return bindings_.find(source, destination, key, arguments) != no_binding;
    }

    /// How many bindings have it as source. O(1).
    std::size_t bindings_from(ExchangeIndex exchange) const { return bindings_.count_from(exchange); }
    std::size_t bindings() const { return bindings_.size(); }
    /// About how many octets the bindings take here, and how many their tables take once.
    std::size_t octets() const { return octets_; }
    std::size_t table_octets() const { return bindings_.table_octets(); }

    /// visit(ExchangeIndex source, std::string_view key, protocol::TableView arguments). It must not change
    /// the table.
    template <class Visit>
    void each_binding_of(Destination destination, Visit visit) const {
        for (auto id = bindings_.first_to(destination); id != no_binding; id = bindings_.next_to(id)) {
            visit(bindings_[id].source, bindings_.key(id), bindings_.arguments(id));
        }
    }
    /// visit(Destination destination, std::string_view key, protocol::TableView arguments), likewise.
    template <class Visit>
    void each_binding_from(ExchangeIndex source, Visit visit) const {
        for (auto id = bindings_.first_from(source); id != no_binding; id = bindings_.next_from(id)) {
            visit(bindings_[id].destination.unpack(), bindings_.key(id), bindings_.arguments(id));
        }
    }

    /// The queues that a message published to the exchange goes to, each once, in no particular order:
    /// through its bindings, through exchanges bound to it, and through alternate exchanges. `headers` are
    /// the bytes of the header table without their length, empty if there is none. Never allocates, but for
    /// room in the cache the first time. The result is valid until the next call of any member that is not
    /// const.
    std::span<const QueueIndex> route(ExchangeIndex exchange, std::string_view key, std::string_view headers);
    /// The same for a message with several keys (CC and BCC): the union.
    std::span<const QueueIndex> route(ExchangeIndex exchange, std::span<const std::string_view> keys,
                                      std::string_view headers);
    /// Through the default exchange: the queue with that name, if there is one.
    std::span<const QueueIndex> route_default(std::string_view key);
    /// With several keys: the union.
    std::span<const QueueIndex> route_default(std::span<const std::string_view> keys);

    /// How many nodes, bindings and exchanges routes have looked at since the last call: what they cost.
    std::uint64_t take_steps() { return walk_.take_steps() + std::exchange(steps_, 0); }

    /// Did the last `route` depend on nothing but exchange and keys? It met no headers exchange then, and
    /// leads every message with these to the same queues.
    bool routed_by_keys() const { return routed_by_keys_; }

    /// How many bindings of this very exchange a message matches. For statistics and tests: it may allocate.
    std::size_t matching_bindings(ExchangeIndex exchange, std::string_view key, std::string_view headers);

    /// Another number whenever any route may have changed.
    std::uint64_t generation() const { return generation_; }

  private:
    struct Exchange {
        bool in_use = false;
        ExchangeType type = ExchangeType::direct;
        std::string name;
        std::string alternate;
        Target everything;            // of a fanout exchange
        std::uint32_t trie_root = 0;  // of a topic exchange, 0 while it has had no pattern with a wildcard
        std::unique_ptr<KnownStarts> starts;  // with the root
        std::unique_ptr<HeaderIndex> headers;
    };

    bool remove_some_to(Destination destination, std::size_t& most);
    bool remove_some_from(ExchangeIndex source, std::size_t& most);
    void attach(BindingId id);
    void detach(BindingId id);
    void forget_if_empty(std::uint32_t list);
    void remove_binding(BindingId id);
    std::size_t octets_of(BindingId id) const;
    TextId pattern_of(const Binding& binding);
    std::uint32_t list_for(ExchangeIndex exchange, TextId pattern);
    void lead(ExchangeIndex exchange, TextId pattern, Target target, bool is_new);
    template <class Sink>
    void match(ExchangeIndex exchange, std::string_view key, std::uint64_t hash, std::string_view headers,
               Sink& sink);
    void match_topic(ExchangeIndex index, std::string_view key, std::uint64_t hash);
    std::span<const QueueIndex> route_topic(ExchangeIndex index, std::string_view key,
                                            std::string_view headers);
    void look_elsewhere(ExchangeIndex exchange);
    bool pass_on(std::span<const std::string_view> keys, std::string_view headers);
    void note_change(BindingId id);
    void forget_routes();

    Bindings bindings_;
    PatternLists lists_;
    ExactKeys exact_;
    TopicTrie trie_;
    TopicWalk walk_;
    Collector collector_;
    RouteCache cache_;  // of topic exchanges
    std::vector<Exchange> exchanges_;
    std::vector<ExchangeIndex> free_exchanges_;
    std::vector<std::string> queue_names_;  // by index; empty: not there
    std::vector<Destination> removed_;      // that have bindings left
    QueueIndex default_result_ = 0;
    std::uint64_t steps_ = 0;  // but those of the walk
    bool routed_by_keys_ = true;
    std::size_t octets_ = 0;  // of bindings
    std::uint64_t generation_ = 0;
};

/// Why a headers exchange does not take these arguments, as the text of a 406, or nothing if it does.
std::optional<std::string> headers_binding_error(protocol::TableView arguments);

}  // namespace trilby::routing
