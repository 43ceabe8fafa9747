// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "protocol/bytes.hpp"
#include "protocol/frame.hpp"
#include "protocol/method_id.hpp"
#include "protocol/methods/access.hpp"
#include "protocol/methods/basic.hpp"
#include "protocol/methods/channel.hpp"
#include "protocol/methods/confirm.hpp"
#include "protocol/methods/connection.hpp"
#include "protocol/methods/exchange.hpp"
#include "protocol/methods/queue.hpp"
#include "protocol/methods/tx.hpp"

namespace trilby::protocol {

/// Every method, once. Adding one takes its declaration and a place here; encoding, decoding, names, log
/// lines and round-trip tests follow.
using Method = std::variant<
    connection::Start, connection::StartOk, connection::Secure, connection::SecureOk, connection::Tune,
    connection::TuneOk, connection::Open, connection::OpenOk, connection::Close, connection::CloseOk,
    connection::Blocked, connection::Unblocked, connection::UpdateSecret, connection::UpdateSecretOk,
    channel::Open, channel::OpenOk, channel::Flow, channel::FlowOk, channel::Close, channel::CloseOk,
    access::Request, access::RequestOk, exchange::Declare, exchange::DeclareOk, exchange::Delete,
    exchange::DeleteOk, exchange::Bind, exchange::BindOk, exchange::Unbind, exchange::UnbindOk,
    queue::Declare, queue::DeclareOk, queue::Bind, queue::BindOk, queue::Purge, queue::PurgeOk, queue::Delete,
    queue::DeleteOk, queue::Unbind, queue::UnbindOk, basic::Qos, basic::QosOk, basic::Consume,
    basic::ConsumeOk, basic::Cancel, basic::CancelOk, basic::Publish, basic::Return, basic::Deliver,
    basic::Get, basic::GetOk, basic::GetEmpty, basic::Ack, basic::Reject, basic::RecoverAsync, basic::Recover,
    basic::RecoverOk, basic::Nack, confirm::Select, confirm::SelectOk, tx::Select, tx::SelectOk, tx::Commit,
    tx::CommitOk, tx::Rollback, tx::RollbackOk>;

struct DecodeError {
    MethodId id;
    bool unknown_method = false;  ///< otherwise the arguments are cut short, malformed or too long
    std::string_view arguments;   ///< as received, after the two ids
};

/// `payload` is the whole payload of a method frame; strings and tables of the result are views into it.
std::expected<Method, DecodeError> decode_method(std::string_view payload);

/// Whether a method id exists, and its name ("basic.ack", or "" when it does not).
std::string_view method_name(MethodId id);

/// For logs: basic.ack delivery-tag=5 multiple=0. Secrets are not shown, control characters are escaped.
std::string to_text(const Method& method);

namespace detail {

template <class W>
void put(W& to, std::uint8_t value) {
    to.octet(value);
}
template <class W>
void put(W& to, std::uint16_t value) {
    to.short_int(value);
}
template <class W>
void put(W& to, std::uint32_t value) {
    to.long_int(value);
}
template <class W>
void put(W& to, std::uint64_t value) {
    to.long_long(value);
}
template <class W>
void put(W& to, bool value) {
    to.bit(value);
}
template <class W>
void put(W& to, std::string_view value) {
    to.short_string(value);
}
template <class W>
void put(W& to, TableView value) {
    to.table(value);
}

inline void get(Reader& from, std::uint8_t& value) {
    value = from.octet();
}
inline void get(Reader& from, std::uint16_t& value) {
    value = from.short_int();
}
inline void get(Reader& from, std::uint32_t& value) {
    value = from.long_int();
}
inline void get(Reader& from, std::uint64_t& value) {
    value = from.long_long();
}
inline void get(Reader& from, bool& value) {
    value = from.bit();
}
inline void get(Reader& from, std::string_view& value) {
    value = from.short_string();
}
inline void get(Reader& from, TableView& value) {
    value = from.table();
}

template <class W, class M, class T>
void put_field(W& to, const Field<M, T>& field, const M& method) {
    put(to, method.*field.member);
}
template <class W, class M>
void put_field(W& to, const LongString<M>& field, const M& method) {
    to.long_string(method.*field.member);
}
template <class W, class M>
void put_field(W& to, const Secret<M>& field, const M& method) {
    to.long_string(method.*field.member);
}

template <class M, class T>
void get_field(Reader& from, const Field<M, T>& field, M& method) {
    get(from, method.*field.member);
}
template <class M>
void get_field(Reader& from, const LongString<M>& field, M& method) {
    method.*field.member = from.long_string();
}
template <class M>
void get_field(Reader& from, const Secret<M>& field, M& method) {
    method.*field.member = from.long_string();
}

template <class W, class M>
void put_arguments(W& to, const M& method) {
    std::apply([&](const auto&... field) { (put_field(to, field, method), ...); }, M::fields);
}

}  // namespace detail

/// The arguments alone, for who knows by the ids which method it is. False: malformed, cut short or too long.
template <class M>
bool decode_arguments(std::string_view arguments, M& method) {
    Reader from{arguments};
    std::apply([&](const auto&... field) { (detail::get_field(from, field, method), ...); }, M::fields);
    return from.ok() && from.at_end();
}

/// Appends the whole frame: head, ids, arguments, end.
template <class M>
void append_method(std::string& out, std::uint16_t channel, const M& method) {
    constexpr std::size_t ids = 4;
    BasicWriter<detail::SizeSink> measure{{}};
    detail::put_arguments(measure, method);
    const std::size_t payload = ids + measure.sink().size;
    const std::size_t before = out.size();
    const std::size_t after = before + payload + frame_overhead;
    // The size that the operation is given may be larger than asked for (libstdc++ 12).
    out.resize_and_overwrite(after, [&](char* data, std::size_t) {
        char* at = data + before;
        write_frame_head(
            at, {static_cast<std::uint8_t>(FrameType::method), channel, static_cast<std::uint32_t>(payload)});
        BasicWriter<detail::MemorySink> writer{at + frame_head_size};
        writer.short_int(M::id.class_id);
        writer.short_int(M::id.method_id);
        detail::put_arguments(writer, method);
        data[after - 1] = frame_end;
        return after;
    });
}

void append_method(std::string& out, std::uint16_t channel, const Method& method);

}  // namespace trilby::protocol
