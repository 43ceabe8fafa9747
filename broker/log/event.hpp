// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/log/level.hpp"

// Lines that peers cause say what they are about in members as well as in their sentence. They go through
// spdlog like every other line, so a program that embeds the broker needs nothing of this to have a log.

namespace trilby::broker::log {

/// What happened, where a peer can make it happen again and again.
enum class Event : std::uint8_t {
    other,
    broker_stopping,  // not to be missing in any log
    handshake_failed,
    login_refused,
    connection_opened,
    connection_closed,
    channel_closed,  // by the broker
    arguments_not_served,
    signal_ignored,
};
/// "login_refused"
std::string_view to_text(Event event);

/// Whom and what a line is about. Empty or none: does not apply. Texts are as they came.
struct Fields {
    Event event = Event::other;
    std::string gathered_by{};  // lines of the same event and this are gathered: an address, or a user
    std::string connection{};   // "127.0.0.1:50000 -> 127.0.0.1:5672"
    std::string name{};         // that the client gave its connection
    std::string peer{};         // "127.0.0.1:50000"
    std::string user{};
    std::string vhost{};
    std::uint16_t channel = 0;
    std::uint16_t code = 0;
    std::string text{};  // of the reply with that code
    std::optional<std::chrono::milliseconds> lasted{};
    std::uint64_t published = 0, delivered = 0;  // with `lasted`
};

/// Is there a sink for lines of this level?
bool takes(Level level);

/// `message` is fit for the log. Any thread.
void write(Level level, const Fields& fields, std::string_view message);

/// For sinks: of the line that this thread is giving to spdlog; null if it has none.
const Fields* fields_of_this_line();

}  // namespace trilby::broker::log
