// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/method_id.hpp"

namespace trilby::protocol {

/// The soft errors: they end one channel.
enum class ChannelReply : std::uint16_t {
    access_refused = 403,
    not_found = 404,
    resource_locked = 405,
    precondition_failed = 406,
};

/// The hard errors: they end the connection.
enum class ConnectionReply : std::uint16_t {
    connection_forced = 320,
    access_refused = 403,  ///< a departure from the specification that clients rely on: a failed login
    frame_error = 501,
    syntax_error = 502,
    command_invalid = 503,
    channel_error = 504,
    unexpected_frame = 505,
    resource_error = 506,
    not_allowed = 530,
    not_implemented = 540,
    internal_error = 541,
};

/// A peer broke a rule. `text` is the explanation without the code's prefix; `cause` the method that failed.
struct ChannelException {
    ChannelReply code;
    std::string text;
    MethodId cause{};
};

struct ConnectionException {
    ConnectionReply code;
    std::string text;
    MethodId cause{};
};

using Exception = std::variant<ChannelException, ConnectionException>;

template <class T = void>
using Outcome = std::expected<T, Exception>;

/// What the peer is told: "NOT_FOUND - no queue 'q' in vhost '/'", or the bare prefix when the text is empty.
/// Fits a short string: beyond 255 bytes the first 252 are followed by "...".
std::string reply_text(ChannelReply code, std::string_view text);
std::string reply_text(ConnectionReply code, std::string_view text);

}  // namespace trilby::protocol
