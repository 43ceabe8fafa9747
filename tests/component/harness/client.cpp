// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/client.hpp"

#include <algorithm>

#include "tests/component/harness/violation.hpp"

// What a client reads, and whether it may be so.

namespace trilby::harness {

namespace p = protocol;

Client::Client(Ledger& ledger, const Topology& topology, Random& random, const Habits& habits,
               unsigned number, std::uint32_t frame_max)
    : Peer(frame_max),
      ledger_(ledger),
      topology_(topology),
      random_(random),
      habits_(habits),
      number_(number) {}

void Client::on_method(std::uint16_t number, const p::Method& method) {
    if (number == 0) {
        if (const auto* close = std::get_if<p::connection::Close>(&method)) {
            require(close_expected_ || close->reply_code == 320, "connection closed: {}", close->reply_text);
            if (close->reply_code == 320 && !leaving_) let_go_of_all();
            leaving_ = true;
            send(0, p::connection::CloseOk{});
        } else if (std::holds_alternative<p::connection::CloseOk>(method)) {
            require(leaving_, "close-ok without a close");
        }
        return;
    }
    const auto found = channels_.find(number);
    if (found == channels_.end())
        return require(leaving_, "channel {} does not exist: {}", number, p::to_text(method));
    Channel& channel = *found->second;
    if (const auto* close = std::get_if<p::channel::Close>(&method)) return closed_by_broker(channel, *close);
    if (leaving_) return;
    if (const auto* cancel = std::get_if<p::basic::Cancel>(&method)) {
        if (channel.phase != Phase::open) return;
        const auto consumer = std::ranges::find(channel.consumers, cancel->consumer_tag, &Consumer::tag);
        require(consumer != channel.consumers.end(), "cancel of {}, which does not consume",
                cancel->consumer_tag);
        require(!ledger_.queue(consumer->queue).stable, "cancel of {}, whose queue is still there",
                cancel->consumer_tag);
        channel.consumers.erase(consumer);
        return;
    }
    if (const auto* ack = std::get_if<p::basic::Ack>(&method))
        return confirmed(channel, ack->delivery_tag, ack->multiple);
    std::visit(
        [&](const auto& one) {
            using M = std::remove_cvref_t<decltype(one)>;
            if constexpr (requires { one.consumer_tag; }) {
                replied(channel, M::id, one.consumer_tag);
            } else {
                replied(channel, M::id, {});
            }
        },
        method);
}

void Client::on_content(std::uint16_t number, const p::Method& method, const p::Properties& properties,
                        std::string_view body) {
    const auto found = channels_.find(number);
    if (found == channels_.end())
        return require(leaving_, "a delivery for channel {}, which does not exist", number);
    Channel& channel = *found->second;
    const MessageNumber message = ledger_.read_body(body);
    if (trace)
        fmt::print("{} {}   {} brings message {} to holder {}\n", fmt::ptr(static_cast<Peer*>(this)), number,
                   p::to_text(method), message, channel.holder);
    if (std::holds_alternative<p::basic::Return>(method)) {
        if (leaving_ || channel.phase != Phase::open) return;
        require(channel.must_return.erase(message) == 1, "message {} returned, but it had a way", message);
        return;
    }
    require(!properties.headers || !properties.headers->find("BCC"), "a blind copy that shows");
    if (properties.reply_to && properties.reply_to->starts_with("amq.rabbitmq.reply-to."))
        ledger_.reply_addresses().push_back({std::string(*properties.reply_to),
                                             ledger_.message(message).publisher,
                                             ledger_.message(message).asked_as});
    if (leaving_ || channel.phase != Phase::open) return;  // counted when it let go
    if (const auto* got = std::get_if<p::basic::GetOk>(&method)) {
        const auto request =
            std::ranges::find_if(channel.requests, [](const Request& one) { return one.reply.has_value(); });
        require(request != channel.requests.end(), "get-ok without a get");
        const std::string queue = request->queue;
        const bool no_ack = request->no_ack;
        replied(channel, p::basic::GetOk::id, {});
        delivered(channel, nullptr, queue, got->delivery_tag, got->redelivered, message, no_ack);
        return;
    }
    const auto& deliver = std::get<p::basic::Deliver>(method);
    const auto consumer = std::ranges::find(channel.consumers, deliver.consumer_tag, &Consumer::tag);
    require(consumer != channel.consumers.end() && consumer->active,
            "a delivery for {}, which does not consume", deliver.consumer_tag);
    if (consumer->queue == reply_queue) {
        require(deliver.delivery_tag == ++channel.last_tag && !deliver.redelivered, "a reply out of order");
        ledger_.reply_delivered(message, channel.holder);
        return;
    }
    delivered(channel, &*consumer, consumer->queue, deliver.delivery_tag, deliver.redelivered, message,
              consumer->no_ack);
}

void Client::delivered(Channel& channel, Consumer* consumer, const std::string& queue, std::uint64_t tag,
                       bool redelivered, MessageNumber message, bool no_ack) {
    require(tag == channel.last_tag + 1, "delivery tag {} after {}", tag, channel.last_tag);
    channel.last_tag = tag;
    if (!redelivered) {
        auto& last = (consumer != nullptr ? consumer->last
                                          : channel.last_got[queue])[ledger_.message(message).publisher];
        require(last == 0 || last < message, "message {} of {} after {} by the same publisher", message,
                queue, last);
        last = message;
    }
    if (channel.recovering != 0 && !no_ack) {
        ledger_.delivered_ambiguously(queue, message);
        channel.ambiguous = true;
        channel.held[tag] = {queue, message, consumer == nullptr ? "" : consumer->tag, true};
        return;
    }
    ledger_.delivered(queue, message, redelivered, no_ack, channel.holder);
    // If it was here already, perhaps taken back, then it was.
    std::erase_if(channel.held, [&](const auto& one) {
        return one.second.ambiguous && one.second.queue == queue && one.second.message == message;
    });
    if (no_ack) return;
    channel.held[tag] = {queue, message, consumer == nullptr ? "" : consumer->tag};
    if (consumer == nullptr) return;
    ++consumer->held;
    require(consumer->prefetch == 0 || consumer->held <= consumer->prefetch,
            "consumer {} holds {} with prefetch {}", consumer->tag, consumer->held, consumer->prefetch);
    if (channel.limit == 0 || !channel.limit_is_strict || channel.ambiguous) return;
    const auto used =
        std::ranges::count_if(channel.held, [](const auto& one) { return !one.second.consumer.empty(); });
    require(used <= channel.limit, "channel {} holds {} with a limit of {}", channel.number, used,
            channel.limit);
}

// ---- Requests and their answers.

void Client::ask(Channel& channel, Request request) {
    if (request.may_fail) ++ledger_.holder(channel.holder).doubtful;
    channel.requests.push_back(std::move(request));
}

void Client::replied(Channel& channel, p::MethodId reply, std::string_view tag) {
    if (channel.phase == Phase::closing) {
        if (reply != p::channel::CloseOk::id) return;
        // All before the close was done, if the broker had not closed it first.
        for (const Request& request : channel.requests) complete(channel, request);
        require(!ledger_.holder(channel.holder).must_close, "channel {} lost what it held", channel.number);
        channels_.erase(channel.number);
        return;
    }
    while (!channel.requests.empty()) {
        const Request request = std::move(channel.requests.front());
        channel.requests.pop_front();
        if (!request.reply) {
            complete(channel, request);
            continue;
        }
        require(request.reply == reply || request.other_reply == reply, "{} where {} was to come",
                p::method_name(reply), p::method_name(*request.reply));
        require(tag.empty() || request.tag.empty() || request.tag == tag, "{} for {}, not {}",
                p::method_name(reply), tag, request.tag);
        complete(channel, request);
        return;
    }
    throw Violation(fmt::format("{} that nobody asked for", p::method_name(reply)));
}

void Client::complete(Channel& channel, const Request& request) {
    Ledger::Holder& holder = ledger_.holder(channel.holder);
    if (request.may_fail) {
        --holder.doubtful;
        require(holder.doubtful != 0 || !holder.must_close, "channel {} lost what it held, but is open",
                channel.number);
    }
    for (const MessageNumber message : request.publishes) ledger_.message(message).certain = true;
    for (const auto& [queue, message] : request.settled)
        ledger_.settled_for_certain(queue, message, channel.holder);
    if (request.recovers) --channel.recovering;
    if (request.tag.empty()) return;
    const auto consumer = std::ranges::find(channel.consumers, request.tag, &Consumer::tag);
    if (consumer == channel.consumers.end()) return;
    if (request.ends_consumer) {
        channel.consumers.erase(consumer);
    } else {
        consumer->active = true;
    }
}

void Client::confirmed(Channel& channel, std::uint64_t tag, bool multiple) {
    if (channel.phase != Phase::open) return;
    require(channel.mode == Mode::confirm, "a confirm on a channel without confirms");
    require(tag > channel.confirmed && tag <= channel.unconfirmed.size(), "confirm {} after {} of {}", tag,
            channel.confirmed, channel.unconfirmed.size());
    require(multiple || tag == channel.confirmed + 1, "confirm {} alone after {}", tag, channel.confirmed);
    for (; channel.confirmed < tag; ++channel.confirmed) {
        const MessageNumber message = channel.unconfirmed[channel.confirmed];
        ledger_.message(message).certain = true;
        require(!channel.must_return.contains(message), "message {} confirmed before its return", message);
    }
}

// ---- Ends.

void Client::let_go(Channel& channel) {
    for (const auto& [tag, held] : channel.held) ledger_.given_back(held.queue, held.message, channel.holder);
    channel.held.clear();
    const auto on_the_way = [&](const std::string& queue, bool no_ack) {
        no_ack ? (void)(ledger_.queue(queue).lossy = true) : ledger_.returned_unseen(queue);
    };
    for (const Consumer& consumer : channel.consumers) on_the_way(consumer.queue, consumer.no_ack);
    for (const Request& request : channel.requests)
        if (request.reply == p::basic::GetOk::id) on_the_way(request.queue, request.no_ack);
    channel.consumers.clear();
}

void Client::doubt(Channel& channel) {
    for (const Request& request : channel.requests)
        for (const auto& [queue, message] : request.settled)
            ledger_.perhaps_settled(queue, message, channel.holder);
    channel.requests.clear();
    // Whoever is given its messages from now on is right.
    ledger_.holder(channel.holder) = {.doubtful = 1, .must_close = false};
}

void Client::let_go_of_all() {
    for (const auto& [number, channel] : channels_) {
        if (channel->phase == Phase::open) let_go(*channel);
        doubt(*channel);
        channel->phase = Phase::closed;
    }
}

void Client::expect_end() {
    for (const auto& [number, channel] : channels_) ++ledger_.holder(channel->holder).doubtful;
    close_expected_ = true;
}

void Client::closed_by_broker(Channel& channel, const p::channel::Close& close) {
    send(channel.number, p::channel::CloseOk{});
    if (leaving_) return doubt(channel);
    require(ledger_.holder(channel.holder).doubtful != 0, "channel {} closed without cause: {}",
            channel.number, close.reply_text);
    if (channel.phase == Phase::open) {
        let_go(channel);
        doubt(channel);
        channels_.erase(channel.number);
    } else {
        doubt(channel);  // and close-ok is still to come
    }
}

void Client::on_closed() {
    const bool not_waited_for = close_expected_ && (stalled || !opened);
    require(leaving_ || cut || not_waited_for, "the broker cut the connection");
    for (const auto& [number, channel] : channels_) {
        for (const Request& request : channel->requests)
            if (!cut && !stalled && !close_expected_) complete(*channel, request);
        require(cut || close_expected_ || !ledger_.holder(channel->holder).must_close,
                "channel {} lost what it held", number);
        if (close_expected_ && channel->phase == Phase::open) let_go(*channel);
    }
    channels_.clear();
}

void Client::check_answers() {
    if (cut || leaving_) return;
    for (const auto& [number, channel] : channels_) {
        require(channel->phase == Phase::open, "channel {}: a close was not answered", number);
        for (const Request& request : channel->requests) {
            require(!request.reply, "channel {}: no {}", number,
                    request.reply ? p::method_name(*request.reply) : "");
            complete(*channel, request);
        }
        channel->requests.clear();
        require(channel->confirmed == channel->unconfirmed.size(), "channel {}: {} of {} publishes confirmed",
                number, channel->confirmed, channel->unconfirmed.size());
        for (const MessageNumber message : channel->must_return)
            require(!ledger_.message(message).sent, "channel {}: message {} was not returned", number,
                    message);
    }
}

void Client::check_replies(const Channel& channel) const {
    if (channel.phase != Phase::open || channel.reply_tag.empty() || has_stalled_) return;
    ledger_.each_reply_to(channel.holder, [&](const Ledger::Message& reply) {
        require(reply.replied || !reply.certain || reply.answers_to != channel.consumed_replies,
                "a reply to channel {} of client {} is lost", channel.number, number_);
    });
}

void Client::stuck(const Channel& channel, const Consumer& consumer, std::int64_t ready) const {
    throw Violation(fmt::format(
        "queue {} has {} messages ready, and channel {} of client {} takes none (consumer {}, held "
        "{}, prefetch {}, limit {})",
        consumer.queue, ready, channel.number, number_, consumer.tag, consumer.held, consumer.prefetch,
        channel.limit));
}

}  // namespace trilby::harness
