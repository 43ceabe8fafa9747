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

std::string in_double_quotes(std::string_view text) {
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
    CHECK(in_double_quotes("plain") == R"("plain")");
    CHECK(in_double_quotes("a\"b\\") == R"("a\"b\\")");
    CHECK(in_double_quotes("\r\n\x1B\x7F\0"sv) == R"("\x0d\x0a\x1b\x7f\x00")");
    CHECK(in_double_quotes("gr\xC3\xBC\xC3\x9F") == "\"gr\xC3\xBC\xC3\x9F\"");
    CHECK(in_double_quotes("\xC2\x9B") == R"("\xc2\x9b")");
    CHECK(in_double_quotes("\xC3") == R"("\xc3")");
}

TEST_CASE("a name in single quotes cannot end them") {
    CHECK(quoted("guest") == "'guest'");
    CHECK(quoted("") == "''");
    CHECK(quoted(R"(' -> admin\)") == R"('\' -> admin\\')");
    CHECK(quoted("eve'\n2026-01-01 info FORGED\x1B[31m") == R"('eve\'\x0a2026-01-01 info FORGED\x1b[31m')");
}

TEST_CASE("a sentence keeps its quotes and backslashes, and stays on its line") {
    CHECK(printable(R"(NOT_FOUND - no queue 'a\b' in vhost '/')") ==
          R"(NOT_FOUND - no queue 'a\b' in vhost '/')");
    CHECK(printable("no queue 'a\nb\x1B]0;title\x07'") == R"(no queue 'a\x0ab\x1b]0;title\x07')");
}

TEST_CASE("what is invisible or turns the reading around is shown by its octets") {
    for (const char* hidden : {"\xC2\xAD", "\xD8\x9C", "\xE2\x80\x8B", "\xE2\x80\x8F", "\xE2\x80\xA8",
                               "\xE2\x80\xAE", "\xE2\x81\xA0", "\xE2\x81\xA6", "\xE2\x81\xA9", "\xEF\xBB\xBF",
                               "\xEF\xBF\xB9", "\xF3\xA0\x81\x81"}) {
        const std::string shown = printable("a"s + hidden + "b");
        CHECK(shown.size() == 2 + 4 * std::string_view(hidden).size());
        CHECK(shown.starts_with("a\\x"));
    }
    // Neighbours of theirs that are letters and signs stay.
    for (const char* seen : {"\xC2\xA0", "\xC2\xAE", "\xD8\x9B", "\xE2\x80\x90", "\xE2\x80\xA7",
                             "\xE2\x80\xAF", "\xE2\x81\xB0", "\xEF\xBF\xBD", "\xF0\x9F\x8E\xA9"})
        CHECK(printable(seen) == seen);
}

TEST_CASE("what is not UTF-8 is shown by its octets, and what is around it stays") {
    CHECK(printable("\xC3\xA9\xFFz\xC3") == "\xC3\xA9\\xffz\\xc3");
    CHECK(printable("\xC0\x8A") == R"(\xc0\x8a)");          // a line feed in two octets
    CHECK(printable("\xED\xA0\x80") == R"(\xed\xa0\x80)");  // half of a surrogate pair
    CHECK(printable("\xF4\x90\x80\x80") == R"(\xf4\x90\x80\x80)");
    CHECK(printable("\x80") == R"(\x80)");
}

TEST_CASE("a name that is too long is cut between characters, and its size said") {
    CHECK(quoted("abcdef", 6) == "'abcdef'");
    CHECK(quoted("abcdef", 5) == "'abcde…' (6 octets)");
    CHECK(quoted("ab\xC3\xA9", 3) == "'ab…' (4 octets)");
    CHECK(quoted("\x80\x80\x80\x80\x80\x80", 5) == R"('\x80\x80\x80\x80\x80…' (6 octets))");
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
