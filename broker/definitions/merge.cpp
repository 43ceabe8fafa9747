// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <tuple>

#include "broker/arguments/arguments.hpp"
#include "broker/definitions/import.hpp"
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

std::string name_of(const ExchangeDefinition& one) {
    return exchange_in_vhost(one.name, one.vhost);
}
std::string name_of(const QueueDefinition& one) {
    return queue_in_vhost(one.name, one.vhost);
}

/// Does a definition say what there is already? The order of arguments says nothing, and an id is no part of
/// it.
template <class Definition>
bool says_the_same(const Definition& there, const Definition& added) {
    return there == added;
}
bool same_arguments(std::string_view one, std::string_view other) {
    return routing::canonical(protocol::TableView(one)) == routing::canonical(protocol::TableView(other));
}
bool says_the_same(const ExchangeDefinition& there, const ExchangeDefinition& added) {
    return there.type == added.type && there.durable == added.durable &&
           there.auto_delete == added.auto_delete && there.internal == added.internal &&
           same_arguments(there.arguments, added.arguments);
}
bool says_the_same(const QueueDefinition& there, const QueueDefinition& added) {
    return there.durable == added.durable && there.auto_delete == added.auto_delete &&
           same_arguments(there.arguments, added.arguments);
}
bool says_the_same(const BindingDefinition&, const BindingDefinition&) {
    return true;  // all of it is its key
}

template <class Definition>
MergedSection merge_section(std::string_view name, std::vector<Definition>& into,
                            const std::vector<Definition>& added) {
    // By value: what is added moves the ones that are there.
    using Key = decltype(std::apply([](const auto&... part) { return std::tuple(part...); },
                                    key_of(std::declval<const Definition&>())));
    MergedSection merged{name};
    std::map<Key, std::size_t> places;
    for (std::size_t i = 0; i < into.size(); ++i) places.emplace(key_of(into[i]), i);
    for (const Definition& one : added) {
        const auto [place, is_new] = places.emplace(key_of(one), into.size());
        if (is_new) {
            into.push_back(one);
            ++merged.added;
        } else if (says_the_same(into[place->second], one)) {
            ++merged.equal;
        } else if constexpr (requires { name_of(one); }) {
            merged.kept.push_back(name_of(one));
        } else {
            into[place->second] = one;
            ++merged.changed;
        }
    }
    return merged;
}

}  // namespace

std::vector<MergedSection> merge_sections(Definitions& into, const Definitions& added) {
    return {merge_section("vhosts", into.vhosts, added.vhosts),
            merge_section("users", into.users, added.users),
            merge_section("permissions", into.permissions, added.permissions),
            merge_section("topic_permissions", into.topic_permissions, added.topic_permissions),
            merge_section("exchanges", into.exchanges, added.exchanges),
            merge_section("queues", into.queues, added.queues),
            merge_section("bindings", into.bindings, added.bindings),
            merge_section("policies", into.policies, added.policies),
            merge_section("parameters", into.parameters, added.parameters),
            merge_section("global_parameters", into.global_parameters, added.global_parameters)};
}

void merge(Definitions& into, const Definitions& added) {
    merge_sections(into, added);
}

}  // namespace trilby::broker
