// SPDX-License-Identifier: Apache-2.0
#include "broker/log/line.hpp"

#include <cstdlib>
#include <ctime>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "protocol/quoted.hpp"

namespace trilby::broker::log {

namespace {

constexpr std::size_t longest_message = std::size_t{16} << 10;

std::string_view colour(Level level) {
    switch (level) {
        case Level::debug: return "\033[36m";
        case Level::info: return "\033[32m";
        case Level::warning: return "\033[33m";
        case Level::error: return "\033[31m";
        case Level::critical: return "\033[1;31m";
    }
    std::unreachable();
}

/// syslog's numbers.
int priority(Level level) {
    switch (level) {
        case Level::debug: return 7;
        case Level::info: return 6;
        case Level::warning: return 4;
        case Level::error: return 3;
        case Level::critical: return 2;
    }
    std::unreachable();
}

/// 4312 is "4,312".
std::string with_commas(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
    return digits;
}

void append_message(std::string& out, const Line& line) {
    protocol::append_printable(out, line.message.substr(0, longest_message));
    if (line.message.size() > longest_message) out += "…";
    if (line.more != 0)
        fmt::format_to(std::back_inserter(out), "; and {} more in {} s", with_commas(line.more),
                       line.within.count());
}

void append_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

/// The members of a JSON object, after its first.
class Members {
  public:
    explicit Members(std::string& out) : out_(out) {}

    void text(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        append_name(name);
        append_string(out_, protocol::printable(value));
    }
    void number(std::string_view name, std::uint64_t value) {
        append_name(name);
        out_ += std::to_string(value);
    }
    void number_if_any(std::string_view name, std::uint64_t value) {
        if (value != 0) number(name, value);
    }

  private:
    void append_name(std::string_view name) {
        out_ += ",\"";
        out_ += name;
        out_ += "\":";
    }
    std::string& out_;
};

void append_json(std::string& out, const Line& line) {
    out += "{\"time\":\"";
    append_time(out, line.time);
    out += '"';
    Members members(out);
    members.text("level", to_text(line.level));
    if (const Fields* fields = line.fields; fields != nullptr) {
        members.text("event", to_text(fields->event));
        members.text("connection", fields->connection);
        members.text("name", fields->name);
        members.text("peer", fields->peer);
        members.text("user", fields->user);
        members.text("vhost", fields->vhost);
        members.number_if_any("channel", fields->channel);
        members.number_if_any("code", fields->code);
        members.text("text", fields->text);
        if (fields->lasted) {
            members.number("lasted_ms", static_cast<std::uint64_t>(fields->lasted->count()));
            members.number("published", fields->published);
            members.number("delivered", fields->delivered);
        }
    }
    members.number_if_any("more", line.more);
    std::string message;
    append_message(message, line);
    members.text("message", message);
    out += '}';
}

void append_text(std::string& out, const Line& line, const Style& style) {
    if (!style.journal) {
        append_time(out, line.time);
        out += ' ';
        if (style.colours) out += colour(line.level);
        out += to_text(line.level);
        if (style.colours) out += "\033[0m";
        out += ' ';
    }
    append_message(out, line);
}

}  // namespace

void append_time(std::string& out, std::chrono::system_clock::time_point time) {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(since - seconds);
    const std::time_t whole = seconds.count();
    std::tm local{};
    ::localtime_r(&whole, &local);
    const long minutes = std::labs(local.tm_gmtoff) / 60;
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}{:02}:{:02}",
                   local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min,
                   local.tm_sec, milliseconds.count(), local.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                   minutes % 60);
}

void append_line(std::string& out, const Line& line, const Style& style) {
    if (style.journal) fmt::format_to(std::back_inserter(out), "<{}>", priority(line.level));
    if (style.format == Format::json) {
        append_json(out, line);
    } else {
        append_text(out, line, style);
    }
    out += '\n';
}

}  // namespace trilby::broker::log
