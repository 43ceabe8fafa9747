// SPDX-License-Identifier: Apache-2.0
#include "client/channel.hpp"

#include <fmt/format.h>

#include "protocol/properties.hpp"

namespace trilby::client {

namespace {

// Enough for a write that is worth a system call; the socket's buffer takes it whole.
constexpr std::size_t flush_at = 64 * 1024;

template <class T>
Result<> without_value(const Result<T>& result) {
    if (!result) return std::unexpected(result.error());
    return {};
}

}  // namespace

Result<Connection::Wait> Channel::pump(Deadline deadline, bool interruptible) {
    if (closed_) return std::unexpected(*closed_);
    auto waited = connection_.pump(deadline, interruptible);
    if (waited && closed_) return std::unexpected(*closed_);
    return waited;
}

template <class Reply, class M>
Result<Reply> Channel::call(const M& method) {
    if (closed_) return std::unexpected(*closed_);
    protocol::append_method(connection_.output(), number_, method);
    const Deadline deadline = Clock::now() + connection_.patience();
    reply_.reset();
    for (;;) {
        const auto waited = pump(deadline);
        if (!waited) return std::unexpected(waited.error());
        if (reply_) {
            if (const auto* reply = std::get_if<Reply>(&*reply_)) return *reply;
            return failure(
                fmt::format("the broker sent {} where {} was due", protocol::to_text(*reply_), Reply::name));
        }
        if (*waited == Connection::Wait::deadline)
            return failure(fmt::format("the broker did not send {} in time", Reply::name));
    }
}

Result<> Channel::open() {
    return without_value(call<protocol::channel::OpenOk>(protocol::channel::Open{}));
}

Result<std::string> Channel::declare_queue(std::string_view name, QueueFlags flags,
                                           protocol::TableView arguments) {
    const auto reply =
        call<protocol::queue::DeclareOk>(protocol::queue::Declare{.queue = name,
                                                                  .durable = flags.durable,
                                                                  .exclusive = flags.exclusive,
                                                                  .auto_delete = flags.auto_delete,
                                                                  .arguments = arguments});
    if (!reply) return std::unexpected(reply.error());
    return std::string(reply->queue);
}

Result<> Channel::check_queue(std::string_view name) {
    return without_value(
        call<protocol::queue::DeclareOk>(protocol::queue::Declare{.queue = name, .passive = true}));
}

Result<> Channel::delete_queue(std::string_view name) {
    return without_value(call<protocol::queue::DeleteOk>(protocol::queue::Delete{.queue = name}));
}

Result<> Channel::declare_exchange(std::string_view name, std::string_view type, ExchangeFlags flags) {
    return without_value(call<protocol::exchange::DeclareOk>(protocol::exchange::Declare{
        .exchange = name, .type = type, .durable = flags.durable, .auto_delete = flags.auto_delete}));
}

Result<> Channel::delete_exchange(std::string_view name) {
    return without_value(call<protocol::exchange::DeleteOk>(protocol::exchange::Delete{.exchange = name}));
}

Result<> Channel::bind_queue(std::string_view queue, std::string_view exchange, std::string_view routing_key,
                             protocol::TableView arguments) {
    return without_value(call<protocol::queue::BindOk>(protocol::queue::Bind{
        .queue = queue, .exchange = exchange, .routing_key = routing_key, .arguments = arguments}));
}

Result<> Channel::prefetch(std::uint16_t count) {
    return without_value(call<protocol::basic::QosOk>(protocol::basic::Qos{.prefetch_count = count}));
}

Result<> Channel::consume(std::string_view queue, Acknowledge acknowledge) {
    return without_value(call<protocol::basic::ConsumeOk>(
        protocol::basic::Consume{.queue = queue, .no_ack = acknowledge == Acknowledge::automatically}));
}

Result<std::optional<Delivery>> Channel::next_delivery(Deadline deadline) {
    while (deliveries_.empty()) {
        const auto waited = pump(deadline, true);
        if (!waited) return std::unexpected(waited.error());
        if (*waited != Connection::Wait::frame) return std::optional<Delivery>{};
    }
    std::optional<Delivery> next(std::move(deliveries_.front()));
    deliveries_.pop_front();
    return next;
}

Result<> Channel::acknowledge_up_to(std::uint64_t delivery_tag) {
    if (closed_) return std::unexpected(*closed_);
    protocol::append_method(connection_.output(), number_,
                            protocol::basic::Ack{.delivery_tag = delivery_tag, .multiple = true});
    return {};
}

Result<> Channel::select_confirms() {
    auto selected = without_value(call<protocol::confirm::SelectOk>(protocol::confirm::Select{}));
    confirms_ = selected.has_value();
    return selected;
}

Result<> Channel::publish(std::string_view exchange, std::string_view routing_key,
                          std::string_view properties, std::string_view body, bool mandatory) {
    if (closed_) return std::unexpected(*closed_);
    std::string& output = connection_.output();
    protocol::append_method(
        output, number_,
        protocol::basic::Publish{.exchange = exchange, .routing_key = routing_key, .mandatory = mandatory});
    protocol::append_content(output, number_, body.size(), properties, body, connection_.frame_max());
    if (confirms_) {
        ++published_;
        ++outstanding_;
    }
    return output.size() < flush_at ? Result<>{} : flush();
}

Result<> Channel::flush() {
    return without_value(connection_.flush(true));
}

Result<> Channel::await_confirms(std::size_t limit) {
    Deadline deadline = Clock::now() + connection_.patience();
    for (std::size_t before = outstanding_; outstanding_ > limit;) {
        const auto waited = pump(deadline, true);
        if (!waited) return std::unexpected(waited.error());
        if (*waited == Connection::Wait::interrupted) return std::unexpected(interruption());
        if (outstanding_ < before || connection_.blocked()) {  // patience is for one that does nothing at all
            before = outstanding_;
            deadline = Clock::now() + connection_.patience();
        } else if (*waited == Connection::Wait::deadline) {
            return failure(fmt::format("the broker did not confirm {} messages in time", outstanding_));
        }
    }
    return {};
}

Result<> Channel::settle(Deadline deadline) {
    while (outstanding_ > 0 && Clock::now() < deadline)
        if (const auto waited = pump(deadline); !waited) return std::unexpected(waited.error());
    return {};
}

Result<bool> Channel::idle_until(Deadline deadline) {
    for (;;) {
        const auto waited = pump(deadline, true);
        if (!waited) return std::unexpected(waited.error());
        if (*waited != Connection::Wait::frame) return *waited == Connection::Wait::deadline;
    }
}

std::optional<Returned> Channel::take_returned() {
    if (returned_.empty()) return std::nullopt;
    std::optional<Returned> first(std::move(returned_.front()));
    returned_.pop_front();
    return first;
}

void Channel::on_method(const protocol::Method& method) {
    namespace basic = protocol::basic;
    if (const auto* deliver = std::get_if<basic::Deliver>(&method)) {
        incoming_delivery_ = Delivery{deliver->delivery_tag,
                                      deliver->redelivered,
                                      {std::string(deliver->exchange), std::string(deliver->routing_key),
                                       std::string(), std::string()}};
    } else if (const auto* returned = std::get_if<basic::Return>(&method)) {
        incoming_return_ = Returned{returned->reply_code,
                                    std::string(returned->reply_text),
                                    {std::string(returned->exchange), std::string(returned->routing_key),
                                     std::string(), std::string()}};
    } else if (const auto* ack = std::get_if<basic::Ack>(&method)) {
        confirmed(ack->delivery_tag, ack->multiple, true);
    } else if (const auto* nack = std::get_if<basic::Nack>(&method)) {
        confirmed(nack->delivery_tag, nack->multiple, false);
    } else if (const auto* close = std::get_if<protocol::channel::Close>(&method)) {
        closed_ = Error{close->reply_code, std::string(close->reply_text)};
        protocol::append_method(connection_.output(), number_, protocol::channel::CloseOk{});
    } else if (std::holds_alternative<basic::Cancel>(method)) {
        closed_ = Error{404, "the queue was deleted while it was read"};
    } else {
        reply_ = method;
    }
}

void Channel::on_content_header(std::string_view payload) {
    const auto header = protocol::decode_content_header(payload);
    if (!header || (!incoming_delivery_ && !incoming_return_)) return;
    Message& message = incoming_delivery_ ? incoming_delivery_->message : incoming_return_->message;
    message.properties = std::string(header->properties);
    body_left_ = header->body_size;
    if (body_left_ == 0) content_complete();
}

void Channel::on_body(std::string_view payload) {
    if (!incoming_delivery_ && !incoming_return_) return;
    Message& message = incoming_delivery_ ? incoming_delivery_->message : incoming_return_->message;
    message.body += payload;
    body_left_ -= std::min<std::uint64_t>(body_left_, payload.size());
    if (body_left_ == 0) content_complete();
}

void Channel::content_complete() {
    if (incoming_delivery_)
        deliveries_.push_back(std::move(*incoming_delivery_));
    else
        returned_.push_back(std::move(*incoming_return_));
    incoming_delivery_.reset();
    incoming_return_.reset();
}

void Channel::confirmed(std::uint64_t tag, bool multiple, bool taken) {
    if (tag == 0 && multiple) tag = published_;
    if (tag == 0 || tag > published_) return;
    const std::uint64_t fresh = multiple ? confirmed_.add_all_below(tag) : confirmed_.add(tag - 1) ? 1 : 0;
    outstanding_ -= static_cast<std::size_t>(fresh);
    if (!taken) refused_ += fresh;
}

}  // namespace trilby::client
