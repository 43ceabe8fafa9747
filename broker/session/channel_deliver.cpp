// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

// Messages on their way out: basic.deliver, get-ok and return, with their contents.

namespace trilby::broker {

using protocol::frame_end;
using protocol::frame_head_size;
using protocol::FrameType;
using protocol::store_big_endian;

inline DeliveryTag Channel::number_delivery(Subscription& subscription, EntryNumber entry,
                                            std::uint64_t stored) {
    const DeliveryTag tag =
        unacknowledged_.push_back({.entry = entry,
                                   .subscription = subscription.index,
                                   .in_transaction = 0,
                                   .delivered_at = static_cast<std::uint32_t>(shard().seconds()) & 0x7FFFFFFF,
                                   .stored = stored});
    ++subscription.unacknowledged;
    return tag;
}

inline void Channel::write_delivery(const Subscription& subscription, Arrival& arrival, DeliveryTag tag,
                                    bool redelivered) {
    const Publication& publication = arrival.publication();
    session_.touch();
    const std::size_t method_size =
        subscription.head.size() + 9 + publication.names.size();  // without its end octet
    const std::size_t size = method_size + publication.tail.size();
    if (publication.body_size <= copied_body &&
        publication.body_size + protocol::frame_overhead <= session_.frame_max() &&
        size <= Output::reservable) {
        char* at = session_.output().reserve(size);
        std::memcpy(at, subscription.head.data(), subscription.head.size());
        store_big_endian(at + 3, static_cast<std::uint32_t>(method_size - frame_head_size));
        at += subscription.head.size();
        store_big_endian(at, tag);
        at[8] = redelivered ? 1 : 0;
        at += 9;
        std::memcpy(at, publication.names.data(), publication.names.size());
        at += publication.names.size();
        std::memcpy(at, publication.tail.data(), publication.tail.size());
        set_channel(at, publication.header_frame_size, publication.body_size, number_);
    } else {
        write_long_delivery(subscription, arrival, tag, redelivered);
    }
}

void Channel::deliver(Subscription& subscription, Arrival& arrival, EntryNumber entry, bool redelivered) {
    const DeliveryTag tag =
        subscription.no_ack ? unacknowledged_.skip() : number_delivery(subscription, entry, arrival.stored());
    try {
        write_delivery(subscription, arrival, tag, redelivered);
    } catch (...) {
        if (!subscription.no_ack) {
            unacknowledged_.take(tag);
            --subscription.unacknowledged;
        }
        throw;
    }
    limit_.used(subscription);
    session_.check_output();
}

// Here, where it is made one with what it calls.
void Subscription::deliver(const Delivery& delivery, Arrival& arrival) {
    channel.deliver(*this, arrival, delivery.entry, delivery.redelivered);
}

void Channel::write_long_delivery(const Subscription& subscription, Arrival& arrival, DeliveryTag tag,
                                  bool redelivered) {
    std::string method = subscription.head.substr(frame_head_size);
    char rest[9];
    store_big_endian(rest, tag);
    rest[8] = redelivered ? 1 : 0;
    method.append(rest, sizeof rest);
    const Publication& publication = arrival.publication();
    Message* const message = arrival.borrow();
    write_content(method, publication.names, {}, publication, message, false);
}

DeliveryTag Channel::number_get(QueueId queue, const answer::Got& got) {
    try {
        const DeliveryTag tag =
            number_delivery(subscription_of_gets(queue, got.home), got.entry, got.message->stored);
        limit_.add_got();
        return tag;
    } catch (...) {
        shard().settle({.queue = queue, .home = got.home}, got.entry, 1, Settlement::requeue);
        throw;
    }
}

bool Channel::deliver_direct_reply(std::uint64_t secret, Message& message) {
    if (!consumes_replies(secret) || !takes_deliveries() || !session_.takes_direct_reply()) return false;
    std::string method{"\0\x3c\0\x3c", 4};
    method += static_cast<char>(replies_.tag.size());
    method += replies_.tag;
    char rest[9] = {};
    store_big_endian(rest, unacknowledged_.skip());
    method.append(rest, sizeof rest);
    write_content(method, message.publication().names, {}, message.publication(), &message, true);
    session_.touch();
    return true;
}

void Channel::write_get_ok(DeliveryTag tag, const answer::Got& got) {
    char method[4 + 9] = {0, 60, 0, 71};
    store_big_endian(method + 4, tag);
    method[12] = got.redelivered ? 1 : 0;
    char count[4];
    store_big_endian(count, got.left);
    const Publication publication = got.message->publication();
    write_content({method, sizeof method}, publication.names, {count, sizeof count}, publication,
                  got.message.get(), true);
    session_.touch();
}

void Channel::return_unroutable(const Publication& publication) {
    using namespace std::string_view_literals;
    write_content("\0\x3c\0\x32\x01\x38\x08NO_ROUTE"sv, publication.names, {}, publication, nullptr, true);
    session_.touch();
}

void Channel::write_content(std::string_view method, std::string_view names, std::string_view after_names,
                            const Publication& publication, Message* message, bool owed) {
    session_.output().append_whole(
        [&] { write_frames(session_.output(), method, names, after_names, publication, message, owed); });
}

void Channel::write_frames(Output& output, std::string_view method, std::string_view names,
                           std::string_view after_names, const Publication& publication, Message* message,
                           bool owed) {
    char head[frame_head_size];
    const auto frame_head = [&](FrameType type, std::size_t size) {
        protocol::write_frame_head(
            head, {static_cast<std::uint8_t>(type), number_, static_cast<std::uint32_t>(size)});
        return std::string_view{head, sizeof head};
    };
    output.append(frame_head(FrameType::method, method.size() + names.size() + after_names.size()));
    output.append(method);
    output.append(names);
    output.append(after_names);
    output.append({&frame_end, 1});
    output.append(frame_head(FrameType::header, publication.header_frame_size - protocol::frame_overhead));
    output.append(
        publication.tail.substr(1 + frame_head_size, publication.header_frame_size - frame_head_size));
    std::string_view body = publication.body();
    const std::size_t most = session_.frame_max() - protocol::frame_overhead;
    const bool refer = message != nullptr && body.size() > copied_body;
    while (!body.empty()) {
        const std::string_view part = body.substr(0, most);
        body.remove_prefix(part.size());
        output.append(frame_head(FrameType::body, part.size()));
        if (refer) {
            output.reference(message, part, owed);
        } else {
            output.append(part);
        }
        output.append({&frame_end, 1});
    }
}

void Channel::owe_window(Subscription& subscription, std::int64_t octets) {
    // A share that was used up with nothing to acknowledge is another's now.
    if (subscription.no_ack) hand_out_limit();
    subscription.owed_window += octets;
    if (session_.full() || subscription.owed_window < shard().settings().consumer_window / 8) return;
    shard().open_window(subscription.end, subscription.owed_window);
    subscription.owed_window = 0;
}

void Channel::hold_consumers(bool held) {
    for (const auto& subscription : subscriptions_) {
        if (!held && session_.full()) return;  // one of them filled it again
        if (subscription == nullptr || subscription->cancelled) continue;
        if (subscription->near_queue != nullptr) {
            subscription->near_queue->hold(*subscription->near_consumer, held);
        } else if (!held && subscription->owed_window > 0) {
            shard().open_window(subscription->end, subscription->owed_window);
            subscription->owed_window = 0;
        }
    }
}

void Channel::check_consumer_timeout() {
    const auto timeout = shard().settings().consumer_timeout;
    if (timeout.count() == 0 || unacknowledged_.empty() || state_ != State::open || session_.waiting())
        return;
    const std::uint32_t age = (static_cast<std::uint32_t>(shard().seconds()) -
                               unacknowledged_.find(unacknowledged_.first())->delivered_at) &
                              0x7FFFFFFF;
    if (std::chrono::seconds{age} <= timeout) return;
    close(protocol::ChannelReply::precondition_failed,
          "delivery acknowledgement on channel " + std::to_string(number_) +
              " timed out. Timeout value used: " + std::to_string(timeout.count()) +
              " ms. This timeout value can be configured, see consumers doc guide to learn more",
          {});
}

}  // namespace trilby::broker
