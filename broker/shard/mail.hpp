// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "broker/asking/answer.hpp"
#include "broker/asking/direct_reply.hpp"
#include "broker/catalog/changes.hpp"
#include "broker/catalog/request.hpp"
#include "broker/ids/ids.hpp"
#include "broker/message/held.hpp"
#include "broker/message/message.hpp"
#include "broker/queue/consumers.hpp"
#include "broker/queue/queue.hpp"
#include "broker/shard/settings.hpp"

namespace trilby::broker {

/// What may be asked of a queue's home. All of it travels the road that the asker's publishes travel.
namespace ask {
struct Count {};
struct Purge {
    bool begun = false;      // the rest is the home's
    EntryNumber end = 0;     // what is ready below it goes
    std::uint64_t gone = 0;  // so far
};
struct Get {
    bool no_ack;
};
struct Delete {
    bool if_unused = false;
    bool if_empty = false;
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

/// What seldom travels, each in a block of its own. A shard sends some to itself, and so do sessions through
/// it: what a turn has no room for is gone on with when such a letter comes, in line with all others.
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
struct Unanswered {  // what is left of a question for whose answer memory was lacking
    ReplyTo to;
    Refusal why;
};
struct Apply {  // from the catalog to every view; answered by Applied
    std::shared_ptr<const ChangeSet> changes;
    std::size_t applied = 0;  // of these
};
struct Applied {};
/// To the home of the queue: this shard sends it nothing more until it is opened again, and then sends it
/// there.
struct Closed {
    QueueId queue;
};
struct MoveQueue {  // to its new home, with what was asked meanwhile
    std::unique_ptr<Queue> queue;
    std::list<ToQueue> waiting;
};
struct QueueMoved {  // from there to all others; answered by Closed
    QueueId queue;
    ShardIndex home;
};
struct QueueGone {  // to a consumer's connection: the queue was deleted
    ConsumerId consumer;
};
struct Adopt {  // an accepted socket
    int socket;
};
struct DirectReply {  // to the channel that consumes amq.rabbitmq.reply-to; answered done or gone
    ReplyAddress address;
    Held message;  // empty: it was delivered or dropped
    ReplyTo reply_to;
    bool delivered = false;
};
struct FindDirectReply {  // does that channel still consume? Answered done or gone.
    ReplyAddress address;
    ReplyTo reply_to;
};
struct Alarm {  // what publishers are blocked for; nothing: they are not
    bool memory = false;
    bool disk = false;
    bool raised() const { return memory || disk; }
    bool operator==(const Alarm&) const = default;
};
struct Reload {  // the operator changed what can change
    std::shared_ptr<const LiveSettings> live;
};
/// Memory stays low: who holds much of messages that are not finished has to go, if all together hold so
/// many octets on this shard. Blocked, they could neither finish nor give up.
struct DropUnfinished {
    std::uint64_t worth;
};
struct Stop {
    bool journal_failed = false;
};
}  // namespace letter
using Letter =
    std::variant<letter::ToQueue, letter::ToCatalog, letter::Reply, letter::Unanswered, letter::Apply,
                 letter::Applied, letter::Closed, letter::MoveQueue, letter::QueueMoved, letter::QueueGone,
                 letter::Adopt, letter::DirectReply, letter::FindDirectReply, letter::Alarm,
                 letter::DropUnfinished, letter::Reload, letter::Stop>;

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
