// SPDX-License-Identifier: Apache-2.0
#include "tests/component/lack_of_memory/client.hpp"

#include <algorithm>
#include <charconv>

namespace trilby::scarce {

namespace p = protocol;

void Client::publish(std::uint16_t channel, Number number, std::string_view exchange, std::string_view key,
                     const p::Properties& properties, std::size_t size, bool mandatory) {
    if (closed || close_heard) return;
    std::string body = std::to_string(number);
    body.resize(std::max(body.size(), size), ' ');
    send_publish(channel, {.exchange = exchange, .routing_key = key, .mandatory = mandatory}, properties,
                 body);
    if (channel == 1 && confirms_) published_.push_back(number);
}

void Client::settle(std::uint16_t channel, const std::string& tag, bool requeue) {
    auto& out = out_[channel];
    for (auto one = out.begin(); one != out.end();) {
        if (one->second.tag != tag) {
            ++one;
            continue;
        }
        if (requeue) {
            say(channel, p::basic::Nack{.delivery_tag = one->first, .requeue = true});
        } else {
            settled[tag].insert(one->second.number);
            say(channel, p::basic::Ack{.delivery_tag = one->first});
        }
        one = out.erase(one);
    }
}

void Client::on_method(std::uint16_t, const p::Method& method) {
    ++heard[std::string(
        p::method_name(std::visit([](const auto& one) { return p::MethodId(one.id); }, method)))];
    if (std::holds_alternative<p::confirm::SelectOk>(method)) confirms_ = true;
    if (const auto* ack = std::get_if<p::basic::Ack>(&method))
        for (std::uint64_t i = 0; i < ack->delivery_tag; ++i) confirmed.insert(published_.at(i));
    const auto fail = [this](std::uint16_t code, std::string_view text) {
        error = code;
        error_text = text;
    };
    if (const auto* close = std::get_if<p::channel::Close>(&method))
        fail(close->reply_code, close->reply_text);
    if (std::holds_alternative<p::connection::CloseOk>(method)) close_heard = true;
    if (const auto* close = std::get_if<p::connection::Close>(&method)) {
        fail(close->reply_code, close->reply_text);
        close_heard = true;
        send(0, p::connection::CloseOk{});
    }
}

void Client::on_content(std::uint16_t channel, const p::Method& method, const p::Properties& properties,
                        std::string_view body) {
    ++heard[std::string(
        p::method_name(std::visit([](const auto& one) { return p::MethodId(one.id); }, method)))];
    Number number = 0;
    std::from_chars(body.data(), body.data() + body.size(), number);
    const auto came = [&](const std::string& tag, std::uint64_t delivery) {
        delivered[tag].push_back(number);
        out_[channel][delivery] = {tag, number};
        last_tag = delivery;
        if (properties.reply_to) replies_wanted.emplace_back(*properties.reply_to);
        if (settles_at_once) settle(channel, tag);
    };
    if (const auto* deliver = std::get_if<p::basic::Deliver>(&method))
        came(std::string(deliver->consumer_tag), deliver->delivery_tag);
    if (const auto* got = std::get_if<p::basic::GetOk>(&method)) came("", got->delivery_tag);
}

}  // namespace trilby::scarce
