// SPDX-License-Identifier: Apache-2.0
#include "protocol/reply.hpp"

#include <utility>

namespace trilby::protocol {

namespace {

constexpr std::size_t max_length = 255;

std::string_view prefix(ChannelReply code) {
    switch (code) {
        case ChannelReply::access_refused: return "ACCESS_REFUSED";
        case ChannelReply::not_found: return "NOT_FOUND";
        case ChannelReply::resource_locked: return "RESOURCE_LOCKED";
        case ChannelReply::precondition_failed: return "PRECONDITION_FAILED";
    }
    std::unreachable();
}

std::string_view prefix(ConnectionReply code) {
    switch (code) {
        case ConnectionReply::connection_forced: return "CONNECTION_FORCED";
        case ConnectionReply::access_refused: return "ACCESS_REFUSED";
        case ConnectionReply::frame_error: return "FRAME_ERROR";
        case ConnectionReply::syntax_error: return "SYNTAX_ERROR";
        case ConnectionReply::command_invalid: return "COMMAND_INVALID";
        case ConnectionReply::channel_error: return "CHANNEL_ERROR";
        case ConnectionReply::unexpected_frame: return "UNEXPECTED_FRAME";
        case ConnectionReply::resource_error: return "RESOURCE_ERROR";
        case ConnectionReply::not_allowed: return "NOT_ALLOWED";
        case ConnectionReply::not_implemented: return "NOT_IMPLEMENTED";
        case ConnectionReply::internal_error: return "INTERNAL_ERROR";
    }
    std::unreachable();
}

std::string join(std::string_view prefix, std::string_view text) {
    std::string out{prefix};
    if (text.empty()) return out;
    out += " - ";
    out += text;
    if (out.size() > max_length) {
        constexpr std::string_view dots = "...";
        out.resize(max_length - dots.size());
        out += dots;
    }
    return out;
}

}  // namespace

std::string reply_text(ChannelReply code, std::string_view text) {
    return join(prefix(code), text);
}

std::string reply_text(ConnectionReply code, std::string_view text) {
    return join(prefix(code), text);
}

}  // namespace trilby::protocol
