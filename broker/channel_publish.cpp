// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "broker/channel.hpp"
#include "broker/direct_reply.hpp"
#include "broker/message_checks.hpp"
#include "broker/session.hpp"
#include "protocol/erlang_text.hpp"

// basic.publish: checks, route, queues, confirm. The order of the checks is RabbitMQ's.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {

constexpr std::uint8_t mandatory = 1;
constexpr std::uint8_t immediate = 2;
/// Routes to more queues than this are asked of the table each time, which has a cache of its own.
constexpr std::size_t remembered_queues = 16;

}  // namespace

protocol::Outcome<> Channel::content_header(std::string_view payload) {
    const auto unexpected = [](std::string text, bool stray) {
        return std::unexpected(protocol::Exception(
            protocol::ConnectionException{ConnectionReply::unexpected_frame, std::move(text),
                                          stray ? protocol::MethodId{} : protocol::basic::Publish::id}));
    };
    if (content_.expect() == Content::Expect::nothing)
        return unexpected("expected method frame, got non method frame instead", true);
    if (content_.expect() == Content::Expect::body)
        return unexpected("expected content body, got non content body frame instead", false);
    const auto header = protocol::decode_content_header(payload);
    if (header && header->class_id != 60)
        return unexpected(fmt::format("expected content header for class 60, got one for class {} instead",
                                      header->class_id),
                          false);
    if (!header || header->weight != 0 || header->properties.size() < 2)
        return unexpected("expected content header for class 60, got non content header frame instead",
                          false);
    constexpr std::uint64_t hard_limit = std::uint64_t{512} << 20;
    if (header->body_size > hard_limit)
        return fail(ConnectionReply::frame_error,
                    fmt::format("content body size {} exceeds maximum allowed size {}", header->body_size,
                                hard_limit));
    if (shard().alarm().raised() && !is_closing()) session_.block();
    content_.header(payload, static_cast<std::uint32_t>(header->body_size));
    return content_.expected() ? Outcome{} : content_complete();
}

protocol::Outcome<> Channel::content_body(std::string_view part) {
    const auto unexpected = [](std::string text, protocol::MethodId cause) {
        return std::unexpected(protocol::Exception(
            protocol::ConnectionException{ConnectionReply::unexpected_frame, std::move(text), cause}));
    };
    if (content_.expect() == Content::Expect::nothing)
        return unexpected("expected method frame, got non method frame instead", {});
    if (content_.expect() == Content::Expect::header)
        return unexpected("expected content header for class 60, got non content header frame instead",
                          protocol::basic::Publish::id);
    if (part.size() > content_.body_left())
        return std::unexpected(protocol::Exception(protocol::ConnectionException{
            ConnectionReply::frame_error, "content body frame exceeds remaining content size",
            protocol::basic::Publish::id}));
    content_.body(part);
    return content_.expected() ? Outcome{} : content_complete();
}

protocol::Outcome<> Channel::content_complete() {
    const Outcome outcome = is_closing() ? Outcome{} : publish(content_.publication(), content_.flags());
    content_.clear();
    if (outcome) return {};
    protocol::Exception exception = outcome.error();
    std::visit([](auto& one) { one.cause = protocol::basic::Publish::id; }, exception);
    return std::unexpected(std::move(exception));
}

protocol::Outcome<> Channel::publish(const Publication& publication, std::uint8_t flags) {
    if ((flags & immediate) != 0) return fail(ConnectionReply::not_implemented, "immediate=true");
    if (publication.body_size > shard().settings().max_message_size)
        return fail(ChannelReply::precondition_failed,
                    fmt::format("message size {} is larger than configured max size {}",
                                publication.body_size, shard().settings().max_message_size));
    if (last_route_.generation == shard().view().generation() && last_route_.names == publication.names &&
        plain_properties(publication.properties())) {
        send_to(publication, flags, last_route_.queues);
        return {};
    }
    return publish_checked(publication, flags);
}

protocol::Outcome<const Channel::LastExchange*> Channel::check_exchange(std::string_view name) {
    const View& view = shard().view();
    if (last_exchange_.generation == view.generation() && last_exchange_.name == name) return &last_exchange_;
    if (auto allowed = check(auth::Operation::write, false, name); !allowed)
        return std::unexpected(allowed.error());
    LastExchange found{.generation = view.generation(), .name = std::string(name)};
    if (!name.empty()) {
        const auto index = vhost().routes.find_exchange(name);
        if (!index) return not_found("exchange", name);
        const ExchangeInfo& exchange = vhost().exchanges[*index];
        if (exchange.internal)
            return fail(
                ChannelReply::access_refused,
                fmt::format("cannot publish to internal exchange '{}' in vhost '{}'", name, vhost().name));
        found.index = *index;
        found.topic = exchange.type == routing::ExchangeType::topic;
        found.by_headers = exchange.type == routing::ExchangeType::headers;
    }
    last_exchange_ = std::move(found);
    return &last_exchange_;
}

Channel::Outcome Channel::publish_checked(const Publication& publication, std::uint8_t flags) {
    const auto exchange = check_exchange(publication.exchange());
    if (!exchange) return std::unexpected(exchange.error());
    if ((*exchange)->topic)
        if (auto allowed = check_topic(vhost().exchanges[(*exchange)->index], auth::Operation::write,
                                       publication.routing_key());
            !allowed)
            return allowed;
    if (plain_properties(publication.properties())) {
        route(publication, flags, {});
        return {};
    }
    const auto properties = protocol::decode_properties(publication.properties());
    if (!properties)
        return fail(
            ConnectionReply::frame_error,
            fmt::format("cannot decode {}", protocol::erlang_octets(publication.properties().substr(0, 64))));
    if (properties->reply_to == direct_reply_name && !replies_.consuming)
        return fail(ChannelReply::precondition_failed, "fast reply consumer does not exist");
    if (properties->user_id && *properties->user_id != session_.user()) {
        const auth::User* user = shard().view().access().find_user(session_.user());
        if (user == nullptr || !user->has_tag("impersonator"))
            return fail(ChannelReply::precondition_failed,
                        fmt::format("user_id property set to '{}' but authenticated user was '{}'",
                                    *properties->user_id, session_.user()));
    }
    if (properties->expiration)
        if (auto text = invalid_expiration(*properties->expiration))
            return fail(ChannelReply::precondition_failed, *std::move(text));
    const protocol::TableView headers = properties->headers.value_or(protocol::TableView{});
    for (const char* name : {"CC", "BCC"})
        if (const auto value = headers.find(name); value && !value->as_array())
            return fail(ChannelReply::precondition_failed,
                        fmt::format("invalid message: {{unacceptable_type_in_header,\"{}\",{}}}", name,
                                    protocol::type_word(value->type)));

    const bool rewritten = properties->reply_to == direct_reply_name || headers.find("BCC").has_value();
    if (!rewritten) {
        route(publication, flags, headers);
        return {};
    }
    // The broker changes the message itself: a name for the reply, no blind copies.
    protocol::Properties changed = *properties;
    std::string reply_to;
    if (properties->reply_to == direct_reply_name) {
        reply_to = ReplyAddress{session_.id(), number_, replies_.secret}.name();
        changed.reply_to = reply_to;
    }
    std::string kept;
    if (properties->headers) {
        kept = without_header(headers, "BCC");
        changed.headers = protocol::TableView(kept);
    }
    Content content;
    content.begin(publication.names, flags);
    std::string header(12, '\0');
    protocol::store_big_endian(header.data(), std::uint16_t{60});
    protocol::store_big_endian(header.data() + 4, std::uint64_t{publication.body_size});
    header += protocol::encode_properties(changed);
    content.header(header, publication.body_size);
    if (publication.body_size != 0) content.body(publication.body());
    route(content.publication(), flags, headers);
    return {};
}

void Channel::route(const Publication& publication, std::uint8_t flags, protocol::TableView headers) {
    const std::string_view key = publication.routing_key();
    const bool by_default = last_exchange_.name.empty();
    routing::Table& routes = vhost().routes;
    const auto cc = headers.find("CC");
    const auto bcc = headers.find("BCC");
    if (!cc && !bcc) {
        const auto queues =
            by_default ? routes.route_default(key) : routes.route(last_exchange_.index, key, headers.raw());
        if (!last_exchange_.by_headers && queues.size() <= remembered_queues) {
            last_route_.generation = shard().view().generation();
            last_route_.names.assign(publication.names);
            last_route_.queues.assign(queues.begin(), queues.end());
        }
        send_to(publication, flags, queues);
        return;
    }
    std::vector<std::string_view> keys{key};
    for (const auto& header : {cc, bcc}) {
        const auto list = header ? header->as_array() : std::nullopt;
        if (!list) continue;
        for (const protocol::ValueView& value : *list)
            if (value.type == 'S' && value.bytes.size() <= 255) keys.push_back(value.bytes);
    }
    std::vector<routing::QueueIndex> queues;
    if (by_default) {
        for (const std::string_view one : keys)
            for (const routing::QueueIndex queue : routes.route_default(one))
                if (std::find(queues.begin(), queues.end(), queue) == queues.end()) queues.push_back(queue);
    } else {
        const auto found = routes.route(last_exchange_.index, keys, headers.raw());
        queues.assign(found.begin(), found.end());
    }
    send_to(publication, flags, queues);
}

void Channel::send_to(const Publication& publication, std::uint8_t flags,
                      std::span<const routing::QueueIndex> queues) {
    if (mode_ == Mode::transaction) {
        Arrival arrival(publication, shard().messages());
        Transaction::Publish publish{
            arrival.keep(), (flags & mandatory) != 0, is_persistent(publication.properties()), {}};
        for (const routing::QueueIndex queue : queues)
            publish.queues.push_back(shard().view().queue(queue).id);
        transaction_->publishes.push_back(std::move(publish));
        return;
    }
    if (queues.empty()) {
        if (!send_direct_reply(publication) && (flags & mandatory) != 0) return_unroutable(publication);
    } else {
        Arrival arrival(publication, shard().messages(), store(publication, queues));
        bool room = arrival.stored() == 0 || !shard().journal()->full();
        for (const routing::QueueIndex queue : queues)
            room = shard().enqueue(shard().view().queue(queue), arrival) && room;
        if (!room) session_.wait_for_room();
    }
    if (mode_ == Mode::confirm) {
        ++published_;
        if (!confirm_due_) {
            confirm_due_ = true;
            session_.confirm_at_end_of_turn(*this);
        }
    }
}

std::uint64_t Channel::store(const Publication& publication, std::span<const routing::QueueIndex> queues) {
    if (shard().journal() == nullptr || !is_persistent(publication.properties())) return 0;
    if (queues.size() == 1)
        if (const Queue* const near = shard().view().queue(queues.front()).near;
            near != nullptr && near->settles_at_once())
            return 0;
    std::array<journal::StoredQueue, 64> few;
    std::vector<journal::StoredQueue> many;
    if (queues.size() > few.size()) many.resize(queues.size());
    const std::span<journal::StoredQueue> durable = many.empty() ? std::span(few) : std::span(many);
    std::size_t count = 0;
    for (const routing::QueueIndex place : queues)
        if (const QueueInfo& queue = shard().view().queue(place); queue.durable)
            durable[count++] = stored_id(queue.id);
    if (count == 0) return 0;
    const std::uint64_t id = shard().journal()->publish(durable.first(count), publication);
    stored_to_ = shard().journal()->publish_position();
    return id;
}

bool Channel::send_direct_reply(const Publication& publication) {
    if (!publication.exchange().empty() || !publication.routing_key().starts_with(direct_reply_name))
        return false;
    const auto address = ReplyAddress::parse(publication.routing_key());
    if (!address) return false;
    Arrival arrival(publication, shard().messages());
    shard().direct_reply(address->connection, address->channel, address->secret, arrival);
    return true;
}

}  // namespace trilby::broker
