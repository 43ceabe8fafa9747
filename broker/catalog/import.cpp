// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/import.hpp"

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/arguments/arguments.hpp"
#include "routing/exchange_type.hpp"
#include "routing/predeclared_exchanges.hpp"

namespace trilby::broker {

namespace {

using Failure = std::unexpected<std::string>;

/// What a definitions file declares, as it is turned into changes.
struct Imported {
    std::unordered_map<std::string, VhostIndex> vhosts;
    std::set<std::pair<VhostIndex, std::string>> exchanges;
    std::set<std::pair<VhostIndex, std::string>> queues;

    std::expected<VhostIndex, std::string> vhost(const std::string& name, std::string_view of_what) const {
        const auto found = vhosts.find(name);
        if (found == vhosts.end())
            return Failure(
                fmt::format("{} names the virtual host '{}', which is not among the vhosts", of_what, name));
        return found->second;
    }
};

/// The error names every pattern that cannot be used, a line each.
std::expected<void, std::string> import_access(const Definitions& definitions, const Imported& imported,
                                               auth::Access& access) {
    std::vector<std::string> unusable;
    for (const auto& user : definitions.users) {
        auto hash = auth::PasswordHash::from_base64(user.password_hash, user.hashing_algorithm);
        if (!hash) return Failure(fmt::format("user '{}': {}", user.name, hash.error()));
        access.set_user(user.name, *std::move(hash), user.tags);
    }
    for (const auto& row : definitions.permissions) {
        if (auto vhost = imported.vhost(row.vhost, fmt::format("a permission of user '{}'", row.user));
            !vhost)
            return Failure(vhost.error());
        if (access.find_user(row.user) == nullptr)
            return Failure(
                fmt::format("a permission names the user '{}', who is not among the users", row.user));
        if (auto set = access.set_permission(row.user, row.vhost, row.configure, row.write, row.read); !set)
            unusable.push_back(std::move(set.error()));
    }
    for (const auto& row : definitions.topic_permissions) {
        if (auto vhost = imported.vhost(row.vhost, fmt::format("a topic permission of user '{}'", row.user));
            !vhost)
            return Failure(vhost.error());
        if (access.find_user(row.user) == nullptr)
            return Failure(
                fmt::format("a topic permission names the user '{}', who is not among the users", row.user));
        if (auto set = access.set_topic_permission(row.user, row.vhost, row.exchange, row.write, row.read);
            !set)
            unusable.push_back(std::move(set.error()));
    }
    if (unusable.empty()) return {};
    if (unusable.size() == 1) return Failure(fmt::format("{}: rewrite it", unusable.front()));
    return Failure(
        fmt::format("{} patterns are to be rewritten: {}", unusable.size(), fmt::join(unusable, "; ")));
}

void add_vhost(ChangeSet& changes, VhostIndex index, const VhostDefinition& vhost) {
    changes.push_back(change::AddVhost{vhost.name, vhost.default_queue_type});
    for (const routing::PredeclaredExchange& exchange : routing::predeclared_exchanges)
        changes.push_back(change::DeclareExchange{.vhost = index,
                                                  .name = exchange.name,
                                                  .type = exchange.type,
                                                  .durable = true,
                                                  .internal = exchange.internal});
}

}  // namespace

Definitions embedded_default() {
    const auth::PasswordHash guest = auth::PasswordHash::of("guest");
    Definitions definitions;
    definitions.vhosts.push_back({"/", "", {}, ""});
    definitions.users.push_back({.name = "guest",
                                 .password_hash = guest.base64(),
                                 .hashing_algorithm = std::string(guest.algorithm()),
                                 .tags = {"administrator"}});
    definitions.permissions.push_back({"guest", "/", ".*", ".*", ".*"});
    return definitions;
}

std::expected<ChangeSet, std::string> import_all(Definitions& definitions, QueueNumbers& numbers,
                                                 std::size_t shards) {
    ChangeSet changes;
    Imported imported;
    for (const auto& vhost : definitions.vhosts) {
        const auto index = static_cast<VhostIndex>(imported.vhosts.size());
        if (!imported.vhosts.emplace(vhost.name, index).second) continue;
        add_vhost(changes, index, vhost);
    }
    auto access = std::make_shared<auth::Access>();
    if (auto done = import_access(definitions, imported, *access); !done) return Failure(done.error());
    changes.push_back(change::SetAccess{std::move(access)});

    for (const Change& change : changes)
        if (const auto* exchange = std::get_if<change::DeclareExchange>(&change))
            imported.exchanges.emplace(exchange->vhost, exchange->name);

    for (const auto& exchange : definitions.exchanges) {
        const auto vhost = imported.vhost(exchange.vhost, fmt::format("exchange '{}'", exchange.name));
        if (!vhost) return Failure(vhost.error());
        const auto type = routing::exchange_type(exchange.type);
        if (!type)
            return Failure(
                fmt::format("exchange '{}' in vhost '{}' has the type '{}', which Trilby does not have",
                            exchange.name, exchange.vhost, exchange.type));
        if (exchange.name.empty()) continue;  // the default exchange, which is there
        if (!imported.exchanges.emplace(*vhost, exchange.name).second) continue;
        changes.push_back(change::DeclareExchange{*vhost, exchange.name, *type, exchange.durable,
                                                  exchange.auto_delete, exchange.internal,
                                                  exchange.arguments});
    }
    for (auto& queue : definitions.queues) {
        const auto vhost = imported.vhost(queue.vhost, fmt::format("queue '{}'", queue.name));
        if (!vhost) return Failure(vhost.error());
        const auto checked =
            check_queue_arguments(protocol::TableView(queue.arguments), queue.name, queue.vhost);
        if (!checked) return Failure(checked.error());
        if (!imported.queues.emplace(*vhost, queue.name).second) continue;
        if (!numbers.has_room()) return Failure("there are more queues than can be numbered");
        const QueueId id = numbers.take(queue.id);
        queue.id = stored_id(id);
        changes.push_back(
            change::DeclareQueue{.id = id,
                                 .vhost = *vhost,
                                 .name = queue.name,
                                 // Nobody consumes yet, so there is no better place: all shards in turn.
                                 .home = static_cast<ShardIndex>(slot_of(id) % shards),
                                 .durable = queue.durable,
                                 .auto_delete = queue.auto_delete,
                                 .arguments = queue.arguments});
    }
    for (const auto& binding : definitions.bindings) {
        const std::string name = fmt::format("the binding of '{}' to '{}' in vhost '{}'", binding.destination,
                                             binding.source, binding.vhost);
        const auto vhost = imported.vhost(binding.vhost, name);
        if (!vhost) return Failure(vhost.error());
        const auto& destinations = binding.destination_is_queue ? imported.queues : imported.exchanges;
        if (binding.source.empty()) continue;  // the default exchange binds every queue by itself
        if (!imported.exchanges.contains({*vhost, binding.source}))
            return Failure(fmt::format("{} names an exchange that does not exist", name));
        if (!destinations.contains({*vhost, binding.destination}))
            return Failure(fmt::format("{} names a destination that does not exist", name));
        changes.push_back(change::Bind{*vhost, binding.source, binding.destination,
                                       binding.destination_is_queue, binding.routing_key, binding.arguments});
    }
    return changes;
}

}  // namespace trilby::broker
