// SPDX-License-Identifier: Apache-2.0
#include "tests/component/lack_of_memory/conversation.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace trilby::scarce {

namespace p = protocol;

namespace {

std::string table(std::string_view match, std::string_view name, std::string_view value) {
    return p::TableBuilder().string("x-match", match).string(name, value).integer("n", 7).take();
}

}  // namespace

bool Conversation::say_more() {
    constexpr std::array steps{&Conversation::open,     &Conversation::declare,
                               &Conversation::bind,     &Conversation::publish_all,
                               &Conversation::consume,  &Conversation::publish_all,
                               &Conversation::settle,   &Conversation::get,
                               &Conversation::transact, &Conversation::ask_for_replies,
                               &Conversation::limit,    &Conversation::end};
    if (step_ == 2 * steps.size() || actor_.closed || actor_.close_heard) return false;
    // Between two of them the broker comes to rest: what a step says may depend on what was heard.
    if (step_ % 2 == 0) (this->*steps[step_ / 2])();
    for (const std::string& address : std::exchange(other_.replies_wanted, {}))
        other_.publish(1, 800'000, "", address);
    ++step_;
    return true;
}

void Conversation::publish(std::vector<std::string> queues, std::string_view exchange, std::string_view key,
                           const p::Properties& properties, std::size_t size) {
    routes_[next_] = std::move(queues);
    actor_.publish(1, next_++, exchange, key, properties, size);
}

void Conversation::open() {
    for (std::uint16_t channel = 1; channel <= 4; ++channel) actor_.say(channel, p::channel::Open{});
    actor_.say(1, p::confirm::Select{});
    actor_.say(2, p::tx::Select{});
}

void Conversation::declare() {
    const std::string alternate = p::TableBuilder().string("alternate-exchange", "x.inner").take();
    const auto exchange = [&](std::string_view name, std::string_view type, std::string_view arguments = {}) {
        actor_.say(
            1, p::exchange::Declare{
                   .exchange = name, .type = type, .durable = true, .arguments = p::TableView(arguments)});
    };
    exchange("x.direct", "direct", alternate);
    exchange("x.fanout", "fanout");
    exchange("x.topic", "topic");
    exchange("x.headers", "headers");
    exchange("x.inner", "fanout");
    actor_.say(1, p::exchange::Declare{.exchange = "x.passing", .type = "direct", .auto_delete = true});
    actor_.say(1, p::queue::Declare{.queue = "own"});
    actor_.say(1, p::queue::Declare{.queue = "exclusive", .exclusive = true});
    actor_.say(1, p::queue::Declare{.queue = "passing", .auto_delete = true});
    actor_.say(1, p::queue::Declare{.queue = "far", .passive = true});
    actor_.say(1, p::queue::Declare{});
}

void Conversation::bind() {
    const auto to = [&](std::string_view queue, std::string_view exchange, std::string_view key = {},
                        std::string_view arguments = {}) {
        actor_.say(1, p::queue::Bind{.queue = queue,
                                     .exchange = exchange,
                                     .routing_key = key,
                                     .arguments = p::TableView(arguments)});
    };
    const std::string all = table("all", "kind", "all"), any = table("any", "kind", "any");
    for (const std::string_view queue : {"near", "far", "own"}) {
        to(queue, "x.fanout");
        to(queue, "x.direct", "both");
        to(queue, "x.topic", "a.*.c");
        to(queue, "x.topic", "a.#.z");
        to(queue, "x.headers", {}, all);
        to(queue, "x.headers", {}, any);
    }
    to("near", "x.direct", "near");
    to("far", "x.topic", "#.far");
    to("near", "x.topic", "a.#");
    to("own", "x.topic", "a.quite_long_word_in_a_pattern.*");
    to("own", "x.topic", "exactly.this");
    to("exclusive", "x.passing", "e");
    to("passing", "x.topic", "p.#.q.#");
    actor_.say(1, p::exchange::Bind{.destination = "x.inner", .source = "x.topic", .routing_key = "inner.#"});
    to("shared", "x.inner");
}

void Conversation::publish_all() {
    const std::string cc =
        p::TableBuilder().array("CC", p::ArrayBuilder().string("near").string("own").take()).take();
    const std::string all = p::TableBuilder().string("kind", "all").integer("n", 7).take();
    const std::string any = p::TableBuilder().string("kind", "any").take();
    for (const std::string queue : {"near", "far", "shared", "own"}) publish({queue}, "", queue);
    publish({"near", "far"}, "x.fanout", "");
    publish({"near", "far"}, "x.direct", "both");
    publish({"near"}, "x.direct", "near", {.delivery_mode = 2});
    publish({"shared"}, "x.direct", "nowhere");
    publish({"near", "far"}, "x.topic", "a.b.c");
    publish({"near", "far"}, "x.topic", "a.b.c.z", {.content_type = "text/plain"});
    publish({"shared"}, "x.topic", "inner.most");
    publish({}, "x.topic", "exactly.this");
    publish({"near", "far"}, "x.headers", "", {.headers = p::TableView(all)});
    publish({"near", "far"}, "x.headers", "", {.headers = p::TableView(any)});
    publish({"far", "near"}, "", "far", {.headers = p::TableView(cc)});
    publish({"near", "far"}, "x.fanout", "", {}, 10'000);
    publish({"near", "far"}, "x.fanout", "", {}, 20'000);
    publish({}, "x.passing", "e");
    actor_.publish(1, next_++, "", "no such queue", {}, 0, true);
}

void Conversation::consume() {
    actor_.say(3, p::basic::Qos{.prefetch_count = 20});
    actor_.say(3, p::basic::Consume{.queue = "near", .consumer_tag = "near"});
    actor_.say(3, p::basic::Qos{.prefetch_count = 0});
    actor_.say(3, p::basic::Consume{.queue = "far", .consumer_tag = "far"});
    actor_.say(3, p::basic::Consume{.queue = "own", .no_ack = true});
    actor_.say(3, p::basic::Consume{.queue = "passing", .consumer_tag = "passing", .no_ack = true});
}

void Conversation::settle() {
    actor_.settle(3, "near", true);
    actor_.settle(3, "far");
    actor_.say(3, p::basic::Cancel{.consumer_tag = "near"});
    actor_.say(3, p::basic::Recover{.requeue = true});
    actor_.say(3, p::basic::Cancel{.consumer_tag = "passing"});
}

void Conversation::get() {
    for (const std::string_view queue : {"near", "far", "near", "own"})
        actor_.say(3, p::basic::Get{.queue = queue});
    actor_.say(3, p::basic::Get{.queue = "own", .no_ack = true});
}

void Conversation::transact() {
    for (const bool commits : {true, false, true}) {
        for (const std::string queue : {"near", "far", "own"}) {
            if (commits) in_transaction_.insert(next_);
            routes_[next_] = {queue};
            actor_.publish(2, next_++, "", queue);
        }
        actor_.say(2, p::basic::Get{.queue = "near"});
        actor_.say(2, p::basic::Nack{.multiple = true, .requeue = true});
        commits ? actor_.say(2, p::tx::Commit{}) : actor_.say(2, p::tx::Rollback{});
    }
}

void Conversation::ask_for_replies() {
    actor_.say(
        4, p::basic::Consume{.queue = "amq.rabbitmq.reply-to", .consumer_tag = "replies", .no_ack = true});
    for (int i = 0; i < 3; ++i)
        actor_.publish(4, next_++, "", "shared", {.reply_to = "amq.rabbitmq.reply-to"});
}

void Conversation::limit() {
    actor_.say(4, p::basic::Qos{.prefetch_count = 3, .global = true});
    actor_.say(4, p::basic::Consume{.queue = "near", .consumer_tag = "limited near"});
    actor_.say(4, p::basic::Consume{.queue = "far", .consumer_tag = "limited far"});
    publish({"near", "far"}, "x.fanout", "");
    actor_.say(4, p::basic::Qos{.prefetch_count = 0, .global = true});
}

void Conversation::end() {
    actor_.say(1, p::queue::Unbind{.queue = "near", .exchange = "x.topic", .routing_key = "a.*.c"});
    actor_.say(1, p::queue::Unbind{.queue = "exclusive", .exchange = "x.passing", .routing_key = "e"});
    actor_.say(1,
               p::exchange::Unbind{.destination = "x.inner", .source = "x.topic", .routing_key = "inner.#"});
    actor_.say(1, p::queue::Purge{.queue = "own"});
    actor_.say(1, p::queue::Delete{.queue = "own"});
    for (const std::string_view name : {"x.headers", "x.topic", "x.inner", "x.fanout"})
        actor_.say(1, p::exchange::Delete{.exchange = name});
    actor_.say(3, p::channel::Close{.reply_code = 200});
    actor_.say(0, p::connection::Close{.reply_code = 200});
}

bool Conversation::complete() const {
    return actor_.closed && actor_.error == 0 && actor_.close_heard &&
           actor_.heard.contains("connection.close-ok");
}

std::set<Number> Conversation::promised(const std::string& queue) const {
    std::set<Number> numbers;
    for (const auto& [number, queues] : routes_) {
        if (std::find(queues.begin(), queues.end(), queue) == queues.end()) continue;
        // Those of a transaction stand behind its commit-ok.
        const auto commits = actor_.heard.find("tx.commit-ok");
        const auto before =
            static_cast<unsigned>(std::distance(in_transaction_.begin(), in_transaction_.find(number)));
        const bool committed =
            in_transaction_.contains(number) && commits != actor_.heard.end() && before < 3 * commits->second;
        if (committed || actor_.confirmed.contains(number)) numbers.insert(number);
    }
    return numbers;
}

bool Conversation::settled(const std::string& queue, Number number) const {
    const auto by = [number](const Client& client, const std::string& tag) {
        const auto found = client.settled.find(tag);
        return found != client.settled.end() && found->second.contains(number);
    };
    return by(actor_, queue) || by(other_, queue);
}

}  // namespace trilby::scarce
