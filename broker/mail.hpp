// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "broker/catalog_request.hpp"
#include "broker/changes.hpp"
#include "broker/consumers.hpp"
#include "broker/ids.hpp"
#include "broker/message.hpp"
#include "broker/queue.hpp"

namespace trilby::broker {

/// Whom an answer goes to. `question` is the connection's own number for it.
struct ReplyTo {
    ConnectionId connection{};  // 0: nobody waits
    std::uint32_t question = 0;
};

struct Answer {
    enum class Status : std::uint8_t {
        done,
        exists,          // declare: somebody else was first; the view has it by now
        gone,            // the queue has been deleted meanwhile
        no_source,       // bind: the source exchange does not exist
        no_destination,  // bind: the destination does not exist
        in_use,
        not_empty,
        in_exclusive_use,
        empty,       // basic.get
        not_stored,  // the disk did not take the change; nothing has changed
    };
    Status status = Status::done;
    bool redelivered = false;
    std::uint32_t messages = 0;
    std::uint32_t consumers = 0;
    Message* message = nullptr;  // with a reference
    EntryNumber entry = 0;
};

/// What a connection may ask of a queue's home. All of it travels the road that its publishes travel.
namespace ask {
struct Count {};
struct Purge {};
struct Get {
    bool no_ack;
};
struct Delete {
    bool if_unused;
    bool if_empty;
};
struct Subscribe {
    Consumer consumer;
    bool exclusive;
};
struct Cancel {
    ConsumerId consumer;
};
}  // namespace ask
using QueueQuestion =
    std::variant<ask::Count, ask::Purge, ask::Get, ask::Delete, ask::Subscribe, ask::Cancel>;

/// What seldom travels, each in a block of its own.
namespace letter {
struct ToQueue {
    QueueId queue;
    QueueQuestion question;
    ReplyTo reply_to;
};
struct ToCatalog {
    CatalogRequest request;
    ReplyTo reply_to;
};
struct Reply {
    ReplyTo to;
    Answer answer;
};
struct Apply {  // from the catalog to every view; answered by Applied
    std::shared_ptr<const ChangeSet> changes;
};
struct Applied {};
struct QueueGone {  // to a consumer's connection: the queue was deleted
    ConsumerId consumer;
};
struct Adopt {  // an accepted socket
    int socket;
};
struct DirectReply {  // to the channel that consumes amq.rabbitmq.reply-to
    ConnectionId connection;
    std::uint16_t channel;
    std::uint64_t secret;
    Message* message;  // with a reference
};
struct FindDirectReply {  // does that channel still consume? Answered done or gone.
    ConnectionId connection;
    std::uint16_t channel;
    std::uint64_t secret;
    ReplyTo reply_to;
};
struct Alarm {  // what publishers are blocked for; nothing: they are not
    bool memory = false;
    bool disk = false;
    bool raised() const { return memory || disk; }
    bool operator==(const Alarm&) const = default;
};
struct Stop {
    bool journal_failed = false;
};
}  // namespace letter
using Letter = std::variant<letter::ToQueue, letter::ToCatalog, letter::Reply, letter::Apply, letter::Applied,
                            letter::QueueGone, letter::Adopt, letter::DirectReply, letter::FindDirectReply,
                            letter::Alarm, letter::Stop>;

/// One item of a mailbox: what is said per message, in place, or a letter.
struct Mail {
    enum class Kind : std::uint8_t {
        enqueue,         // queue, message
        settle,          // queue, consumer, number = first, count, settlement
        window,          // queue, consumer, number = octets
        grant,           // queue, consumer, count
        limit,           // queue, consumer, flag: limited by grants
        deliver,         // queue, consumer, number = entry, message, flag: redelivered
        wants_grant,     // consumer
        returned_grant,  // consumer, count
        letter,
    };
    Kind kind{};
    bool flag = false;
    Settlement settlement{};
    std::uint32_t count = 0;
    QueueId queue{};
    ConsumerId consumer{};
    std::uint64_t number = 0;
    void* block = nullptr;  // a Message with a reference, or a Letter, as the kind says

    Message* message() const { return static_cast<Message*>(block); }
    Letter* letter() const { return static_cast<Letter*>(block); }
    /// The sender's core has what a receiver is about to read.
    void prefetch() const {
        __builtin_prefetch(block);
        __builtin_prefetch(static_cast<const char*>(block) + 64);
    }
};
static_assert(sizeof(Mail) == 40);

}  // namespace trilby::broker
