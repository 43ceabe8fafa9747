// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/format.h>

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/quoted.hpp"

// What the log says of a connection: that it was opened, why it ended, which of its channels were closed.

namespace trilby::broker {

namespace {

std::string end_of(const std::string& address, std::uint16_t port) {
    return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                  : fmt::format("[{}]:{}", address, port);
}

std::string ends_of(const Peer& peer) {
    return fmt::format("{} -> {}", end_of(peer.address, peer.port),
                       end_of(peer.local_address, peer.local_port));
}

/// 0.012 s, 5 min 12 s, 3 h 5 min, 4 d 3 h.
std::string in_words(std::chrono::milliseconds time) {
    const auto seconds = time.count() / 1000;
    if (seconds < 60) return fmt::format("{}.{:03} s", seconds, time.count() % 1000);
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{} d {} h", seconds / 86'400, seconds / 3600 % 24);
}

}  // namespace

std::string Session::name() const {
    std::string text = ends_of(peer_);
    return connection_name_.empty() ? text : fmt::format("{} - {}", text, protocol::quoted(connection_name_));
}

log::Fields Session::about(log::Event event) const {
    return {.event = event,
            .gathered_by = vhost_ == nullptr ? peer_.address : identity_.user,
            .connection = ends_of(peer_),
            .name = connection_name_,
            .peer = end_of(peer_.address, peer_.port),
            .user = identity_.user,
            .vhost = vhost_ == nullptr ? std::string() : vhost_->name};
}

log::Level Session::level_of_ordinary() const {
    return shard_.live_settings().log_connections ? log::Level::info : log::Level::debug;
}

std::uint64_t Session::delivered() const {
    std::uint64_t sum = delivered_;
    for (const auto& [number, channel] : channels_) sum += channel->deliveries();
    return sum;
}

std::string_view Session::awaited() const {
    switch (life_.stage()) {
        case Stage::header: return "the protocol header";
        case Stage::start_ok: return "connection.start-ok";
        case Stage::tune_ok: return "connection.tune-ok";
        default: return "connection.open";
    }
}

void Session::say_opened() const {
    if (!log::takes(level_of_ordinary())) return;
    log::write(level_of_ordinary(), about(log::Event::connection_opened),
               fmt::format("connection {}: opened: user {}, vhost {}", name(),
                           protocol::quoted(identity_.user), protocol::quoted(vhost_->name)));
}

void Session::say_end(log::Level level, std::string_view why, std::uint16_t code, std::string_view text) {
    if (std::exchange(end_said_, true)) return;
    if (level == log::Level::info) level = level_of_ordinary();
    // At a planned stop they are one line together, which is not of here.
    if (shard_.stopping()) level = log::Level::debug;
    if (!log::takes(level)) return;
    const bool opened = vhost_ != nullptr;
    log::Fields fields = about(opened ? log::Event::connection_closed : log::Event::handshake_failed);
    fields.code = code;
    fields.text = text;
    fields.lasted = std::chrono::duration_cast<std::chrono::milliseconds>(shard_.now() - since_);
    if (!opened) {
        const std::string who = identity_.user.empty()
                                    ? std::string()
                                    : fmt::format(": user {}", protocol::quoted(identity_.user));
        return log::write(level, fields,
                          fmt::format("connection {}: handshake failed{} - {}", name(), who, why));
    }
    fields.published = published_;
    fields.delivered = delivered();
    log::write(
        level, fields,
        fmt::format(
            "connection {}: closed: user {}, vhost {} - {}; after {}, {} messages published, {} delivered",
            name(), protocol::quoted(identity_.user), protocol::quoted(vhost_->name), why,
            in_words(*fields.lasted), fields.published, fields.delivered));
}

void Session::say_channel_closed(std::uint16_t number, protocol::ChannelReply code, std::string_view text,
                                 protocol::MethodId cause) const {
    if (!log::takes(log::Level::warning)) return;
    log::Fields fields = about(log::Event::channel_closed);
    fields.channel = number;
    fields.code = static_cast<std::uint16_t>(code);
    fields.text = protocol::reply_text(code, text);
    const std::string_view method = protocol::method_name(cause);
    log::write(log::Level::warning, fields,
               fmt::format("connection {}: channel {} closed: user {}, vhost {} - {} {}{}{}", name(), number,
                           protocol::quoted(identity_.user), protocol::quoted(vhost_->name), fields.code,
                           protocol::printable(fields.text), method.empty() ? "" : "; caused by ", method));
}

}  // namespace trilby::broker
