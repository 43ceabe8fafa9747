// SPDX-License-Identifier: Apache-2.0
#include "broker/operations/queues.hpp"

#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/arguments/unserved.hpp"

namespace trilby::broker {

using protocol::ChannelReply;

namespace {

/// What x-queue-type means when it is absent: the virtual host's default, if the queue can be of that type.
/// As in RabbitMQ from 3.11.
std::optional<QueueType> default_type(const Vhost& vhost, QueueProperties properties) {
    const std::optional<QueueType> type = vhost.default_queue_type;
    const bool any = properties.durable && !properties.exclusive && !properties.auto_delete;
    return any || type == QueueType::classic ? type : std::nullopt;
}

QueueProperties properties_of(const QueueDeclaration& declaration) {
    return {declaration.durable, declaration.auto_delete, declaration.exclusive};
}

std::string_view word(bool value) {
    return value ? "true" : "false";
}

/// Does it repeat what there is?
protocol::Outcome<> compare(const Caller& caller, const QueueInfo& current,
                            const QueueDeclaration& declaration) {
    if (current.owner != (declaration.exclusive ? caller.asker() : AskerId{}))
        return caller.locked(declaration.name);
    const std::string resource = queue_in_vhost(declaration.name, caller.vhost().name);
    const auto differs = [&](std::string_view property, bool received, bool now) {
        return refuse(ChannelReply::precondition_failed,
                      inequivalent_property(property, resource, word(received), word(now)));
    };
    if (declaration.durable != current.durable)
        return differs("durable", declaration.durable, current.durable);
    if (declaration.auto_delete != current.auto_delete)
        return differs("auto_delete", declaration.auto_delete, current.auto_delete);
    // One that names no type was declared before there was a default: it is classic.
    const protocol::TableView now(current.arguments);
    const QueueType absent =
        now.find("x-queue-type")
            ? default_type(caller.vhost(), properties_of(declaration)).value_or(QueueType::classic)
            : QueueType::classic;
    if (auto text = inequivalent_argument(now, protocol::TableView(declaration.arguments), declaration.name,
                                          caller.vhost().name, absent))
        return refuse(ChannelReply::precondition_failed, *std::move(text));
    return {};
}

protocol::Outcome<> check_dead_letters(const Caller& caller, const QueueDeclaration& declaration) {
    const auto exchange = check_dead_letter_exchange(protocol::TableView(declaration.arguments),
                                                     declaration.name, caller.vhost().name);
    if (!exchange) return refuse(ChannelReply::precondition_failed, exchange.error());
    if (!*exchange) return {};
    if (auto allowed = caller.may_on_queue(auth::Operation::read, declaration.name); !allowed) return allowed;
    return caller.may_on_exchange(auth::Operation::write, **exchange);
}

}  // namespace

protocol::Outcome<QueueDeclaration> queue_declaration(const Caller& caller, std::string name,
                                                      const protocol::queue::Declare& method) {
    if (name.empty()) {
        const auto argument = method.arguments.find("x-queue-type");
        const auto type =
            argument ? queue_type_of(argument->as_string().value_or(""))
                     : default_type(caller.vhost(), {method.durable, method.auto_delete, method.exclusive});
        if (type && *type != QueueType::classic)
            return refuse(ChannelReply::precondition_failed,
                          fmt::format("Cannot declare a server-named queue for type {}", module_name(*type)));
        name = "amq.gen-" + random_name();
    } else if (name.starts_with("amq.")) {
        return refuse(ChannelReply::access_refused,
                      fmt::format("queue name '{}' contains reserved prefix 'amq.*'", name));
    }
    if (auto allowed = caller.may_on_queue(auth::Operation::configure, name); !allowed)
        return std::unexpected(allowed.error());
    return QueueDeclaration{std::move(name), method.durable && !method.exclusive, method.exclusive,
                            method.auto_delete, std::string(method.arguments.raw())};
}

protocol::Outcome<Declared> declare_queue(const Caller& caller, const QueueDeclaration& declaration,
                                          ShardIndex home) {
    const std::string& name = declaration.name;
    const std::string& vhost = caller.vhost().name;
    if (const QueueInfo* current = caller.view().queue(caller.vhost(), name)) {
        if (current->closed) return declared::Undecided{current->id};  // perhaps it is new then
        if (auto same = compare(caller, *current, declaration); !same) return std::unexpected(same.error());
        return declared::Existing{current};
    }
    if (auto good = check_dead_letters(caller, declaration); !good) return std::unexpected(good.error());
    const protocol::TableView arguments(declaration.arguments);
    const QueueProperties properties = properties_of(declaration);
    const std::optional<QueueType> of_vhost = default_type(caller.vhost(), properties);
    const auto checked = check_queue_arguments(arguments, name, vhost, of_vhost.value_or(QueueType::classic));
    if (!checked) return refuse(ChannelReply::precondition_failed, checked.error());
    if (checked->type == QueueType::stream)
        return refuse(ChannelReply::precondition_failed, unsupported_queue_type(checked->type, name, vhost));
    if (auto text = check_queue_properties(checked->type, properties, name, vhost))
        return refuse(ChannelReply::precondition_failed, *std::move(text));

    // A queue keeps its type when the default changes.
    std::string kept = declaration.arguments;
    if (of_vhost && !arguments.find("x-queue-type"))
        kept += protocol::TableBuilder().string("x-queue-type", to_word(*of_vhost)).take();
    Declared fresh(std::in_place_type<declared::New>);
    auto& [request, unserved] = std::get<declared::New>(fresh);
    request.queue = {.vhost = caller.vhost().index,
                     .name = name,
                     .home = home,
                     .durable = declaration.durable,
                     .auto_delete = declaration.auto_delete,
                     .owner = declaration.exclusive ? caller.asker() : AskerId{},
                     .arguments = std::move(kept)};
    unserved = unserved_arguments(*checked);
    return fresh;
}

protocol::Outcome<const QueueInfo*> delete_queue(const Caller& caller, std::string_view name) {
    if (auto allowed = caller.may_on_queue(auth::Operation::configure, name); !allowed)
        return std::unexpected(allowed.error());
    if (caller.view().queue(caller.vhost(), name) == nullptr) return nullptr;
    return caller.usable_queue(name);
}

protocol::Outcome<std::uint32_t> deleted_queue(const Caller& caller, std::string_view name,
                                               const Answer& answer) {
    const auto stays = [&](std::string_view why) {
        return refuse(ChannelReply::precondition_failed,
                      fmt::format("{} {}", queue_in_vhost(name, caller.vhost().name), why));
    };
    if (is_refused(answer, Refusal::in_use)) return stays("in use");
    if (is_refused(answer, Refusal::not_empty)) return stays("not empty");
    const auto* deleted = std::get_if<answer::Deleted>(&answer);
    return deleted == nullptr ? 0 : deleted->messages;  // somebody else was first
}

}  // namespace trilby::broker
