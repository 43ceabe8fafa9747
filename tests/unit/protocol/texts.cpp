// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "protocol/erlang_text.hpp"
#include "protocol/quoted.hpp"
#include "protocol/reply.hpp"
#include "protocol/utf8.hpp"

using namespace trilby::protocol;
using namespace std::literals;

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

}  // namespace

TEST_CASE("a reply text begins with the name of its code") {
    const auto channel = [](ChannelReply code) { return reply_text(code, "why"); };
    CHECK(channel(ChannelReply::access_refused) == "ACCESS_REFUSED - why");
    CHECK(channel(ChannelReply::not_found) == "NOT_FOUND - why");
    CHECK(channel(ChannelReply::resource_locked) == "RESOURCE_LOCKED - why");
    CHECK(channel(ChannelReply::precondition_failed) == "PRECONDITION_FAILED - why");
    const auto connection = [](ConnectionReply code) { return reply_text(code, "why"); };
    CHECK(connection(ConnectionReply::connection_forced) == "CONNECTION_FORCED - why");
    CHECK(connection(ConnectionReply::access_refused) == "ACCESS_REFUSED - why");
    CHECK(connection(ConnectionReply::frame_error) == "FRAME_ERROR - why");
    CHECK(connection(ConnectionReply::syntax_error) == "SYNTAX_ERROR - why");
    CHECK(connection(ConnectionReply::command_invalid) == "COMMAND_INVALID - why");
    CHECK(connection(ConnectionReply::channel_error) == "CHANNEL_ERROR - why");
    CHECK(connection(ConnectionReply::unexpected_frame) == "UNEXPECTED_FRAME - why");
    CHECK(connection(ConnectionReply::resource_error) == "RESOURCE_ERROR - why");
    CHECK(connection(ConnectionReply::not_allowed) == "NOT_ALLOWED - why");
    CHECK(connection(ConnectionReply::not_implemented) == "NOT_IMPLEMENTED - why");
    CHECK(connection(ConnectionReply::internal_error) == "INTERNAL_ERROR - why");
}

TEST_CASE("an unforeseen fault is told as INTERNAL_ERROR and nothing else") {
    CHECK(reply_text(ConnectionReply::internal_error, "") == "INTERNAL_ERROR");
}

TEST_CASE("a reply text of 255 bytes is whole, a longer one is cut to 252 and three dots") {
    const auto prefix = "NOT_FOUND - "s;
    const std::string text(300, 'x');
    const auto fits = text.substr(0, 255 - prefix.size());
    CHECK(reply_text(ChannelReply::not_found, fits) == prefix + fits);
    CHECK(reply_text(ChannelReply::not_found, fits + "x") == (prefix + text).substr(0, 252) + "...");
    CHECK(reply_text(ConnectionReply::not_allowed, text).size() == 255);
}

TEST_CASE("a binary is printed as Erlang prints it") {
    CHECK(erlang_binary("abc") == R"(<<"abc">>)");
    CHECK(erlang_binary("") == "<<>>");
    CHECK(erlang_binary("\x00\x05"
                        "a"sv) == "<<0,5,97>>");
    CHECK(erlang_binary("a\"b\\c") == R"(<<"a\"b\\c">>)");
    CHECK(erlang_binary("a\r\n\t\x1B") == R"(<<"a\r\n\t\e">>)");
    CHECK(erlang_binary("\x7F") == "<<127>>");
    CHECK(erlang_binary("\xC3\xA9") == "<<195,169>>");
    CHECK(erlang_octets("abc") == "<<97,98,99>>");
    CHECK(erlang_octets("") == "<<>>");
    CHECK(erlang_octets("\xFF") == "<<255>>");
}

TEST_CASE("quoted text stays on its line and cannot steer a terminal") {
    CHECK(quoted("plain") == R"("plain")");
    CHECK(quoted("a\"b\\") == R"("a\"b\\")");
    CHECK(quoted("\r\n\x1B\x7F\0"sv) == R"("\x0d\x0a\x1b\x7f\x00")");
    CHECK(quoted("gr\xC3\xBC\xC3\x9F") == "\"gr\xC3\xBC\xC3\x9F\"");
    CHECK(quoted("\xC2\x9B") == R"("\xc2\x9b")");
    CHECK(quoted("\xC3") == R"("\xc3")");
}

TEST_CASE("UTF-8 is told from what is not") {
    CHECK(valid_utf8(""));
    CHECK(valid_utf8("org.fedoraproject.koji"));
    CHECK(valid_utf8("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xA9"));
    CHECK(!valid_utf8("\xFF"));
    CHECK(!valid_utf8("\xC3"));
    CHECK(!valid_utf8("\xC0\xAF"));      // overlong
    CHECK(!valid_utf8("\xED\xA0\x80"));  // surrogate
    CHECK(valid_utf8(std::string(1000, 'a') + "\xC3\xA9"));
    CHECK(!valid_utf8(std::string(1000, 'a') + "\xC3"));
}
