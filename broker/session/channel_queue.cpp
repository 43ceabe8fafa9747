// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"
#include "broker/arguments/resource_name.hpp"
#include "broker/asking/direct_reply.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/quoted.hpp"

// queue.*

namespace trilby::broker {

Channel::Outcome Channel::queue_declare(const protocol::queue::Declare& method) {
    std::string name = without_line_ends(method.queue);
    if (name.starts_with(direct_reply_name)) return declare_reply_name(name, method);
    if (method.passive) return queue_declare_passive(name, method.nowait);
    auto declaration = queue_declaration(caller(), std::move(name), method);
    if (!declaration) return std::unexpected(declaration.error());
    return declare(*declaration, method.nowait);
}

Channel::Outcome Channel::declare_reply_name(const std::string& name,
                                             const protocol::queue::Declare& method) {
    if (name == direct_reply_name) {
        answer_declare(name, method.nowait, 0, 1);
        return {};
    }
    const auto address = ReplyAddress::parse(name);
    if (!address) return caller().not_found("queue", name);
    const auto answered = [this, name, nowait = method.nowait](const Answer& answer) -> Outcome {
        if (is_refused(answer, Refusal::gone)) return caller().not_found("queue", name);
        answer_declare(name, nowait, 0, 1);
        return {};
    };
    session_.ask(this, method.id, answered, [&](ReplyTo to) { shard().find_direct_reply(*address, to); });
    return {};
}

Channel::Outcome Channel::queue_declare_passive(const std::string& name, bool nowait) {
    const auto queue = caller().usable_queue(name);
    if (!queue) return std::unexpected(queue.error());
    ask_queue(**queue, protocol::queue::Declare::id, ask::Count{},
              [this, name, nowait](const Answer& answer) -> Outcome {
                  if (is_refused(answer)) return caller().not_found("queue", name);
                  const auto& [messages, consumers] = std::get<answer::Counted>(answer);
                  answer_declare(name, nowait, messages, consumers);
                  return {};
              });
    return {};
}

Channel::Outcome Channel::declare(const QueueDeclaration& declaration, bool nowait) {
    constexpr auto cause = protocol::queue::Declare::id;
    auto found = declare_queue(caller(), declaration, shard().index());
    if (!found) return std::unexpected(found.error());
    if (const auto* undecided = std::get_if<declared::Undecided>(&*found)) {
        when_decided(undecided->queue, cause,
                     [this, declaration, nowait] { return declare(QueueDeclaration(declaration), nowait); });
    } else if (const auto* existing = std::get_if<declared::Existing>(&*found)) {
        ask_queue(*existing->queue, cause, ask::Count{},
                  [this, declaration, nowait](const Answer& answer) -> Outcome {
                      if (is_refused(answer)) return declare(QueueDeclaration(declaration), nowait);
                      const auto& [messages, consumers] = std::get<answer::Counted>(answer);
                      answer_declare(declaration.name, nowait, messages, consumers);
                      return {};
                  });
    } else {
        declare_new(declaration, nowait, std::get<declared::New>(*found));
    }
    return {};
}

void Channel::declare_new(const QueueDeclaration& declaration, bool nowait, declared::New& found) {
    if (!found.unserved.empty())
        log::write(
            log::Level::warning, session_.about(log::Event::arguments_not_served),
            fmt::format("{}: kept, but not acted on yet: {}",
                        protocol::printable(queue_in_vhost(declaration.name, vhost().name)), found.unserved));
    if (declaration.exclusive) session_.expect_exclusive_queue();
    ask_catalog(protocol::queue::Declare::id, std::move(found.request),
                [this, declaration, nowait](const Answer& answer) -> Outcome {
                    if (is_refused(answer, Refusal::exists))
                        return declare(QueueDeclaration(declaration), nowait);
                    if (is_refused(answer))
                        return too_much("cannot declare " + queue_in_vhost(declaration.name, vhost().name),
                                        what_is_declared);
                    if (declaration.exclusive)
                        if (const QueueInfo* queue = shard().view().queue(vhost(), declaration.name))
                            session_.own_exclusive_queue(queue->id);
                    answer_declare(declaration.name, nowait, 0, 0);
                    return {};
                });
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
         std::string(method.arguments.raw()), true},
        method.id, method.nowait);
}

Channel::Outcome Channel::queue_unbind(const protocol::queue::Unbind& method) {
    const auto queue = queue_name(without_line_ends(method.queue));
    if (!queue) return std::unexpected(queue.error());
    const bool both_empty = method.queue.empty() && method.routing_key.empty();
    return unbind(
        {without_line_ends(method.exchange), *queue, both_empty ? *queue : std::string(method.routing_key),
         std::string(method.arguments.raw()), true},
        method.id, false);
}

Channel::Outcome Channel::queue_purge(const protocol::queue::Purge& method) {
    const auto name = queue_name(method.queue);
    if (!name) return std::unexpected(name.error());
    const auto queue = caller().readable_queue(*name);
    if (!queue) return std::unexpected(queue.error());
    ask_queue(**queue, method.id, ask::Purge{},
              [this, name = *name, nowait = method.nowait](const Answer& answer) -> Outcome {
                  if (is_refused(answer)) return caller().not_found("queue", name);
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
    const auto queue = delete_queue(caller(), *name);
    if (!queue) return std::unexpected(queue.error());
    const auto answer_delete = [this, nowait = method.nowait](std::uint32_t messages) {
        if (!nowait) session_.send(number_, protocol::queue::DeleteOk{.message_count = messages});
    };
    if (*queue == nullptr) {
        answer_delete(0);
        return {};
    }
    ask_queue(**queue, method.id, ask::Delete{method.if_unused, method.if_empty},
              [this, answer_delete, name = *name, id = (*queue)->id](const Answer& answer) -> Outcome {
                  const auto messages = deleted_queue(caller(), name, answer);
                  if (!messages) return std::unexpected(messages.error());
                  session_.disown_exclusive_queue(id);
                  answer_delete(*messages);
                  return {};
              });
    return {};
}

}  // namespace trilby::broker
