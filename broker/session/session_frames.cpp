// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/byte_order.hpp"
#include "protocol/erlang_text.hpp"
#include "protocol/slice.hpp"
#include "protocol/utf8.hpp"

// From octets to methods and contents, in place on the receive buffer: AMQP 0-9-1, 4.2.

namespace trilby::broker {

namespace {

using protocol::frame_end;
using protocol::frame_head_size;
using protocol::FrameHead;
using protocol::FrameType;
using protocol::slice;

bool is_publish(std::string_view method) {
    constexpr std::uint32_t publish_id = 60u << 16 | 40;
    return method.size() >= 4 && protocol::load_big_endian<std::uint32_t>(method.data()) == publish_id;
}

std::string octets_text(std::string_view payload) {
    return payload.size() <= 16
               ? fmt::format("all octets = {}", protocol::erlang_binary(payload))
               : fmt::format("first 16 octets = {}", protocol::erlang_binary(payload.substr(0, 16)));
}

std::string frame_text(const FrameHead& head, std::string_view payload) {
    return fmt::format("type {}, {}", head.type, octets_text(payload));
}

template <class M>
bool is_text(const protocol::Field<M, std::string_view>& field, const M& method) {
    return protocol::valid_utf8(method.*field.member);
}
template <class OtherField, class M>
bool is_text(const OtherField&, const M&) {
    return true;  // long strings are octets
}

/// Are its short strings UTF-8? RabbitMQ looks at those of every method but basic.publish.
bool names_are_text(const protocol::Method& method) {
    return std::visit(
        [](const auto& one) {
            using M = std::remove_cvref_t<decltype(one)>;
            if constexpr (std::is_same_v<M, protocol::basic::Publish>) {
                return true;
            } else {
                return std::apply([&](const auto&... field) { return (is_text(field, one) && ...); },
                                  M::fields);
            }
        },
        method);
}

}  // namespace

std::size_t Session::parse(std::string_view bytes) {
    std::size_t at = 0;
    if (life_.stage() == Stage::header) {
        if (bytes.size() < 8) return 0;
        if (!header_received(bytes.substr(0, 8))) return bytes.size();
        at = 8;
    }
    while (!held()) {
        if (shard_.turn().is_over() && (gates_ & Gate::turn) == 0) {
            shard_.wait_for_turn(id_);
            set_gate(Gate::turn, true);
            break;
        }
        if (life_.deaf()) return bytes.size();
        if (life_.stage() == Stage::refused) {  // anything at all: the client has read why
            if (at != bytes.size()) leave();
            return bytes.size();
        }
        const std::string_view rest = slice(bytes, at);
        const std::size_t used = body_streaming_ ? stream_body(rest) : parse_frame(rest);
        if (used == 0) break;
        at += used;
    }
    return at;
}

std::size_t Session::parse_frame(std::string_view bytes) {
    if (bytes.size() < frame_head_size) return 0;
    const FrameHead head = protocol::read_frame_head(bytes.data());
    if (head.size > frame_max_) {
        if (life_.stage() < Stage::open) {
            fall_silent();
        } else {
            frame_error(fmt::format("type {}, all octets = <<>>: {{frame_too_large,{},{}}}", head.type,
                                    head.size, frame_max_ - 8));
        }
        return bytes.size();
    }
    const std::size_t whole = head.size + protocol::frame_overhead;
    if (bytes.size() < whole) {
        // A body is taken part by part, but only one that the rules let in: others wait to be refused whole.
        const Channel* channel = head.type == static_cast<std::uint8_t>(FrameType::body) && life_.running()
                                     ? find_channel(head.channel)
                                     : nullptr;
        if (channel != nullptr && channel->takes_body(head.size)) {
            body_streaming_ = true;
            body_channel_ = head.channel;
            body_left_ = head.size;
            return frame_head_size;
        }
        return 0;
    }
    const std::string_view payload = slice(bytes, frame_head_size, head.size);
    if (bytes[whole - 1] != frame_end) {
        if (life_.stage() < Stage::open) {
            fall_silent();
        } else {
            frame_error(fmt::format("{}: {{invalid_frame_end_marker,{}}}", frame_text(head, payload),
                                    static_cast<unsigned char>(bytes[whole - 1])));
        }
        return bytes.size();
    }
    switch (head.type) {
        case static_cast<std::uint8_t>(FrameType::method):
            if (life_.running() && is_publish(payload))
                if (const std::size_t used = parse_publish(bytes, head.size); used != 0) return used;
            if (held()) return 0;  // blocked by the alarm: it is looked at again
            if (head.channel != 0 && life_.stage() < Stage::running) {
                if (life_.stage() == Stage::open) {
                    close_connection(protocol::ConnectionReply::unexpected_frame, frame_text(head, payload));
                } else {
                    fall_silent();
                }
            } else {
                handle_method(head.channel, payload);
            }
            break;
        case static_cast<std::uint8_t>(FrameType::header):
        case static_cast<std::uint8_t>(FrameType::body):
            if (life_.stage() < Stage::open) {
                fall_silent();
            } else if (head.channel == 0 || life_.stage() == Stage::open) {
                close_connection(protocol::ConnectionReply::unexpected_frame, frame_text(head, payload));
            } else if (head.type == static_cast<std::uint8_t>(FrameType::header) && head.size < 14) {
                close_connection(protocol::ConnectionReply::frame_error,
                                 frame_text(head, payload) + ": unknown_frame");
            } else if (life_.running()) {
                handle_content(head.channel, FrameType{head.type}, payload);
            }
            break;
        case static_cast<std::uint8_t>(FrameType::heartbeat):
            if (head.channel != 0) {
                close_connection(protocol::ConnectionReply::unexpected_frame, frame_text(head, payload));
            } else if (!payload.empty()) {
                close_connection(protocol::ConnectionReply::frame_error,
                                 frame_text(head, payload) + ": unknown_frame");
            }
            break;
        default:
            if (life_.stage() < Stage::open) {
                fall_silent();
            } else {
                close_connection(protocol::ConnectionReply::frame_error,
                                 frame_text(head, payload) + ": unknown_frame");
            }
    }
    return whole;
}

inline std::size_t Session::parse_publish(std::string_view bytes, std::uint32_t method_size) {
    constexpr std::size_t method_fixed = 4 + 2;  // ids, ticket
    constexpr std::size_t header_fixed = 2 + 2 + 8;
    const char* const at = bytes.data();
    const std::size_t header_at = method_size + protocol::frame_overhead;
    if (bytes.size() < header_at + frame_head_size + header_fixed + 1) return 0;

    // The method: two short strings and the bits, and nothing else.
    if (method_size < method_fixed + 3) return 0;
    const std::size_t names_at = frame_head_size + method_fixed;
    const std::size_t key_at = names_at + 1 + static_cast<unsigned char>(at[names_at]);
    if (key_at >= frame_head_size + method_size) return 0;
    const std::size_t bits_at = key_at + 1 + static_cast<unsigned char>(at[key_at]);
    if (bits_at + 1 != frame_head_size + method_size) return 0;

    // The header frame.
    const FrameHead method_head = protocol::read_frame_head(at);
    const FrameHead header_head = protocol::read_frame_head(at + header_at);
    if (header_head.type != static_cast<std::uint8_t>(FrameType::header) ||
        header_head.channel != method_head.channel || header_head.size < header_fixed + 2 ||
        header_head.size > frame_max_)
        return 0;
    const std::size_t header_frame_size = header_head.size + protocol::frame_overhead;
    const char* const header = at + header_at + frame_head_size;
    if (bytes.size() < header_at + header_frame_size || header[header_head.size] != frame_end ||
        protocol::load_big_endian<std::uint32_t>(header) != 60u << 16)
        return 0;
    const auto body_size = protocol::load_big_endian<std::uint64_t>(header + 4);

    // The body: none, or in one frame.
    std::size_t whole = header_at + header_frame_size;
    if (body_size != 0) {
        if (body_size > frame_max_ || bytes.size() < whole + body_size + protocol::frame_overhead) return 0;
        const FrameHead body_head = protocol::read_frame_head(at + whole);
        if (body_head.type != static_cast<std::uint8_t>(FrameType::body) ||
            body_head.channel != method_head.channel || body_head.size != body_size ||
            at[whole + frame_head_size + body_size] != frame_end)
            return 0;
        whole += body_size + protocol::frame_overhead;
    }

    Channel* channel = find_channel(method_head.channel);
    if (channel == nullptr || channel->is_closing() || channel->expects_content()) return 0;
    if (shard_.alarm().raised()) {
        block();
        return 0;
    }
    const Publication publication{
        slice(bytes, names_at, bits_at - names_at), slice(bytes, bits_at + 1, whole - bits_at - 1),
        static_cast<std::uint32_t>(header_frame_size), static_cast<std::uint32_t>(body_size)};
    if (auto outcome = channel->publish(publication, static_cast<std::uint8_t>(at[bits_at])); !outcome)
        raise(channel, outcome.error(), protocol::basic::Publish::id);
    return whole;
}

std::size_t Session::stream_body(std::string_view bytes) {
    // The last octet is taken together with the frame's end, so that no content is whole before its frame is.
    const bool whole = bytes.size() > body_left_;
    const std::size_t used =
        whole ? body_left_ : std::min<std::size_t>(bytes.size(), body_left_ - std::size_t{1});
    if (whole) {
        body_streaming_ = false;
        if (bytes[used] != frame_end && life_.running()) {
            frame_error(fmt::format("type 3, {}: {{invalid_frame_end_marker,{}}}",
                                    octets_text(bytes.substr(0, used)),
                                    static_cast<unsigned char>(bytes[used])));
            return bytes.size();
        }
    }
    if (used != 0) handle_content(body_channel_, FrameType::body, bytes.substr(0, used));
    body_left_ -= static_cast<std::uint32_t>(used);
    return whole ? used + 1 : used;
}

void Session::handle_content(std::uint16_t number, FrameType type, std::string_view payload) {
    if (!life_.running()) return;
    Channel* channel = find_channel(number);
    if (channel == nullptr) {
        close_connection(protocol::ConnectionReply::channel_error, "expected 'channel.open'");
        return;
    }
    if (channel->is_closing() && !channel->expects_content()) return;
    const auto outcome =
        type == FrameType::header ? channel->content_header(payload) : channel->content_body(payload);
    if (outcome) return;
    raise(channel, outcome.error(), std::visit([](const auto& one) { return one.cause; }, outcome.error()));
}

void Session::handle_method(std::uint16_t number, std::string_view payload) {
    const auto method = protocol::decode_method(payload);
    if (life_.stage() == Stage::closing) {
        if (!method || number != 0) return;
        if (std::holds_alternative<protocol::connection::Close>(*method)) {
            send(0, protocol::connection::CloseOk{});
        } else if (std::holds_alternative<protocol::connection::CloseOk>(*method)) {
            leave();
        }
        return;
    }
    if (!method) {
        const protocol::DecodeError& error = method.error();
        if (life_.stage() < Stage::open) {
            fall_silent();
        } else if (error.unknown_method) {
            close_connection(protocol::ConnectionReply::command_invalid, "unimplemented method", error.id);
        } else if (number == 0) {
            close_connection(protocol::ConnectionReply::internal_error, "");
        } else {
            close_connection(protocol::ConnectionReply::frame_error,
                             fmt::format("cannot decode {}", protocol::erlang_octets(error.arguments)),
                             error.id);
        }
        return;
    }
    const protocol::MethodId id = std::visit([](const auto& one) { return one.id; }, *method);
    if (!names_are_text(*method)) {
        if (life_.stage() < Stage::open) return fall_silent();
        return close_connection(protocol::ConnectionReply::frame_error, "Malformed UTF-8 in shortstr",
                                number == 0 ? id : protocol::MethodId{});
    }
    if (number == 0) {
        handle_connection_method(*method, id);
        return;
    }
    const auto refuse = [&](protocol::ConnectionReply code, std::string_view text) {
        close_connection(code, text, id);
    };
    if (id.class_id == protocol::connection::Start::id.class_id)
        return refuse(protocol::ConnectionReply::command_invalid, "unimplemented method");

    Channel* channel = find_channel(number);
    if (std::holds_alternative<protocol::channel::Open>(*method)) {
        if (channel != nullptr)
            return refuse(protocol::ConnectionReply::channel_error, "second 'channel.open' seen");
        if (channels_.size() >= channel_max_)
            return close_connection(
                protocol::ConnectionReply::not_allowed,
                fmt::format("number of channels opened ({0}) has reached the negotiated channel_max ({0})",
                            channel_max_));
        if (shard_.holds_much())
            return refuse(protocol::ConnectionReply::resource_error,
                          fmt::format("cannot open channel {}: {} takes as much memory as it may", number,
                                      Channel::held_by_clients));
        channels_.emplace(number, std::make_unique<Channel>(*this, number));
        send(number, protocol::channel::OpenOk{});
        return;
    }
    if (channel == nullptr)
        return refuse(protocol::ConnectionReply::channel_error, "expected 'channel.open'");
    if (channel->is_closing()) {
        if (channel->awaits_close_ok()) {
            if (std::holds_alternative<protocol::channel::CloseOk>(*method)) forget_channel(number);
            if (std::holds_alternative<protocol::channel::Close>(*method))
                send(number, protocol::channel::CloseOk{});
        }
        return;
    }
    const auto outcome = channel->handle(*method);
    if (!outcome)
        raise(channel, outcome.error(), channel->expects_content() ? protocol::basic::Publish::id : id);
}

}  // namespace trilby::broker
