// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/field_table.hpp"
#include "protocol/shared_table.hpp"
#include "routing/argument_pool.hpp"
#include "routing/destination.hpp"
#include "routing/flat_table.hpp"
#include "routing/slab.hpp"
#include "routing/text_pool.hpp"

namespace trilby::routing {

using BindingId = std::uint32_t;
inline constexpr BindingId no_binding = FlatIndex::none;

/// Source, destination, key and arguments are what a binding is; the rest says where it stands.
struct Binding {
    ExchangeIndex source = 0;
    PackedDestination destination;
    TextId key = 0;
    ArgumentsId arguments = 0;

    std::uint32_t list = 0;      // of destinations, or the entry of the header index
    std::uint32_t position = 0;  // in the list
    struct Links {
        BindingId before = no_binding;
        BindingId after = no_binding;
    };
    Links by_source, by_destination;
};

/// All bindings of a Table, found by what they are, by their source and by their destination.
class Bindings {
  public:
    /// no_binding if it was there already, in which case nothing changes; nor does it if this throws.
    BindingId add(ExchangeIndex source, Destination destination, std::string_view key,
                  const protocol::SharedTable& arguments);
    BindingId find(ExchangeIndex source, Destination destination, std::string_view key,
                   protocol::TableView arguments) const;
    void remove(BindingId id);

    Binding& operator[](BindingId id) { return bindings_[id]; }
    const Binding& operator[](BindingId id) const { return bindings_[id]; }
    std::string_view key(BindingId id) const { return texts_.get(bindings_[id].key); }
    protocol::TableView arguments(BindingId id) const { return arguments_.get(bindings_[id].arguments); }

    BindingId first_from(ExchangeIndex source) const { return head(from_, source).first; }
    BindingId first_to(Destination destination) const {
        return head(destination.kind == Destination::Kind::queue ? to_queue_ : to_exchange_,
                    destination.index)
            .first;
    }
    BindingId next_from(BindingId id) const { return bindings_[id].by_source.after; }
    BindingId next_to(BindingId id) const { return bindings_[id].by_destination.after; }
    std::size_t count_from(ExchangeIndex source) const { return head(from_, source).count; }
    std::size_t size() const { return bindings_.size(); }
    /// Of all argument tables.
    std::size_t table_octets() const { return arguments_.octets(); }

    /// Binding keys, and for others who want to keep a text.
    TextPool& texts() { return texts_; }
    const TextPool& texts() const { return texts_; }

  private:
    struct Head {
        BindingId first = no_binding;
        std::uint32_t count = 0;
    };
    using Heads = std::vector<Head>;

    static std::uint32_t hash(const Binding& binding);
    static Head head(const Heads& heads, std::uint32_t index) {
        return index < heads.size() ? heads[index] : Head{};
    }
    Heads& heads_to(PackedDestination destination) {
        return destination.is_exchange() ? to_exchange_ : to_queue_;
    }
    BindingId find(const Binding& wanted) const;
    void link(Head& head, BindingId id, Binding::Links Binding::*links);
    void unlink(Head& head, BindingId id, Binding::Links Binding::*links);

    Slab<Binding> bindings_;
    FlatIndex index_;
    TextPool texts_;
    ArgumentPool arguments_;
    Heads from_, to_queue_, to_exchange_;  // by index
};

}  // namespace trilby::routing
