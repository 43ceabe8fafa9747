// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/ledger.hpp"

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

void Ledger::lost_by(HolderNumber number, const std::string& queue, MessageNumber message, const char* what) {
    Holder& holder = holders_[number];
    require(holder.doubtful != 0 || holder.must_close, "message {} of {} delivered again: {} by channel {}", message,
            queue, what, number);
    holder.must_close = true;
}

void Ledger::delivered(const std::string& name, MessageNumber message, bool redelivered, bool no_ack, HolderNumber to) {
    require(messages_[message].sent, "message {} delivered from {}, but it was not published", message, name);
    Queue& queue = queues_[name];
    Queue::Place& place = queue.places[message];
    if (place.state == State::out) lost_by(place.holder, name, message, "held");
    if (place.state == State::gone) {
        require(!place.settled_for_certain, "message {} of {} delivered after it was settled", message, name);
        lost_by(place.holder, name, message, "settled");
    }
    if (redelivered) {
        if (!place.seen && !queue.returned_unseen) queue.unexplained = true;
    } else {
        require(!place.seen, "message {} of {} is delivered again without the mark", message, name);
    }
    place = {.state = no_ack ? State::gone : State::out, .seen = true, .settled_for_certain = no_ack, .holder = to};
}

void Ledger::delivered_ambiguously(const std::string& name, MessageNumber message) {
    require(messages_[message].sent, "message {} delivered from {}, but it was not published", message, name);
    Queue& queue = queues_[name];
    returned_unseen(name);
    Queue::Place& place = queue.places[message];
    place.seen = true;
    if (place.state == State::inside) place.state = State::unknown;
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
    if (place.state == State::gone && place.holder == by && !place.settled_for_certain) place.state = State::unknown;
}

void Ledger::purged(const std::string& name) { queues_[name].purged = true; }

void Ledger::returned_unseen(const std::string& name) {
    queues_[name].returned_unseen = true;
    queues_[name].unexplained = false;
}

void Ledger::check_explained() const {
    for (const auto& [name, queue] : queues_)
        require(!queue.unexplained, "a message of {} is marked redelivered, but never was delivered", name);
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
        require(place != queue.places.end() && place->second.state != State::inside, "message {} of {} is lost", number,
                name);
        require(place->second.state != State::out, "message {} of {} is still held by channel {}", number, name,
                place->second.holder);
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
