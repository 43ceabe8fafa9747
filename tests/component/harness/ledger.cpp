// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/ledger.hpp"

#include <algorithm>
#include <cstring>

#include "tests/component/harness/violation.hpp"

namespace trilby::harness {

using State = Ledger::Queue::State;

HolderNumber Ledger::add_holder() {
    holders_.emplace_back();
    return static_cast<HolderNumber>(holders_.size() - 1);
}

MessageNumber Ledger::add_message(Message message) {
    messages_.push_back(std::move(message));
    return static_cast<MessageNumber>(messages_.size() - 1);
}

bool Ledger::may_be_closed(HolderNumber number) const {
    return holders_[number].doubtful != 0 || holders_[number].must_close;
}

void Ledger::delivered(const std::string& name, MessageNumber message, bool redelivered, bool no_ack,
                       HolderNumber to) {
    require(messages_[message].sent, "message {} delivered from {}, but it was not published", message, name);
    Queue& queue = queues_[name];
    require(!queue.stable || !messages_[message].exact ||
                std::ranges::find(messages_[message].targets, name) != messages_[message].targets.end(),
            "message {} delivered from {}, which it was not to go to", message, name);
    Queue::Place& place = queue.places[message];
    const bool twice = place.state == State::out || place.state == State::gone;
    if (twice || (!redelivered && place.seen)) {
        // Right only if a channel was closed for an error that its client has not read yet: that of who had
        // it, or that of who reads it now, and this is what was on the way when it was taken back.
        const bool reader = may_be_closed(to);
        const bool holder = twice && redelivered && !place.settled_for_certain && may_be_closed(place.holder);
        require(reader || holder, "message {} of {} delivered to channel {}{} when channel {} had {} it",
                message, name, to, redelivered ? "" : " without the mark", place.holder,
                place.state == State::gone ? "settled" : "been given");
        if (!holder) {
            holders_[to].must_close = true;
            returned_unseen(name);
            return;
        }
        if (reader) {
            place.state = State::unknown;
            return;
        }
        holders_[place.holder].must_close = true;
    }
    if (redelivered && !place.seen && !queue.returned_unseen) queue.unexplained = true;
    if (place.state == State::unknown && may_be_closed(to)) {
        place.seen = true;  // it may be the older of two deliveries, read late, and be settled by now
        return;
    }
    place = {.state = no_ack ? State::gone : State::out,
             .seen = true,
             .settled_for_certain = no_ack,
             .holder = to};
}

void Ledger::delivered_ambiguously(const std::string& name, MessageNumber message) {
    require(messages_[message].sent, "message {} delivered from {}, but it was not published", message, name);
    Queue& queue = queues_[name];
    returned_unseen(name);
    Queue::Place& place = queue.places[message];
    place.seen = true;
    if (place.state == State::inside) place.state = State::unknown;
}

void Ledger::reply_delivered(MessageNumber number, HolderNumber to) {
    Message& message = messages_[number];
    require(message.sent, "reply {} delivered, but it was not published", number);
    require(message.answers_to != 0 && message.requester == to,
            "message {} is no reply to channel {}, and came there", number, to);
    require(!message.replied, "reply {} came twice", number);
    message.replied = true;
}

void Ledger::given_back(const std::string& name, MessageNumber message, HolderNumber by) {
    Queue::Place& place = queues_[name].places[message];
    if (place.state == State::out && place.holder == by) place.state = State::inside;
}

void Ledger::settled(const std::string& name, MessageNumber message, HolderNumber by) {
    Queue::Place& place = queues_[name].places[message];
    if (place.state == State::out && place.holder == by) place.state = State::gone;
}

void Ledger::settled_for_certain(const std::string& name, MessageNumber message, HolderNumber by) {
    Queue::Place& place = queues_[name].places[message];
    if (place.state == State::gone && place.holder == by) place.settled_for_certain = true;
}

void Ledger::perhaps_settled(const std::string& name, MessageNumber message, HolderNumber by) {
    Queue::Place& place = queues_[name].places[message];
    if (place.state == State::gone && place.holder == by && !place.settled_for_certain)
        place.state = State::unknown;
}

void Ledger::purged(const std::string& name) {
    queues_[name].purged = true;
}

void Ledger::returned_unseen(const std::string& name) {
    queues_[name].returned_unseen = true;
    queues_[name].unexplained = false;
}

void Ledger::check_explained() const {
    for (const auto& [name, queue] : queues_)
        require(!queue.unexplained, "a message of {} is marked redelivered, but never was delivered", name);
}

void Ledger::restarted() {
    for (Message& message : messages_) message.sent = message.sent && message.persistent;
    for (auto& [name, queue] : queues_) {
        queue.returned_unseen = true;
        for (auto& [number, place] : queue.places) {
            if (place.state == State::out) place.state = State::inside;
            if (place.state == State::gone && !place.settled_for_certain) place.state = State::unknown;
        }
    }
}

void Ledger::check_drained(const std::string& name) {
    const Queue& queue = queues_[name];
    if (queue.purged || queue.lossy) return;
    for (MessageNumber number = 0; number < messages_.size(); ++number) {
        const Message& message = messages_[number];
        if (!message.sent || !message.certain) continue;
        bool here = false;
        for (const std::string& target : message.targets) here = here || target == name;
        if (!here) continue;
        const auto place = queue.places.find(number);
        require(place != queue.places.end() && place->second.state != State::inside,
                "message {} of {} is lost", number, name);
        require(place->second.state != State::out, "message {} of {} is still held by channel {}", number,
                name, place->second.holder);
    }
}

std::string Ledger::body(MessageNumber number, std::uint32_t size) {
    std::string body(size, '\0');
    for (std::uint32_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (number + i) % 26);
    std::memcpy(body.data(), &number, sizeof number);
    return body;
}

MessageNumber Ledger::read_body(std::string_view octets) const {
    MessageNumber number = UINT32_MAX;
    if (octets.size() >= sizeof number) std::memcpy(&number, octets.data(), sizeof number);
    require(number < messages_.size(), "a body that nobody sent");
    require(octets == body(number, messages_[number].size), "the body of message {} has changed", number);
    return number;
}

}  // namespace trilby::harness
