// SPDX-License-Identifier: Apache-2.0
#include "broker/operations/exchanges.hpp"

#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "routing/exchange_type.hpp"

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {

Refused not_on_default() {
    return refuse(ChannelReply::access_refused, "operation not permitted on the default exchange");
}

/// What a declare of an existing exchange must repeat. None if it does.
std::optional<std::string> inequivalent_exchange(const ExchangeInfo& current, routing::ExchangeType type,
                                                 const ExchangeDeclaration& declaration,
                                                 std::string_view vhost) {
    const std::string resource = exchange_in_vhost(current.name, vhost);
    const auto word = [](bool value) { return value ? "true" : "false"; };
    if (type != current.type)
        return inequivalent_property("type", resource, name_of(type), name_of(current.type));
    if (declaration.durable != current.durable)
        return inequivalent_property("durable", resource, word(declaration.durable), word(current.durable));
    if (declaration.auto_delete != current.auto_delete)
        return inequivalent_property("auto_delete", resource, word(declaration.auto_delete),
                                     word(current.auto_delete));
    if (declaration.internal != current.internal)
        return inequivalent_property("internal", resource, word(declaration.internal),
                                     word(current.internal));
    return inequivalent_exchange_argument(protocol::TableView(current.arguments),
                                          protocol::TableView(declaration.arguments), current.name, vhost);
}

protocol::Outcome<> check_binding(const Caller& caller, const Binding& binding) {
    if (auto allowed = binding.to_queue ? caller.may_on_queue(auth::Operation::write, binding.destination)
                                        : caller.may_on_exchange(auth::Operation::write, binding.destination);
        !allowed)
        return allowed;
    if (binding.source.empty() || (!binding.to_queue && binding.destination.empty())) return not_on_default();
    if (auto allowed = caller.may_on_exchange(auth::Operation::read, binding.source); !allowed)
        return allowed;
    const ExchangeInfo* source = caller.vhost().exchange(binding.source);
    if (source == nullptr) return {};
    return caller.may_on_topic(*source, auth::Operation::read, binding.routing_key);
}

bool has_binding(const Caller& caller, const Binding& binding) {
    const Vhost& vhost = caller.vhost();
    const auto source = vhost.routes.find_exchange(binding.source);
    const auto destination = destination_of(caller.view(), vhost, binding.destination, binding.to_queue);
    return source && destination &&
           vhost.routes.has_binding(*source, *destination, binding.routing_key,
                                    protocol::TableView(binding.arguments));
}

std::string_view kind_of_destination(const Binding& binding) {
    return binding.to_queue ? "queue" : "exchange";
}

}  // namespace

protocol::Outcome<> find_exchange(const Caller& caller, std::string_view name) {
    if (name.empty()) return not_on_default();
    if (caller.vhost().exchange(name) == nullptr) return caller.not_found("exchange", name);
    return {};
}

protocol::Outcome<std::optional<request::DeclareExchange>> declare_exchange(
    const Caller& caller, const ExchangeDeclaration& declaration) {
    const std::string& name = declaration.name;
    const std::string& vhost = caller.vhost().name;
    const auto type = routing::exchange_type(declaration.type);
    if (!type)
        return refuse(ConnectionReply::command_invalid,
                      fmt::format("unknown exchange type '{}'", declaration.type));
    if (name.empty()) return not_on_default();
    if (auto allowed = caller.may_on_exchange(auth::Operation::configure, name); !allowed)
        return std::unexpected(allowed.error());
    if (const ExchangeInfo* current = caller.vhost().exchange(name)) {
        if (auto text = inequivalent_exchange(*current, *type, declaration, vhost))
            return refuse(ChannelReply::precondition_failed, *std::move(text));
        return std::nullopt;
    }
    if (name.starts_with("amq."))
        return refuse(ChannelReply::access_refused,
                      fmt::format("exchange name '{}' contains reserved prefix 'amq.*'", name));
    const protocol::TableView arguments(declaration.arguments);
    if (auto good = check_exchange_arguments(arguments, name, vhost); !good)
        return refuse(ChannelReply::precondition_failed, good.error());
    if (const auto alternate = arguments.find("alternate-exchange")) {
        if (auto allowed = caller.may_on_exchange(auth::Operation::read, name); !allowed)
            return std::unexpected(allowed.error());
        if (auto allowed =
                caller.may_on_exchange(auth::Operation::write, alternate->as_string().value_or(""));
            !allowed)
            return std::unexpected(allowed.error());
    }
    return request::DeclareExchange{{.vhost = caller.vhost().index,
                                     .name = name,
                                     .type = *type,
                                     .durable = declaration.durable,
                                     .auto_delete = declaration.auto_delete,
                                     .internal = declaration.internal,
                                     .arguments = declaration.arguments}};
}

protocol::Outcome<request::DeleteExchange> delete_exchange(const Caller& caller, const std::string& name,
                                                           bool if_unused) {
    if (name.empty()) return not_on_default();
    if (name.starts_with("amq."))
        return refuse(ChannelReply::access_refused,
                      fmt::format("deletion of system exchange '{}' in vhost '{}' not allowed", name,
                                  caller.vhost().name));
    if (auto allowed = caller.may_on_exchange(auth::Operation::configure, name); !allowed)
        return std::unexpected(allowed.error());
    return request::DeleteExchange{caller.vhost().index, name, if_unused};
}

Refused exchange_in_use(const Caller& caller, std::string_view name) {
    return refuse(ChannelReply::precondition_failed,
                  fmt::format("{} in use", exchange_in_vhost(name, caller.vhost().name)));
}

protocol::Outcome<request::Bind> bind(const Caller& caller, const Binding& binding) {
    if (auto good = check_binding(caller, binding); !good) return std::unexpected(good.error());
    const ExchangeInfo* source = caller.vhost().exchange(binding.source);
    if (source == nullptr) return caller.not_found("exchange", binding.source);
    if (binding.to_queue) {
        if (auto queue = caller.usable_queue(binding.destination); !queue)
            return std::unexpected(queue.error());
    } else if (caller.vhost().exchange(binding.destination) == nullptr) {
        return caller.not_found("exchange", binding.destination);
    }
    if (source->type == routing::ExchangeType::headers)
        if (auto text = routing::headers_binding_error(protocol::TableView(binding.arguments)))
            return refuse(ChannelReply::precondition_failed, *std::move(text));
    return request::Bind{{caller.vhost().index, binding.source, binding.destination, binding.to_queue,
                          binding.routing_key, binding.arguments}};
}

Refused not_bound(const Caller& caller, const Binding& binding, Refusal why) {
    if (why == Refusal::no_source) return caller.not_found("exchange", binding.source);
    if (why == Refusal::no_destination)
        return caller.not_found(kind_of_destination(binding), binding.destination);
    return too_much(
        fmt::format("cannot bind {} '{}' to exchange '{}' in vhost '{}'", kind_of_destination(binding),
                    binding.destination, binding.source, caller.vhost().name),
        what_is_declared);
}

protocol::Outcome<request::Unbind> unbind(const Caller& caller, const Binding& binding) {
    if (auto good = check_binding(caller, binding); !good) return std::unexpected(good.error());
    if (binding.to_queue) {
        const QueueInfo* queue = caller.view().queue(caller.vhost(), binding.destination);
        if (queue != nullptr && caller.is_others(*queue) && has_binding(caller, binding))
            return caller.locked(binding.destination);
    }
    return request::Unbind{{caller.vhost().index, binding.source, binding.destination, binding.to_queue,
                            binding.routing_key, binding.arguments}};
}

}  // namespace trilby::broker
