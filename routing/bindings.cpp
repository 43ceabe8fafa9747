// SPDX-License-Identifier: Apache-2.0
#include "routing/bindings.hpp"

#include "protocol/room.hpp"
#include "routing/hash.hpp"

namespace trilby::routing {

std::uint32_t Bindings::hash(const Binding& binding) {
    const auto pair = [](std::uint32_t high, std::uint32_t low) { return std::uint64_t{high} << 32 | low; };
    return static_cast<std::uint32_t>(hash_integers(pair(binding.source, binding.destination.bits()),
                                                    pair(binding.key, binding.arguments)));
}

BindingId Bindings::find(const Binding& wanted) const {
    return index_.find(hash(wanted), [&](BindingId id) {
        const Binding& each = bindings_[id];
        return each.source == wanted.source && each.destination == wanted.destination &&
               each.key == wanted.key && each.arguments == wanted.arguments;
    });
}

BindingId Bindings::find(ExchangeIndex source, Destination destination, std::string_view key,
                         protocol::TableView arguments) const {
    Binding wanted;
    wanted.source = source;
    wanted.destination = PackedDestination(destination);
    wanted.key = texts_.find(key);
    if (wanted.key == TextPool::none) return no_binding;
    wanted.arguments = arguments_.find(arguments);
    return wanted.arguments == ArgumentPool::none ? no_binding : find(wanted);
}

BindingId Bindings::add(ExchangeIndex source, Destination destination, std::string_view key,
                        const protocol::SharedTable& arguments) {
    Binding binding;
    binding.source = source;
    binding.destination = PackedDestination(destination);
    const auto head_in = [](Heads& heads, std::uint32_t index) -> Head& {
        if (index >= heads.size()) heads.resize(index + 1);
        return heads[index];
    };
    Head& from = head_in(from_, source);
    Head& to = head_in(heads_to(binding.destination), destination.index);
    index_.make_room();
    bindings_.reserve(1);
    binding.key = texts_.intern(key);
    Undo no_key([&] { texts_.release(binding.key); });
    binding.arguments = arguments_.intern(arguments);
    if (find(binding) != no_binding) {
        arguments_.release(binding.arguments);
        return no_binding;
    }
    no_key.keep();
    const BindingId id = bindings_.add();
    bindings_[id] = binding;
    index_.insert(hash(binding), id);
    link(from, id, &Binding::by_source);
    link(to, id, &Binding::by_destination);
    return id;
}

void Bindings::remove(BindingId id) {
    const Binding& binding = bindings_[id];
    index_.erase(hash(binding), id);
    unlink(from_[binding.source], id, &Binding::by_source);
    unlink(heads_to(binding.destination)[binding.destination.index()], id, &Binding::by_destination);
    texts_.release(binding.key);
    arguments_.release(binding.arguments);
    bindings_.remove(id);
}

void Bindings::link(Head& head, BindingId id, Binding::Links Binding::*links) {
    (bindings_[id].*links).after = head.first;
    if (head.first != no_binding) (bindings_[head.first].*links).before = id;
    head.first = id;
    ++head.count;
}

void Bindings::unlink(Head& head, BindingId id, Binding::Links Binding::*links) {
    const auto [before, after] = bindings_[id].*links;
    (before == no_binding ? head.first : (bindings_[before].*links).after) = after;
    if (after != no_binding) (bindings_[after].*links).before = before;
    --head.count;
}

}  // namespace trilby::routing
