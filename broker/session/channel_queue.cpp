// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/arguments/unserved.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "broker/shard/direct_reply.hpp"
#include "protocol/quoted.hpp"

// queue.*

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

}  // namespace

Channel::Outcome Channel::queue_declare(const protocol::queue::Declare& method) {
    std::string name = without_line_ends(method.queue);
    if (name.starts_with(direct_reply_name)) return declare_reply_name(name, method);
    if (method.passive) return queue_declare_passive(name, method.nowait);

    if (name.empty()) {
        const auto argument = method.arguments.find("x-queue-type");
        const auto type = argument
                              ? queue_type_of(argument->as_string().value_or(""))
                              : default_type(vhost(), {method.durable, method.auto_delete, method.exclusive});
        if (type && *type != QueueType::classic)
            return fail(ChannelReply::precondition_failed,
                        fmt::format("Cannot declare a server-named queue for type {}", module_name(*type)));
        name = "amq.gen-" + random_name();
    } else if (name.starts_with("amq.")) {
        return fail(ChannelReply::access_refused,
                    fmt::format("queue name '{}' contains reserved prefix 'amq.*'", name));
    }
    if (auto allowed = check(auth::Operation::configure, true, name); !allowed) return allowed;
    return declare({std::move(name), method.durable && !method.exclusive, method.exclusive,
                    method.auto_delete, method.nowait, std::string(method.arguments.raw())});
}

Channel::Outcome Channel::declare_reply_name(const std::string& name,
                                             const protocol::queue::Declare& method) {
    if (name == direct_reply_name) {
        answer_declare(name, method.nowait, 0, 1);
        return {};
    }
    const auto address = ReplyAddress::parse(name);
    if (!address) return not_found("queue", name);
    const auto answered = [this, name, nowait = method.nowait](const Answer& answer) -> Outcome {
        if (is_refused(answer, Refusal::gone)) return not_found("queue", name);
        answer_declare(name, nowait, 0, 1);
        return {};
    };
    session_.ask(this, method.id, answered, [&](ReplyTo to) { shard().find_direct_reply(*address, to); });
    return {};
}

Channel::Outcome Channel::queue_declare_passive(const std::string& name, bool nowait) {
    const auto queue = usable_queue(name);
    if (!queue) return std::unexpected(queue.error());
    ask_queue(**queue, protocol::queue::Declare::id, ask::Count{},
              [this, name, nowait](const Answer& answer) -> Outcome {
                  if (is_refused(answer, Refusal::gone)) return not_found("queue", name);
                  const auto& [messages, consumers] = std::get<answer::Counted>(answer);
                  answer_declare(name, nowait, messages, consumers);
                  return {};
              });
    return {};
}

Channel::Outcome Channel::declare(const Declaration& declaration) {
    const std::string& name = declaration.name;
    const protocol::TableView arguments(declaration.arguments);
    const std::string& vhost_name = vhost().name;
    const auto word = [](bool value) { return value ? "true" : "false"; };
    constexpr auto cause = protocol::queue::Declare::id;
    const QueueProperties properties{declaration.durable, declaration.auto_delete, declaration.exclusive};
    const std::optional<QueueType> of_vhost = default_type(vhost(), properties);

    if (const QueueInfo* current = shard().view().queue(vhost(), name)) {
        if (current->closed) {  // perhaps it is new then
            when_decided(current->id, cause,
                         [this, declaration] { return declare(Declaration(declaration)); });
            return {};
        }
        if (current->owner != (declaration.exclusive ? session_.id() : AskerId{})) return locked(name);
        const std::string resource = queue_in_vhost(name, vhost_name);
        if (declaration.durable != current->durable)
            return fail(ChannelReply::precondition_failed,
                        inequivalent_property("durable", resource, word(declaration.durable),
                                              word(current->durable)));
        if (declaration.auto_delete != current->auto_delete)
            return fail(ChannelReply::precondition_failed,
                        inequivalent_property("auto_delete", resource, word(declaration.auto_delete),
                                              word(current->auto_delete)));
        // One that names none was declared before there was a default: it is classic.
        const protocol::TableView now(current->arguments);
        const QueueType absent =
            now.find("x-queue-type") ? of_vhost.value_or(QueueType::classic) : QueueType::classic;
        if (auto text = inequivalent_argument(now, arguments, name, vhost_name, absent))
            return fail(ChannelReply::precondition_failed, *std::move(text));
        ask_queue(*current, cause, ask::Count{}, [this, declaration](const Answer& answer) -> Outcome {
            if (is_refused(answer, Refusal::gone)) return declare(Declaration(declaration));
            const auto& [messages, consumers] = std::get<answer::Counted>(answer);
            answer_declare(declaration.name, declaration.nowait, messages, consumers);
            return {};
        });
        return {};
    }

    const auto dead_letters = check_dead_letter_exchange(arguments, name, vhost_name);
    if (!dead_letters) return fail(ChannelReply::precondition_failed, dead_letters.error());
    if (*dead_letters) {
        if (auto allowed = check(auth::Operation::read, true, name); !allowed) return allowed;
        if (auto allowed = check(auth::Operation::write, false, **dead_letters); !allowed) return allowed;
    }
    const auto checked =
        check_queue_arguments(arguments, name, vhost_name, of_vhost.value_or(QueueType::classic));
    if (!checked) return fail(ChannelReply::precondition_failed, checked.error());
    if (checked->type == QueueType::stream)
        return fail(ChannelReply::precondition_failed,
                    unsupported_queue_type(checked->type, name, vhost_name));
    if (auto text = check_queue_properties(checked->type, properties, name, vhost_name))
        return fail(ChannelReply::precondition_failed, *std::move(text));
    if (const std::string unserved = unserved_arguments(*checked); !unserved.empty())
        log::write(log::Level::warning, session_.about(log::Event::arguments_not_served),
                   fmt::format("{}: kept, but not acted on yet: {}",
                               protocol::printable(queue_in_vhost(name, vhost_name)), unserved));

    // A queue keeps its type when the default changes.
    std::string kept = declaration.arguments;
    if (of_vhost && !arguments.find("x-queue-type"))
        kept += protocol::TableBuilder().string("x-queue-type", to_word(*of_vhost)).take();
    request::DeclareQueue request{{.vhost = vhost().index,
                                   .name = name,
                                   .home = shard().index(),
                                   .durable = declaration.durable,
                                   .auto_delete = declaration.auto_delete,
                                   .owner = declaration.exclusive ? session_.id() : AskerId{},
                                   .arguments = std::move(kept)}};
    if (declaration.exclusive) session_.expect_exclusive_queue();
    ask_catalog(cause, std::move(request), [this, declaration](const Answer& answer) -> Outcome {
        if (is_refused(answer, Refusal::exists)) return declare(Declaration(declaration));
        if (is_refused(answer, Refusal::too_much))
            return too_much("cannot declare " + queue_in_vhost(declaration.name, vhost().name),
                            "what is declared");
        if (declaration.exclusive)
            if (const QueueInfo* queue = shard().view().queue(vhost(), declaration.name))
                session_.own_exclusive_queue(queue->id);
        answer_declare(declaration.name, declaration.nowait, 0, 0);
        return {};
    });
    return {};
}

void Channel::answer_declare(const std::string& name, bool nowait, std::uint32_t messages,
                             std::uint32_t consumers) {
    last_queue_ = name;
    if (!nowait)
        session_.send(number_, protocol::queue::DeclareOk{
                                   .queue = name, .message_count = messages, .consumer_count = consumers});
}

Channel::Outcome Channel::queue_bind(const protocol::queue::Bind& method) {
    const auto queue = queue_name(without_line_ends(method.queue));
    if (!queue) return std::unexpected(queue.error());
    const bool both_empty = method.queue.empty() && method.routing_key.empty();
    return bind(
        {without_line_ends(method.exchange), *queue, both_empty ? *queue : std::string(method.routing_key),
         std::string(method.arguments.raw()), true, method.nowait},
        method.id);
}

Channel::Outcome Channel::queue_unbind(const protocol::queue::Unbind& method) {
    const auto queue = queue_name(without_line_ends(method.queue));
    if (!queue) return std::unexpected(queue.error());
    const bool both_empty = method.queue.empty() && method.routing_key.empty();
    return unbind(
        {without_line_ends(method.exchange), *queue, both_empty ? *queue : std::string(method.routing_key),
         std::string(method.arguments.raw()), true, false},
        method.id);
}

Channel::Outcome Channel::queue_purge(const protocol::queue::Purge& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    if (auto allowed = check(auth::Operation::read, true, *name); !allowed) return allowed;
    const auto queue = usable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    ask_queue(**queue, method.id, ask::Purge{},
              [this, name = *name, nowait = method.nowait](const Answer& answer) -> Outcome {
                  if (is_refused(answer, Refusal::gone)) return not_found("queue", name);
                  if (!nowait)
                      session_.send(number_, protocol::queue::PurgeOk{
                                                 .message_count = std::get<answer::Purged>(answer).messages});
                  return {};
              });
    return {};
}

Channel::Outcome Channel::queue_delete(const protocol::queue::Delete& method) {
    const auto name = queue_name(without_line_ends(method.queue));
    if (!name) return std::unexpected(name.error());
    if (auto allowed = check(auth::Operation::configure, true, *name); !allowed) return allowed;
    const auto answer_delete = [this, nowait = method.nowait](std::uint32_t messages) {
        if (!nowait) session_.send(number_, protocol::queue::DeleteOk{.message_count = messages});
    };
    if (shard().view().queue(vhost(), *name) == nullptr) {
        answer_delete(0);
        return {};
    }
    const auto queue = usable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    ask_queue(**queue, method.id, ask::Delete{method.if_unused, method.if_empty},
              [this, answer_delete, name = *name, id = (*queue)->id](const Answer& answer) -> Outcome {
                  const std::string resource = queue_in_vhost(name, vhost().name);
                  if (is_refused(answer, Refusal::in_use))
                      return fail(ChannelReply::precondition_failed, resource + " in use");
                  if (is_refused(answer, Refusal::not_empty))
                      return fail(ChannelReply::precondition_failed, resource + " not empty");
                  session_.disown_exclusive_queue(id);
                  const auto* deleted = std::get_if<answer::Deleted>(&answer);  // else it was gone already
                  answer_delete(deleted == nullptr ? 0 : deleted->messages);
                  return {};
              });
    return {};
}

}  // namespace trilby::broker
