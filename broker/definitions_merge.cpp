// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <tuple>

#include "broker/definitions.hpp"
#include "routing/argument_pool.hpp"

namespace trilby::broker {

namespace {

auto key_of(const VhostDefinition& one) {
    return std::tie(one.name);
}
auto key_of(const UserDefinition& one) {
    return std::tie(one.name);
}
auto key_of(const PermissionDefinition& one) {
    return std::tie(one.user, one.vhost);
}
auto key_of(const TopicPermissionDefinition& one) {
    return std::tie(one.user, one.vhost, one.exchange);
}
auto key_of(const ExchangeDefinition& one) {
    return std::tie(one.vhost, one.name);
}
auto key_of(const QueueDefinition& one) {
    return std::tie(one.vhost, one.name);
}
auto key_of(const VerbatimDefinition& one) {
    return std::tie(one.vhost, one.component, one.name);
}
auto key_of(const BindingDefinition& one) {
    return std::tuple(one.vhost, one.source, one.destination, one.destination_is_queue, one.routing_key,
                      routing::canonical(protocol::TableView(one.arguments)));
}

template <class Definition>
void merge_section(std::vector<Definition>& into, const std::vector<Definition>& added, bool replace) {
    // By value: what is added moves the ones that are there.
    using Key = decltype(std::apply([](const auto&... part) { return std::tuple(part...); },
                                    key_of(std::declval<const Definition&>())));
    std::map<Key, std::size_t> places;
    for (std::size_t i = 0; i < into.size(); ++i) places.emplace(key_of(into[i]), i);
    for (const Definition& one : added) {
        const auto [place, is_new] = places.emplace(key_of(one), into.size());
        if (is_new) {
            into.push_back(one);
        } else if (replace) {
            into[place->second] = one;
        }
    }
}

}  // namespace

void merge(Definitions& into, const Definitions& added) {
    merge_section(into.vhosts, added.vhosts, true);
    merge_section(into.users, added.users, true);
    merge_section(into.permissions, added.permissions, true);
    merge_section(into.topic_permissions, added.topic_permissions, true);
    merge_section(into.exchanges, added.exchanges, false);
    merge_section(into.queues, added.queues, false);
    merge_section(into.bindings, added.bindings, false);
    merge_section(into.policies, added.policies, true);
    merge_section(into.parameters, added.parameters, true);
    merge_section(into.global_parameters, added.global_parameters, true);
}

}  // namespace trilby::broker
