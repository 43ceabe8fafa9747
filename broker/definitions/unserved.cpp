// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions/unserved.hpp"

#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/arguments/unserved.hpp"
#include "protocol/quoted.hpp"

namespace trilby::broker {

std::vector<std::string> unserved_definitions(const Definitions& definitions) {
    std::vector<std::string> lines;
    const auto named = [&](const char* what, const std::vector<VerbatimDefinition>& kept) {
        if (kept.empty()) return;
        std::vector<std::string> names;
        for (const VerbatimDefinition& one : kept)
            names.push_back(one.vhost.empty() ? protocol::quoted(one.name)
                                              : fmt::format("{} ({})", protocol::quoted(one.name),
                                                            protocol::quoted(one.vhost)));
        lines.push_back(fmt::format("{} not acted on yet: {}", what, fmt::join(names, ", ")));
    };
    named("policies", definitions.policies);
    named("parameters", definitions.parameters);
    named("global parameters", definitions.global_parameters);
    std::vector<std::string> limited;
    for (const UserDefinition& user : definitions.users)
        if (!user.limits.empty()) limited.push_back(user.name);
    if (!limited.empty())
        lines.push_back(fmt::format("limits of users not acted on yet: {}", fmt::join(limited, ", ")));
    std::map<std::string, std::size_t> queues;
    for (const QueueDefinition& queue : definitions.queues)
        if (const auto checked =
                check_queue_arguments(protocol::TableView(queue.arguments), queue.name, queue.vhost))
            if (const std::string names = unserved_arguments(*checked); !names.empty()) ++queues[names];
    for (const auto& [names, count] : queues)
        lines.push_back(fmt::format("arguments of {} {} not acted on yet: {}", count,
                                    count == 1 ? "queue" : "queues", names));
    return lines;
}

}  // namespace trilby::broker
