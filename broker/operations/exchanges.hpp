// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "broker/asking/answer.hpp"
#include "broker/catalog/request.hpp"
#include "broker/operations/caller.hpp"

// exchange.declare and exchange.delete: what may be asked, in the order in which RabbitMQ looks at it. AMQP
// 0-9-1: 1.6.2.

namespace trilby::broker {

struct ExchangeDeclaration {
    std::string name;  // without line ends
    std::string type;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    std::string arguments;
};
/// None: it is there, and the same. A request that is refused with `exists` is to be declared again, for
/// whoever is second is compared with the first.
protocol::Outcome<std::optional<request::DeclareExchange>> declare_exchange(
    const Caller& caller, const ExchangeDeclaration& declaration);
/// Is there one? exchange.declare, passive.
protocol::Outcome<> find_exchange(const Caller& caller, std::string_view name);

/// Refused with `in_use`: exchange_in_use.
protocol::Outcome<request::DeleteExchange> delete_exchange(const Caller& caller, const std::string& name,
                                                           bool if_unused);
Refused exchange_in_use(const Caller& caller, std::string_view name);

/// Both ends of a binding, and what a message must have.
struct Binding {
    std::string source, destination, routing_key, arguments;
    bool to_queue = true;
};
/// queue.bind and exchange.bind. `not_bound` says why the catalog has refused it.
protocol::Outcome<request::Bind> bind(const Caller& caller, const Binding& binding);
Refused not_bound(const Caller& caller, const Binding& binding, Refusal why);
/// queue.unbind and exchange.unbind.
protocol::Outcome<request::Unbind> unbind(const Caller& caller, const Binding& binding);

}  // namespace trilby::broker
