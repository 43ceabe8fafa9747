// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "broker/asking/direct_reply.hpp"
#include "broker/message/property_checks.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"

// basic.publish: checks, route, queues, confirm. The order of the checks is RabbitMQ's.

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {

constexpr std::uint8_t mandatory = 1;
constexpr std::uint8_t immediate = 2;
/// The error, with the method to blame.
std::unexpected<protocol::Exception> of_publish(protocol::Exception exception) {
    std::visit([](auto& one) { one.cause = protocol::basic::Publish::id; }, exception);
    return std::unexpected(std::move(exception));
}

}  // namespace

inline bool Channel::takes(std::uint8_t flags, std::uint32_t body_size) {
    return (flags & immediate) == 0 && body_size <= shard().settings().max_message_size;
}

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
        return refuse(ConnectionReply::frame_error,
                      fmt::format("content body size {} exceeds maximum allowed size {}", header->body_size,
                                  hard_limit));
    const auto body_size = static_cast<std::uint32_t>(header->body_size);
    if (!takes(content_.flags(), body_size))
        return of_publish(std::move(refuse_publish(content_.flags(), body_size).error()));
    if (shard().alarm().raised()) session_.block();
    content_.header(payload, body_size);
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
    const std::size_t held = content_.held();
    content_.body(part);
    // What grows is copied, so a small frame may take megabytes, and a good part of a turn.
    const std::size_t grown = content_.held() - held;
    shard().taken(grown);
    shard().turn().spend(grown / Turn::octets_grown);
    if (!content_.expected()) return content_complete();
    // The rest would come in above the watermark.
    if (shard().alarm().raised()) session_.block();
    return {};
}

protocol::Outcome<> Channel::content_complete() {
    Outcome outcome = publish(content_.publication(), content_.flags());
    content_.clear();
    return outcome ? Outcome{} : of_publish(std::move(outcome.error()));
}

std::unexpected<protocol::Exception> Channel::refuse_publish(std::uint8_t flags, std::uint32_t body_size) {
    if ((flags & immediate) != 0) return refuse(ConnectionReply::not_implemented, "immediate=true");
    return refuse(ChannelReply::precondition_failed,
                  fmt::format("message size {} is larger than configured max size {}", body_size,
                              shard().settings().max_message_size));
}

protocol::Outcome<> Channel::publish(const Publication& publication, std::uint8_t flags) {
    session_.count_publish();
    if (!takes(flags, publication.body_size)) return refuse_publish(flags, publication.body_size);
    const auto* const queues = router_.remembered(publication.names);
    if (queues != nullptr && plain_properties(publication.properties())) {
        if (!send_to(publication, flags, {*queues, {}})) publish_when_decided(publication, flags);
        return {};
    }
    return publish_checked(publication, flags);
}

void Channel::publish_when_decided(const Publication& publication, std::uint8_t flags) {
    // The session reads nothing more until then, so this stays the channel's next publish.
    const auto message = keep(publication);
    when_decided(undecided_, protocol::basic::Publish::id, [this, message, flags] {
        return is_closing() || !takes_deliveries() ? Outcome{} : publish(message->publication(), flags);
    });
}

std::shared_ptr<Message> Channel::keep(const Publication& publication) {
    MessagePool& pool = shard().messages();
    Arrival arrival(publication, pool);
    return {arrival.keep(), [&pool](Message* message) { pool.release(message); }};
}

protocol::Outcome<const PublishTarget*> Channel::target_of(std::string_view exchange) {
    const View& view = shard().view();
    if (last_target_.generation == view.generation() && last_target_.name == exchange)
        return &last_target_.target;
    auto found = publish_target(caller(), exchange);
    if (!found) return std::unexpected(found.error());
    last_target_ = {view.generation(), std::string(exchange), *found};
    return &last_target_.target;
}

Channel::Outcome Channel::publish_checked(const Publication& publication, std::uint8_t flags) {
    const auto target = target_of(publication.exchange());
    if (!target) return std::unexpected(target.error());
    if (auto allowed = may_publish_by_key(caller(), **target, publication.routing_key()); !allowed)
        return allowed;
    if (plain_properties(publication.properties())) {
        if (!route(publication, flags, {}, {})) publish_when_decided(publication, flags);
        return {};
    }
    const auto properties = protocol::decode_properties(publication.properties());
    if (!properties) return undecodable_properties(publication.properties());
    const auto checked = check_properties(caller(), **target, *properties, replies_.consuming);
    if (!checked) return std::unexpected(checked.error());
    if (checked->wants_direct_reply || checked->has_blind_copies)
        return publish_rewritten(publication, flags, *properties, *checked);
    if (!route(publication, flags, checked->headers, checked->more_keys))
        publish_when_decided(publication, flags);
    return {};
}

// The broker changes the message itself: a name for the reply, no blind copies.
Channel::Outcome Channel::publish_rewritten(const Publication& publication, std::uint8_t flags,
                                            const protocol::Properties& properties,
                                            const CheckedProperties& checked) {
    protocol::Properties changed = properties;
    std::string reply_to;
    if (checked.wants_direct_reply) {
        reply_to = ReplyAddress{session_.id(), number_, replies_.secret}.name();
        changed.reply_to = reply_to;
    }
    std::string kept;
    if (changed.headers) {
        kept = without_header(checked.headers, "BCC");
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
    if (!route(content.publication(), flags, checked.headers, checked.more_keys))
        publish_when_decided(publication, flags);
    return {};
}

bool Channel::route(const Publication& publication, std::uint8_t flags, protocol::TableView headers,
                    std::span<const std::string_view> more_keys) {
    const std::string_view key = publication.routing_key();
    const PublishTarget& checked = last_target_.target;
    const Router::Target target{vhost(), checked.by_default, checked.exchange};
    if (more_keys.empty()) {
        const auto address = checked.by_default ? ReplyAddress::parse(key) : std::nullopt;
        if (address) return send_to(publication, flags, {{}, {&*address, 1}});
        return send_to(publication, flags, {router_.find(target, publication, headers), {}});
    }
    std::vector<std::string_view> keys{key};
    keys.insert(keys.end(), more_keys.begin(), more_keys.end());
    const std::vector<routing::QueueIndex> queues = router_.find(target, keys, headers);
    std::vector<ReplyAddress> replies;
    if (checked.by_default) {
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        for (const std::string_view one : keys)
            if (const auto address = ReplyAddress::parse(one)) replies.push_back(*address);
    }
    return send_to(publication, flags, {queues, replies});
}

bool Channel::send_to(const Publication& publication, std::uint8_t flags, const Route& route) {
    shard().turn().spend(1 + route.queues.size() + route.replies.size());
    if (mode_ == Mode::transaction) {
        keep_for_commit(publication, flags, route);
        return true;
    }
    undecided_ = router_.undecided(route.queues);
    if (undecided_ != QueueId{}) return false;
    if (!route.queues.empty()) {
        std::unique_ptr<Router::Rest> rest;
        if (!router_.send(publication, route.queues, rest)) session_.wait_for_room();
        if (rest != nullptr) {
            spread(std::move(rest), route.replies);
            return true;
        }
    }
    if (route.queues.empty() || !route.replies.empty())
        if (!send_to_others(publication, flags, route)) return true;
    count_publish();
    return true;
}

bool Channel::send_to_others(const Publication& publication, std::uint8_t flags, const Route& route) {
    if ((flags & mandatory) != 0 && route.queues.empty()) {
        if (!route.replies.empty()) {
            const auto message = keep(publication);
            send_mandatory_replies(message, route.replies, [this, message](bool delivered) {
                if (!delivered) return_unroutable(message->publication());
                count_publish();
            });
            return false;
        }
        return_unroutable(publication);
    }
    if (!route.replies.empty()) send_replies(publication, route.replies);
    return true;
}

void Channel::keep_for_commit(const Publication& publication, std::uint8_t flags, const Route& route) {
    const View& view = shard().view();
    Arrival arrival(publication, shard().messages());
    transaction_->octets += arrival.weight() + route.queues.size() * sizeof(QueueId);
    Transaction::Publish publish{.message = Held(arrival.keep(), shard().messages()),
                                 .mandatory = (flags & mandatory) != 0,
                                 .persistent = is_persistent(publication.properties()),
                                 .queues = {},
                                 .replies = {route.replies.begin(), route.replies.end()}};
    for (const routing::QueueIndex queue : route.queues) publish.queues.push_back(view.queue(queue).id);
    transaction_->publishes.push_back(std::move(publish));
}

void Channel::confirm_at_end_of_turn() {
    confirm_due_ = true;
    session_.confirm_at_end_of_turn(*this);
}

// ---- To more queues than one turn has room for.

struct Channel::Spread {
    std::unique_ptr<Router::Rest> rest;
    std::vector<ReplyAddress> replies;
};

void Channel::spread(std::unique_ptr<Router::Rest> rest, std::span<const ReplyAddress> replies) {
    const auto left = std::make_shared<Spread>(std::move(rest), std::vector(replies.begin(), replies.end()));
    session_.go_on_later([this, left] { go_on_spreading(left); });
}

void Channel::go_on_spreading(const std::shared_ptr<Spread>& left) {
    const Router::Rest::Step step = left->rest->go_on();
    if (!step.room) session_.wait_for_room();
    if (step.undecided != QueueId{})
        return when_decided(step.undecided, protocol::basic::Publish::id, [this, left] {
            go_on_spreading(left);
            return Outcome{};
        });
    if (!step.done) return session_.go_on_later([this, left] { go_on_spreading(left); });
    if (!left->replies.empty()) send_replies(left->rest->publication(), left->replies);
    count_publish();
}

}  // namespace trilby::broker
