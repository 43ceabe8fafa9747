// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "tests/component/harness/client.hpp"

// What a client says.

namespace trilby::harness {

namespace p = protocol;

void Client::act() {
    if (leaving_ || cut) return;
    std::vector<Channel*> open;
    for (const auto& [number, channel] : channels_)
        if (channel->phase == Phase::open) open.push_back(channel.get());
    if (open.empty() || (open.size() < 3 && random_.percent(3))) return open_channel();
    Channel& channel = *open[random_.below(open.size())];
    if (habits_.stalls && random_.below(60) == 0) stalled = has_stalled_ = true;
    if (habits_.replies && random_.percent(15))
        return random_.percent(50) ? request(channel) : answer(channel);
    const std::size_t what = random_.below(1000);
    if (what < 340) return publish(channel);
    if (what < 620) return settle(channel);
    if (what < 680) return get(channel);
    if (what < 750) return consume(channel);
    if (what < 780) return cancel(channel);
    if (what < 800) return qos(channel);
    if (what < 810) return recover(channel);
    if (what < 850) return channel.mode == Mode::transaction ? end_transaction(channel) : publish(channel);
    if (what < 890) return declare(channel);
    if (what < 905) return remove(channel);
    if (what < 935) return bind(channel);
    if (what < 965) return exchanges(channel);
    if (what < 975) return habits_.purges ? purge(channel) : publish(channel);
    if (what < 985) return close_channel(channel);
    if (habits_.errors && what < 990) return fail(channel);
    if (what == 999) return leave();
    publish(channel);
}

void Client::leave() {
    if (leaving_ || cut) return;
    if (habits_.drops && random_.percent(50)) {
        let_go_of_all();
        cut = true;
        if (random_.percent(50)) outbox.resize(random_.below(outbox.size() + 1));
        return;
    }
    for (const auto& [number, channel] : channels_)
        if (channel->phase == Phase::open) let_go(*channel);
    leaving_ = true;
    send(0, p::connection::Close{.reply_code = 200, .reply_text = "bye"});
}

void Client::open_channel() {
    constexpr std::size_t most = 9;
    if (channels_.size() == most) return;  // some are being closed
    auto number = static_cast<std::uint16_t>(random_.between(1, 5));
    while (channels_.contains(number)) number = static_cast<std::uint16_t>(random_.between(1, most));
    auto channel = std::make_unique<Channel>();
    channel->number = number;
    channel->holder = ledger_.add_holder();
    send(number, p::channel::Open{});
    ask(*channel, {.reply = p::channel::OpenOk::id});
    if (random_.percent(40)) {
        channel->mode = Mode::confirm;
        send(number, p::confirm::Select{});
        ask(*channel, {.reply = p::confirm::SelectOk::id});
    } else if (habits_.transactions && random_.percent(40)) {
        channel->mode = Mode::transaction;
        send(number, p::tx::Select{});
        ask(*channel, {.reply = p::tx::SelectOk::id});
    }
    if (random_.percent(25)) {
        channel->limit = static_cast<unsigned>(random_.between(1, 6));
        send(number,
             p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(channel->limit), .global = true});
        ask(*channel, {.reply = p::basic::QosOk::id});
    }
    channels_.emplace(number, std::move(channel));
}

std::uint32_t Client::any_size() {
    if (!habits_.large_bodies || !random_.percent(10))
        return static_cast<std::uint32_t>(random_.between(4, 60));
    return static_cast<std::uint32_t>(random_.percent(50) ? random_.between(60, 5000)
                                                          : random_.between(15000, 40000));
}

void Client::send_message(Channel& channel, const p::basic::Publish& method, const p::Properties& properties,
                          Ledger::Message message) {
    message.publisher = channel.holder;
    message.size = any_size();
    message.sent = channel.mode != Mode::transaction;
    const bool may_fail = !message.exact;
    const std::uint32_t size = message.size;
    const MessageNumber number = ledger_.add_message(std::move(message));
    send_publish(channel.number, method, properties, Ledger::body(number, size));
    if (method.mandatory) channel.must_return.insert(number);
    if (channel.mode == Mode::transaction) {
        channel.transaction_publishes.push_back(number);
        return ask(channel, {.may_fail = may_fail});
    }
    if (channel.mode == Mode::confirm) channel.unconfirmed.push_back(number);
    ask(channel, {.may_fail = may_fail, .publishes = {number}});
}

void Client::publish(Channel& channel) {
    static const std::vector<std::string> exchanges{
        "",   "",   "",        "amq.direct", "amq.fanout", "amq.topic", "amq.headers",
        "e0", "e1", "x-topic", "x-headers",  "x-direct",   "x-last"};
    static const std::vector<std::string> keys{"d0", "d1", "d2", "a.b", "a.z", "q.z", "a.b.z"};
    Address address{.exchange = random_.one_of(exchanges), .keys = {}, .headers = {}};
    if (address.exchange.starts_with("e") && !random_.percent(20)) address.exchange = "amq.direct";
    const auto any_key = [&] { return address.exchange.empty() ? any_queue() : random_.one_of(keys); };
    const bool nowhere = address.exchange.empty() && random_.percent(5);
    address.keys.push_back(nowhere ? "nowhere" : any_key());

    p::TableBuilder table;
    for (const char* name : {"k", "l"})
        if (random_.percent(40)) {
            const std::string value = random_.percent(70) ? "1" : "2";
            address.headers.emplace(name, value);
            table.string(name, value);
        }
    if (!nowhere && random_.percent(20))
        for (const char* name : {"CC", "BCC"}) {
            p::ArrayBuilder copies;
            for (std::size_t count = random_.below(3); count != 0; --count) {
                address.keys.push_back(any_key());
                copies.string(address.keys.back());
            }
            table.array(name, copies.take());
        }
    const std::string headers = table.take();
    // Most without headers: what was found with some must not be remembered for those.
    const bool plain = headers.empty() || (random_.percent(50) && address.keys.size() == 1);
    if (plain) address.headers.clear();
    p::Properties properties;
    if (!plain) properties.headers = p::TableView(headers);
    const bool persistent = random_.percent(60);
    if (persistent) properties.delivery_mode = 2;

    Ledger::Message message{.targets = topology_.targets(address),
                            .exact = !address.exchange.starts_with("e"),
                            .persistent = persistent};
    // Through any other exchange it may get to a queue that passes.
    const bool lost = nowhere || (address.exchange == "x-last" && message.targets.empty());
    send_message(channel,
                 {.exchange = address.exchange, .routing_key = address.keys.front(), .mandatory = lost},
                 properties, std::move(message));
}

void Client::consume_replies(Channel& channel) {
    if (!channel.reply_tag.empty()) return;
    const std::string tag = fmt::format("r{}.{}", number_, next_tag_++);
    const bool nowait = random_.percent(20);
    send(channel.number,
         p::basic::Consume{.queue = reply_queue, .consumer_tag = tag, .no_ack = true, .nowait = nowait});
    channel.reply_tag = tag;
    ++channel.consumed_replies;
    channel.consumers.push_back({.tag = tag,
                                 .queue = std::string(reply_queue),
                                 .no_ack = true,
                                 .prefetch = 0,
                                 .active = nowait,
                                 .last = {}});
    Request request{.queue = std::string(reply_queue), .tag = tag};
    if (!nowait) request.reply = p::basic::ConsumeOk::id;
    ask(channel, std::move(request));
}

void Client::request(Channel& channel) {
    if (channel.reply_tag.empty()) return consume_replies(channel);
    const std::string& queue = random_.one_of(topology_.queues);
    send_message(channel, {.routing_key = queue}, {.reply_to = reply_queue},
                 {.targets = {queue}, .exact = true, .asked_as = channel.consumed_replies});
}

void Client::answer(Channel& channel) {
    if (ledger_.reply_addresses().empty()) return;
    const Ledger::ReplyAddress to = random_.one_of(ledger_.reply_addresses());
    send_message(channel, {.routing_key = to.name}, {},
                 {.exact = true, .answers_to = to.asked_as, .requester = to.requester});
}

void Client::take_settled(Channel& channel, std::uint64_t tag, bool requeue, Request& request) {
    const auto found = channel.held.find(tag);
    const Held held = found->second;
    channel.held.erase(found);
    if (requeue) {
        ledger_.given_back(held.queue, held.message, channel.holder);
    } else {
        ledger_.settled(held.queue, held.message, channel.holder);
        request.settled.emplace_back(held.queue, held.message);
    }
    if (held.ambiguous) return;
    const auto consumer = std::ranges::find(channel.consumers, held.consumer, &Consumer::tag);
    if (consumer != channel.consumers.end()) --consumer->held;
}

void Client::settle(Channel& channel) {
    if (channel.recovering != 0) return;
    std::vector<std::uint64_t> tags;
    for (const auto& [tag, held] : channel.held)
        if (!held.ambiguous && !held.in_transaction) tags.push_back(tag);
    if (tags.empty()) return;
    const bool oldest = random_.percent(60);
    const std::uint64_t tag = oldest ? tags.front() : random_.one_of(tags);
    const bool multiple = !channel.ambiguous && random_.percent(20);
    const bool requeue = random_.percent(30);
    if (!requeue && random_.percent(80)) {
        send(channel.number, p::basic::Ack{.delivery_tag = tag, .multiple = multiple});
    } else if (multiple || random_.percent(50)) {
        send(channel.number, p::basic::Nack{.delivery_tag = tag, .multiple = multiple, .requeue = requeue});
    } else {
        send(channel.number, p::basic::Reject{.delivery_tag = tag, .requeue = requeue});
    }
    Request request;
    for (const std::uint64_t one : tags) {
        if (one != tag && !(multiple && one < tag)) continue;
        if (channel.mode == Mode::transaction) {
            channel.held[one].in_transaction = true;
            channel.transaction_settlements.push_back({one, requeue});
        } else {
            take_settled(channel, one, requeue, request);
        }
    }
    ask(channel, std::move(request));
}

void Client::end_transaction(Channel& channel) {
    Request request;
    if (random_.percent(70)) {
        send(channel.number, p::tx::Commit{});
        request.reply = p::tx::CommitOk::id;
        for (const MessageNumber message : channel.transaction_publishes)
            ledger_.message(message).sent = true;
        request.publishes = channel.transaction_publishes;
        for (const auto& [tag, requeue] : channel.transaction_settlements)
            take_settled(channel, tag, requeue, request);
    } else {
        send(channel.number, p::tx::Rollback{});
        request.reply = p::tx::RollbackOk::id;
        for (const MessageNumber message : channel.transaction_publishes) channel.must_return.erase(message);
        for (const auto& [tag, requeue] : channel.transaction_settlements)
            channel.held[tag].in_transaction = false;
    }
    channel.transaction_publishes.clear();
    channel.transaction_settlements.clear();
    ask(channel, std::move(request));
}

void Client::recover(Channel& channel) {
    Request request{.recovers = true};
    if (random_.percent(50)) {
        send(channel.number, p::basic::Recover{.requeue = true});
        request.reply = p::basic::RecoverOk::id;
    } else {
        send(channel.number, p::basic::RecoverAsync{.requeue = true});
    }
    ++channel.recovering;
    std::vector<std::uint64_t> tags;
    for (const auto& [tag, held] : channel.held)
        if (!held.in_transaction) tags.push_back(tag);
    Request nothing_settled;
    for (const std::uint64_t tag : tags) take_settled(channel, tag, true, nothing_settled);
    ask(channel, std::move(request));
}

std::string Client::any_queue() {
    return random_.percent(75) ? random_.one_of(topology_.queues) : passing_queue();
}

std::string Client::passing_queue() {
    static const std::vector<std::string> shared{"t0", "t1", "auto0", "auto1"};
    return random_.percent(80) ? random_.one_of(shared)
                               : fmt::format("own{}", random_.percent(80) ? number_ : random_.below(4));
}

void Client::get(Channel& channel) {
    const std::string queue = any_queue();
    const bool no_ack = habits_.no_ack && random_.percent(40);
    send(channel.number, p::basic::Get{.queue = queue, .no_ack = no_ack});
    ask(channel, {.reply = p::basic::GetOk::id,
                  .other_reply = p::basic::GetEmpty::id,
                  .may_fail = !ledger_.queue(queue).stable,
                  .queue = queue,
                  .no_ack = no_ack});
}

void Client::consume(Channel& channel) {
    if (channel.consumers.size() > 5) return;
    const std::string queue = any_queue();
    const bool stable = ledger_.queue(queue).stable;
    const bool no_ack = habits_.no_ack && random_.percent(20);
    const bool nowait = stable && random_.percent(20);
    const bool exclusive = !stable && random_.percent(20);
    const std::string tag = fmt::format("c{}.{}", number_, next_tag_++);
    p::TableBuilder arguments;
    if (random_.percent(30))
        arguments.integer32("x-priority", static_cast<std::int32_t>(random_.between(0, 2)));
    const std::string table = arguments.take();
    send(channel.number, p::basic::Consume{.queue = queue,
                                           .consumer_tag = tag,
                                           .no_ack = no_ack,
                                           .exclusive = exclusive,
                                           .nowait = nowait,
                                           .arguments = p::TableView(table)});
    channel.consumers.push_back({.tag = tag,
                                 .queue = queue,
                                 .no_ack = no_ack,
                                 .prefetch = no_ack ? 0 : channel.prefetch,
                                 .active = nowait,
                                 .last = {}});
    Request request{.may_fail = !stable, .queue = queue, .tag = tag};
    if (!nowait) request.reply = p::basic::ConsumeOk::id;
    ask(channel, std::move(request));
}

void Client::cancel(Channel& channel) {
    if (channel.consumers.empty()) return;
    const std::string tag = random_.one_of(channel.consumers).tag;
    if (tag == channel.reply_tag) channel.reply_tag.clear();
    send(channel.number, p::basic::Cancel{.consumer_tag = tag});
    ask(channel, {.reply = p::basic::CancelOk::id, .tag = tag, .ends_consumer = true});
}

void Client::qos(Channel& channel) {
    if (habits_.changes_limits && random_.percent(50)) {
        channel.limit = static_cast<unsigned>(random_.below(7));
        channel.limit_is_strict = false;
        send(channel.number,
             p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(channel.limit), .global = true});
    } else {
        if (channel.limit != 0) return;  // it would end the limit of the channel
        channel.prefetch = static_cast<unsigned>(random_.below(5));
        send(channel.number, p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(channel.prefetch)});
    }
    ask(channel, {.reply = p::basic::QosOk::id});
}

void Client::declare(Channel& channel) {
    const std::string queue = passing_queue();
    const bool passive = random_.percent(20);
    send(channel.number, p::queue::Declare{.queue = queue,
                                           .passive = passive,
                                           .exclusive = queue.starts_with("own"),
                                           .auto_delete = queue.starts_with("auto")});
    ask(channel, {.reply = p::queue::DeclareOk::id, .may_fail = passive || queue.starts_with("own")});
}

void Client::remove(Channel& channel) {
    const std::string queue = passing_queue();
    const bool careful = random_.percent(30);
    send(channel.number,
         p::queue::Delete{.queue = queue, .if_unused = careful, .if_empty = careful && random_.percent(50)});
    ask(channel, {.reply = p::queue::DeleteOk::id, .may_fail = careful || queue.starts_with("own")});
}

void Client::bind(Channel& channel) {
    static const std::vector<std::string> exchanges{"amq.direct", "amq.fanout", "amq.topic", "e0", "e1"};
    static const std::vector<std::string> keys{"d0", "d1", "a.*", "#", "#.z"};
    const std::string& exchange = random_.one_of(exchanges);
    const bool removable = exchange.starts_with("e");
    const std::string queue = removable ? any_queue() : passing_queue();
    const std::string& key = random_.one_of(keys);
    if (random_.percent(60)) {
        send(channel.number, p::queue::Bind{.queue = queue, .exchange = exchange, .routing_key = key});
        ask(channel, {.reply = p::queue::BindOk::id, .may_fail = true});
    } else {
        send(channel.number, p::queue::Unbind{.queue = queue, .exchange = exchange, .routing_key = key});
        ask(channel, {.reply = p::queue::UnbindOk::id, .may_fail = true});
    }
}

void Client::exchanges(Channel& channel) {
    const std::string exchange = random_.percent(50) ? "e0" : "e1";
    switch (random_.below(5)) {
        case 0:
        case 1:
            send(channel.number, p::exchange::Declare{
                                     .exchange = exchange, .type = "topic", .auto_delete = exchange == "e1"});
            return ask(channel, {.reply = p::exchange::DeclareOk::id});
        case 2:
            send(channel.number, p::exchange::Delete{.exchange = exchange, .if_unused = random_.percent(50)});
            return ask(channel, {.reply = p::exchange::DeleteOk::id, .may_fail = true});
        case 3:
            send(channel.number,
                 p::exchange::Bind{
                     .destination = "e1", .source = "e0", .routing_key = random_.percent(50) ? "#" : "d0"});
            return ask(channel, {.reply = p::exchange::BindOk::id, .may_fail = true});
        default:
            send(channel.number,
                 p::exchange::Unbind{.destination = "e1", .source = "e0", .routing_key = "#"});
            return ask(channel, {.reply = p::exchange::UnbindOk::id, .may_fail = true});
    }
}

void Client::purge(Channel& channel) {
    const std::string queue = any_queue();
    ledger_.purged(queue);
    send(channel.number, p::queue::Purge{.queue = queue});
    ask(channel, {.reply = p::queue::PurgeOk::id, .may_fail = !ledger_.queue(queue).stable});
}

void Client::close_channel(Channel& channel) {
    send(channel.number, p::channel::Close{.reply_code = 200});
    let_go(channel);
    channel.phase = Phase::closing;
}

void Client::fail(Channel& channel) {
    if (random_.percent(70)) {
        send(channel.number, p::basic::Ack{.delivery_tag = 1'000'000});
        return ask(channel,
                   {.reply = p::channel::CloseOk::id, .may_fail = true});  // no reply comes but a close
    }
    send(99, p::basic::Qos{});  // a channel that is not open: the connection ends
    let_go_of_all();
    leaving_ = close_expected_ = true;
}

}  // namespace trilby::harness
