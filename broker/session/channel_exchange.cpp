// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

// exchange.*, and the bindings of exchanges and queues alike.

namespace trilby::broker {

Channel::Outcome Channel::exchange_declare(const protocol::exchange::Declare& method) {
    const std::string name = without_line_ends(method.exchange);
    if (!method.passive)
        return declare({.name = name,
                        .type = std::string(method.type),
                        .durable = method.durable,
                        .auto_delete = method.auto_delete,
                        .internal = method.internal,
                        .arguments = std::string(method.arguments.raw())},
                       method.nowait);
    if (auto there = find_exchange(caller(), name); !there) return there;
    if (!method.nowait) session_.send(number_, protocol::exchange::DeclareOk{});
    return {};
}

Channel::Outcome Channel::declare(const ExchangeDeclaration& declaration, bool nowait) {
    auto request = declare_exchange(caller(), declaration);
    if (!request) return std::unexpected(request.error());
    const auto answer = [this, nowait] {
        if (!nowait) session_.send(number_, protocol::exchange::DeclareOk{});
        return Outcome{};
    };
    if (!*request) return answer();
    ask_catalog(protocol::exchange::Declare::id, **std::move(request),
                [this, answer, declaration, nowait](const Answer& given) -> Outcome {
                    if (is_refused(given, Refusal::exists))
                        return declare(ExchangeDeclaration(declaration), nowait);
                    if (is_refused(given))
                        return too_much("cannot declare " + exchange_in_vhost(declaration.name, vhost().name),
                                        what_is_declared);
                    return answer();
                });
    return {};
}

Channel::Outcome Channel::exchange_delete(const protocol::exchange::Delete& method) {
    const std::string name = without_line_ends(method.exchange);
    auto request = delete_exchange(caller(), name, method.if_unused);
    if (!request) return std::unexpected(request.error());
    ask_catalog(method.id, *std::move(request),
                [this, name, nowait = method.nowait](const Answer& answer) -> Outcome {
                    if (is_refused(answer)) return exchange_in_use(caller(), name);
                    if (!nowait) session_.send(number_, protocol::exchange::DeleteOk{});
                    return {};
                });
    return {};
}

Channel::Outcome Channel::exchange_bind(const protocol::exchange::Bind& method) {
    return bind({without_line_ends(method.source), without_line_ends(method.destination),
                 std::string(method.routing_key), std::string(method.arguments.raw()), false},
                method.id, method.nowait);
}

Channel::Outcome Channel::exchange_unbind(const protocol::exchange::Unbind& method) {
    return unbind({without_line_ends(method.source), without_line_ends(method.destination),
                   std::string(method.routing_key), std::string(method.arguments.raw()), false},
                  method.id, method.nowait);
}

Channel::Outcome Channel::bind(const Binding& binding, protocol::MethodId cause, bool nowait) {
    auto request = broker::bind(caller(), binding);
    if (!request) return std::unexpected(request.error());
    ask_catalog(cause, *std::move(request), [this, binding, nowait](const Answer& answer) -> Outcome {
        if (const auto* refused = std::get_if<answer::Refused>(&answer))
            return not_bound(caller(), binding, refused->why);
        if (nowait) return {};
        if (binding.to_queue) {
            session_.send(number_, protocol::queue::BindOk{});
        } else {
            session_.send(number_, protocol::exchange::BindOk{});
        }
        return {};
    });
    return {};
}

Channel::Outcome Channel::unbind(const Binding& binding, protocol::MethodId cause, bool nowait) {
    auto request = broker::unbind(caller(), binding);
    if (!request) return std::unexpected(request.error());
    ask_catalog(cause, *std::move(request),
                [this, to_queue = binding.to_queue, nowait](const Answer&) -> Outcome {
                    if (to_queue) {
                        session_.send(number_, protocol::queue::UnbindOk{});
                    } else if (!nowait) {
                        session_.send(number_, protocol::exchange::UnbindOk{});
                    }
                    return {};
                });
    return {};
}

}  // namespace trilby::broker
