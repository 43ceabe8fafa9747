// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "broker/catalog/changes.hpp"

namespace trilby::broker {

/// What is asked of the catalog. The asker has checked permissions, names and equivalence with its own view;
/// the catalog decides what depends on the order of requests: whether things exist.
namespace request {

/// Fails with `exists`.
struct DeclareExchange {
    change::DeclareExchange exchange;
};
/// Of what does not exist: done. Fails with `in_use`.
struct DeleteExchange {
    VhostIndex vhost;
    std::string name;
    bool if_unused;
};
/// The id is the catalog's to give. Fails with `exists`.
struct DeclareQueue {
    change::DeclareQueue queue;
};
/// Its home is about to decide whether it goes; it does not depend on an answer, and nobody waits for one.
struct CloseQueue {
    QueueId id;
};
/// It stays.
struct ReopenQueue {
    QueueId id;
};
/// The queue has been stopped at its home already, with so many messages ready; the answer repeats the
/// number.
struct DeleteQueue {
    QueueId id;
    std::uint32_t messages = 0;
};
/// Fails with `no_source`, `no_destination`.
struct Bind {
    change::Bind binding;
};
struct Unbind {
    change::Unbind binding;
};

}  // namespace request

using CatalogRequest = std::variant<request::DeclareExchange, request::DeleteExchange, request::DeclareQueue,
                                    request::CloseQueue, request::ReopenQueue, request::DeleteQueue,
                                    request::Bind, request::Unbind>;

/// The steps of a queue's end go on whatever memory is lacking, for the queue has taken one already.
inline bool can_be_refused(const CatalogRequest& request) {
    return !std::holds_alternative<request::CloseQueue>(request) &&
           !std::holds_alternative<request::ReopenQueue>(request) &&
           !std::holds_alternative<request::DeleteQueue>(request);
}

}  // namespace trilby::broker
