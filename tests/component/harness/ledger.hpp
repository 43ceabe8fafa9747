// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trilby::harness {

using MessageNumber = std::uint32_t;
using HolderNumber = std::uint32_t;

/// What clients know of every message in every queue, and the rules that follow from it. Written as clients
/// act and as they read, so what a client has done and the broker not yet seen counts as done.
class Ledger {
  public:
    /// A client's channel from open to close. `doubtful`: requests under way that may end it. While there are
    /// some, the broker may have given its messages to others already: then the channel must turn out to be
    /// closed.
    struct Holder {
        unsigned doubtful = 0;
        bool must_close = false;
    };
    struct Message {
        HolderNumber publisher = 0;
        std::uint32_t size = 0;
        std::vector<std::string> targets{};  // of the queues that outlive the conversation
        bool exact = false;                  // and to no other of these does it go
        unsigned asked_as =
            0;  // of a request: which of its publisher's times as a consumer of replies it was
        unsigned answers_to = 0;     // of a reply: that of the request; 0: it is none
        HolderNumber requester = 0;  // likewise
        bool replied = false;        // likewise: it has come
        bool persistent = false;
        bool sent = false;     // false: held back by a transaction
        bool certain = false;  // the broker has it, as its answers show
    };
    struct Queue {
        bool stable = false;
        bool purged = false;
        bool lossy = false;  // a consumer without acknowledgement ended with messages on their way to it
        bool returned_unseen = false;  // deliveries that no client has read may have gone back
        bool unexplained =
            false;  // one has, as its mark says; whose channel that was must show by the next rest
        enum class State : std::uint8_t { inside, out, gone, unknown };
        struct Place {
            State state = State::inside;
            bool seen = false;
            bool settled_for_certain = false;
            HolderNumber holder = 0;  // of what is out or gone
        };
        std::unordered_map<MessageNumber, Place> places;
    };

    HolderNumber add_holder();
    Holder& holder(HolderNumber number) { return holders_[number]; }
    MessageNumber add_message(Message message);
    Message& message(MessageNumber number) { return messages_[number]; }
    std::size_t messages() const { return messages_.size(); }
    /// Addresses of replies that were asked for, as somebody has read them.
    struct ReplyAddress {
        std::string name;
        HolderNumber requester;
        unsigned asked_as;
    };
    std::vector<ReplyAddress>& reply_addresses() { return reply_addresses_; }
    /// visit(Message) for each reply to that channel.
    template <class F>
    void each_reply_to(HolderNumber requester, F visit) const {
        for (const Message& message : messages_)
            if (message.answers_to != 0 && message.requester == requester) visit(message);
    }
    Queue& queue(const std::string& name) { return queues_[name]; }

    void delivered(const std::string& queue, MessageNumber message, bool redelivered, bool no_ack,
                   HolderNumber to);
    /// Read by a channel that has asked for its deliveries to be taken back: perhaps it was, perhaps it is a
    /// new one.
    void delivered_ambiguously(const std::string& queue, MessageNumber message);
    /// A reply has come to this channel.
    void reply_delivered(MessageNumber message, HolderNumber to);
    void given_back(const std::string& queue, MessageNumber message, HolderNumber by);
    void settled(const std::string& queue, MessageNumber message, HolderNumber by);
    void settled_for_certain(const std::string& queue, MessageNumber message, HolderNumber by);
    /// The channel ended and the broker may not have seen the settlement.
    void perhaps_settled(const std::string& queue, MessageNumber message, HolderNumber by);
    void purged(const std::string& queue);
    /// Deliveries of this queue may go back unread.
    void returned_unseen(const std::string& queue);
    /// The broker has come to rest and clients have read all.
    void check_explained() const;

    /// All clients have gone, and the broker was stopped and started: what is not persistent went.
    void restarted();
    /// All clients have gone and the queue was read to its end.
    void check_drained(const std::string& queue);

    /// The octets of a message's body.
    static std::string body(MessageNumber number, std::uint32_t size);
    MessageNumber read_body(std::string_view body) const;

  private:
    bool may_be_closed(HolderNumber holder) const;

    std::vector<Holder> holders_;
    std::vector<Message> messages_;
    std::vector<ReplyAddress> reply_addresses_;
    std::map<std::string, Queue> queues_;
};

}  // namespace trilby::harness
