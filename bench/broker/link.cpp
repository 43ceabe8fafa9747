// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/link.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/socket.h>

#include "protocol/methods.hpp"

namespace trilby::perf {

Link::Link(client::Connection::Bare bare)
    : socket_(std::move(bare.socket)), frame_max_(bare.frame_max), tail_(std::move(bare.unread)) {}

void Link::read(char* buffer) {
    std::memcpy(buffer, tail_.data(), tail_.size());
    const ssize_t got = ::recv(descriptor(), buffer + tail_.size(), read_size, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        return fail(got == 0 ? "the broker hung up"
                             : fmt::format("the connection broke: {}", std::strerror(errno)));
    }
    const std::string_view bytes(buffer, tail_.size() + static_cast<std::size_t>(got));
    const std::size_t handled = handle(bytes);
    tail_.assign(bytes.substr(handled));
    if (tail_.size() >= frame_max_ + protocol::frame_overhead)
        return fail("the broker sent a frame larger than was agreed");
    after_read();
}

void Link::take_unread() {
    if (tail_.empty()) return;
    tail_.erase(0, handle(tail_));
    after_read();
}

std::size_t Link::send(std::string_view bytes) {
    const ssize_t sent = ::send(descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno == EAGAIN)
            blocked_ = true;
        else if (errno != EINTR)
            fail(fmt::format("the connection broke: {}", std::strerror(errno)));
        return 0;
    }
    if (static_cast<std::size_t>(sent) < bytes.size()) blocked_ = true;
    return static_cast<std::size_t>(sent);
}

void Link::flush() {
    if (control_.empty() || blocked_) return;
    control_.erase(0, send(control_));
}

void Link::other_method(std::uint16_t channel, std::string_view payload) {
    const auto method = protocol::decode_method(payload);
    if (!method) return fail("the broker sent a method that is not AMQP 0-9-1");
    if (const auto* close = std::get_if<protocol::connection::Close>(&*method))
        return fail(
            fmt::format("the broker closed the connection: {} {}", close->reply_code, close->reply_text));
    if (const auto* close = std::get_if<protocol::channel::Close>(&*method))
        return fail(fmt::format("the broker closed channel {}: {} {}", channel, close->reply_code,
                                close->reply_text));
    fail(fmt::format("the broker sent {}, which nobody asked for", protocol::to_text(*method)));
}

void Link::fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
}

}  // namespace trilby::perf
