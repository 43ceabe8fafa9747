// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "routing/exchange_type.hpp"

// exchange.*, and the bindings of exchanges and queues alike.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {

constexpr std::string_view on_default = "operation not permitted on the default exchange";

/// What a declare of an existing exchange must repeat. None if it does.
std::optional<std::string> inequivalent_exchange(const ExchangeInfo& current, routing::ExchangeType type,
                                                 const protocol::exchange::Declare& method,
                                                 std::string_view vhost) {
    const std::string resource = exchange_in_vhost(current.name, vhost);
    const auto word = [](bool value) { return value ? "true" : "false"; };
    if (type != current.type)
        return inequivalent_property("type", resource, name_of(type), name_of(current.type));
    if (method.durable != current.durable)
        return inequivalent_property("durable", resource, word(method.durable), word(current.durable));
    if (method.auto_delete != current.auto_delete)
        return inequivalent_property("auto_delete", resource, word(method.auto_delete),
                                     word(current.auto_delete));
    if (method.internal != current.internal)
        return inequivalent_property("internal", resource, word(method.internal), word(current.internal));
    return inequivalent_exchange_argument(protocol::TableView(current.arguments), method.arguments,
                                          current.name, vhost);
}

}  // namespace

Channel::Outcome Channel::exchange_declare(const protocol::exchange::Declare& method) {
    const std::string name = without_line_ends(method.exchange);
    const auto answer = [this, nowait = method.nowait] {
        if (!nowait) session_.send(number_, protocol::exchange::DeclareOk{});
        return Outcome{};
    };
    if (method.passive) {
        if (name.empty()) return fail(ChannelReply::access_refused, std::string(on_default));
        if (vhost().exchange(name) == nullptr) return not_found("exchange", name);
        return answer();
    }
    const auto type = routing::exchange_type(method.type);
    if (!type)
        return fail(ConnectionReply::command_invalid, fmt::format("unknown exchange type '{}'", method.type));
    if (name.empty()) return fail(ChannelReply::access_refused, std::string(on_default));
    if (auto allowed = check(auth::Operation::configure, false, name); !allowed) return allowed;

    if (const ExchangeInfo* current = vhost().exchange(name)) {
        if (auto text = inequivalent_exchange(*current, *type, method, vhost().name))
            return fail(ChannelReply::precondition_failed, *std::move(text));
        return answer();
    }
    if (name.starts_with("amq."))
        return fail(ChannelReply::access_refused,
                    fmt::format("exchange name '{}' contains reserved prefix 'amq.*'", name));
    if (auto good = check_exchange_arguments(method.arguments, name, vhost().name); !good)
        return fail(ChannelReply::precondition_failed, good.error());
    if (const auto alternate = method.arguments.find("alternate-exchange")) {
        if (auto allowed = check(auth::Operation::read, false, name); !allowed) return allowed;
        if (auto allowed = check(auth::Operation::write, false, alternate->as_string().value_or(""));
            !allowed)
            return allowed;
    }
    request::DeclareExchange request{{.vhost = vhost().index,
                                      .name = name,
                                      .type = *type,
                                      .durable = method.durable,
                                      .auto_delete = method.auto_delete,
                                      .internal = method.internal,
                                      .arguments = std::string(method.arguments.raw())}};
    // Somebody else may declare it at the same time; whoever is second is compared with the first.
    auto again = [this, answer, declared = request.exchange,
                  nowait = method.nowait](const Answer& given) -> Outcome {
        if (is_refused(given, Refusal::too_much))
            return too_much(
                fmt::format("cannot declare exchange '{}' in vhost '{}'", declared.name, vhost().name),
                "what is declared");
        if (!is_refused(given, Refusal::exists)) return answer();
        protocol::exchange::Declare repeated;
        repeated.exchange = declared.name;
        repeated.type = name_of(declared.type);
        repeated.durable = declared.durable;
        repeated.auto_delete = declared.auto_delete;
        repeated.internal = declared.internal;
        repeated.nowait = nowait;
        repeated.arguments = protocol::TableView(declared.arguments);
        return exchange_declare(repeated);
    };
    ask_catalog(method.id, std::move(request), std::move(again));
    return {};
}

Channel::Outcome Channel::exchange_delete(const protocol::exchange::Delete& method) {
    const std::string name = without_line_ends(method.exchange);
    if (name.empty()) return fail(ChannelReply::access_refused, std::string(on_default));
    if (name.starts_with("amq."))
        return fail(
            ChannelReply::access_refused,
            fmt::format("deletion of system exchange '{}' in vhost '{}' not allowed", name, vhost().name));
    if (auto allowed = check(auth::Operation::configure, false, name); !allowed) return allowed;
    ask_catalog(method.id, request::DeleteExchange{vhost().index, name, method.if_unused},
                [this, name, nowait = method.nowait](const Answer& answer) -> Outcome {
                    if (is_refused(answer, Refusal::in_use))
                        return fail(ChannelReply::precondition_failed,
                                    fmt::format("exchange '{}' in vhost '{}' in use", name, vhost().name));
                    if (!nowait) session_.send(number_, protocol::exchange::DeleteOk{});
                    return {};
                });
    return {};
}

Channel::Outcome Channel::exchange_bind(const protocol::exchange::Bind& method) {
    return bind({without_line_ends(method.source), without_line_ends(method.destination),
                 std::string(method.routing_key), std::string(method.arguments.raw()), false, method.nowait},
                method.id);
}

Channel::Outcome Channel::exchange_unbind(const protocol::exchange::Unbind& method) {
    return unbind(
        {without_line_ends(method.source), without_line_ends(method.destination),
         std::string(method.routing_key), std::string(method.arguments.raw()), false, method.nowait},
        method.id);
}

Channel::Outcome Channel::check_binding(const Binding& binding) {
    if (auto allowed = check(auth::Operation::write, binding.to_queue, binding.destination); !allowed)
        return allowed;
    if (binding.source.empty() || (!binding.to_queue && binding.destination.empty()))
        return fail(ChannelReply::access_refused, std::string(on_default));
    if (auto allowed = check(auth::Operation::read, false, binding.source); !allowed) return allowed;
    const ExchangeInfo* source = vhost().exchange(binding.source);
    return source == nullptr ? Outcome{} : check_topic(*source, auth::Operation::read, binding.routing_key);
}

Channel::Outcome Channel::bind(Binding binding, protocol::MethodId cause) {
    if (auto good = check_binding(binding); !good) return good;
    const ExchangeInfo* source = vhost().exchange(binding.source);
    if (source == nullptr) return not_found("exchange", binding.source);
    if (binding.to_queue) {
        if (auto queue = usable_queue(binding.destination); !queue) return std::unexpected(queue.error());
    } else if (vhost().exchange(binding.destination) == nullptr) {
        return not_found("exchange", binding.destination);
    }
    const protocol::TableView arguments(binding.arguments);
    if (source->type == routing::ExchangeType::headers)
        if (auto text = routing::headers_binding_error(arguments))
            return fail(ChannelReply::precondition_failed, *std::move(text));
    request::Bind request{{vhost().index, binding.source, binding.destination, binding.to_queue,
                           binding.routing_key, binding.arguments}};
    ask_catalog(cause, std::move(request),
                [this, binding = std::move(binding)](const Answer& answer) -> Outcome {
                    if (is_refused(answer, Refusal::too_much))
                        return too_much(fmt::format("cannot bind {} '{}' to exchange '{}' in vhost '{}'",
                                                    binding.to_queue ? "queue" : "exchange",
                                                    binding.destination, binding.source, vhost().name),
                                        "what is declared");
                    if (is_refused(answer, Refusal::no_source)) return not_found("exchange", binding.source);
                    if (is_refused(answer, Refusal::no_destination))
                        return not_found(binding.to_queue ? "queue" : "exchange", binding.destination);
                    if (binding.nowait) return {};
                    if (binding.to_queue) {
                        session_.send(number_, protocol::queue::BindOk{});
                    } else {
                        session_.send(number_, protocol::exchange::BindOk{});
                    }
                    return {};
                });
    return {};
}

Channel::Outcome Channel::unbind(Binding binding, protocol::MethodId cause) {
    if (auto good = check_binding(binding); !good) return good;
    if (binding.to_queue) {
        const QueueInfo* queue = shard().view().queue(vhost(), binding.destination);
        if (queue != nullptr && queue->owner != AskerId{} && queue->owner != session_.id() &&
            has_binding(binding))
            return locked(binding.destination);
    }
    request::Unbind request{{vhost().index, binding.source, binding.destination, binding.to_queue,
                             binding.routing_key, binding.arguments}};
    ask_catalog(cause, std::move(request), [this, binding = std::move(binding)](const Answer&) -> Outcome {
        if (binding.to_queue) {
            session_.send(number_, protocol::queue::UnbindOk{});
        } else if (!binding.nowait) {
            session_.send(number_, protocol::exchange::UnbindOk{});
        }
        return {};
    });
    return {};
}

bool Channel::has_binding(const Binding& binding) {
    const auto source = vhost().routes.find_exchange(binding.source);
    const auto destination = destination_of(shard().view(), vhost(), binding.destination, binding.to_queue);
    return source && destination &&
           vhost().routes.has_binding(*source, *destination, binding.routing_key,
                                      protocol::TableView(binding.arguments));
}

}  // namespace trilby::broker
