// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "broker/asking/answer.hpp"
#include "broker/catalog/request.hpp"
#include "broker/operations/caller.hpp"
#include "protocol/methods.hpp"

// queue.declare and queue.delete: what may be asked, in the order in which RabbitMQ looks at it. AMQP 0-9-1:
// 1.7.2.

namespace trilby::broker {

/// A declare that is not passive, with its name made up if it had none. As stored: an exclusive queue is not
/// durable.
struct QueueDeclaration {
    std::string name;
    bool durable = false;
    bool exclusive = false;
    bool auto_delete = false;
    std::string arguments;
};
/// `name`: without line ends. Refused: a reserved name, one that the type needs, no permission.
protocol::Outcome<QueueDeclaration> queue_declaration(const Caller& caller, std::string name,
                                                      const protocol::queue::Declare& method);

/// What is to be done for a declaration.
namespace declared {
struct Existing {  // it is there, and the same
    const QueueInfo* queue;
};
struct Undecided {  // whether it goes is being decided: to be declared again then
    QueueId queue;
};
struct New {
    request::DeclareQueue request;  // refused with `exists`: to be declared again
    std::string unserved;           // arguments that are kept and not acted on; for the log
};
}  // namespace declared
using Declared = std::variant<declared::Existing, declared::Undecided, declared::New>;
/// `home`: where it is to live.
protocol::Outcome<Declared> declare_queue(const Caller& caller, const QueueDeclaration& declaration,
                                          ShardIndex home);

/// Null: there is none, and that is as good as deleted.
protocol::Outcome<const QueueInfo*> delete_queue(const Caller& caller, std::string_view name);
/// What its home has answered: how many messages went with it, or why it stays.
protocol::Outcome<std::uint32_t> deleted_queue(const Caller& caller, std::string_view name,
                                               const Answer& answer);

}  // namespace trilby::broker
