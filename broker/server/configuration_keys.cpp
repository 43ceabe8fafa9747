// SPDX-License-Identifier: Apache-2.0
#include "broker/server/configuration_keys.hpp"

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "broker/server/quantities.hpp"

namespace trilby::broker {
namespace {

/// In quotes, on one line.
std::string toml_text(const std::string& text) {
    using Formatter = toml::toml_formatter;
    const toml::value value{text};
    std::ostringstream out;
    out << Formatter{value, Formatter::default_flags & ~(toml::format_flags::allow_literal_strings |
                                                         toml::format_flags::allow_multi_line_strings)};
    return std::move(out).str();
}

template <class Texts>
std::string list_of(const Texts& texts) {
    std::vector<std::string> all;
    for (const auto& text : texts) all.push_back(toml_text(text));
    return fmt::format("[{}]", fmt::join(all, ", "));
}

// How a value is written so that it is read as what it is.

std::string shown(std::integral auto number) {
    return fmt::format("{}", number);
}
std::string shown(std::chrono::microseconds duration) {
    return toml_text(duration_text(duration));
}
std::string shown(const std::string& text) {
    return toml_text(text);
}
std::string shown(const std::filesystem::path& path) {
    return toml_text(std::filesystem::absolute(path).string());
}
std::string shown(const std::vector<std::string>& texts) {
    return list_of(texts);
}
std::string shown(const std::vector<Listener>& listeners) {
    std::vector<std::string> addresses;
    for (const Listener& listener : listeners) addresses.push_back(to_text(listener));
    return list_of(addresses);
}
std::string shown(const MemoryWatermark& watermark) {
    if (watermark.bytes) {
        const std::string text = byte_size_text(*watermark.bytes);
        return toml_text(text.find_first_not_of("0123456789") == text.npos ? text + "B" : text);
    }
    const auto text = fmt::format("{}", watermark.fraction);
    return text.find_first_of(".e") == text.npos ? text + ".0" : text;
}
std::string shown(log::Level level) {
    return toml_text(std::string{to_text(level)});
}
std::string shown(log::Format format) {
    return toml_text(std::string{to_text(format)});
}
template <class T>
std::string shown(const std::optional<T>& value) {
    return value ? shown(*value) : "";
}

template <auto member>
std::string show(const Configuration& configuration) {
    return shown(configuration.*member);
}
/// A size in octets.
template <auto member>
std::string show_size(const Configuration& configuration) {
    return toml_text(byte_size_text(configuration.*member));
}

template <auto member, auto how = show<member>>
constexpr ConfigurationKey key(std::string_view name, void (*read)(Value, Configuration&),
                               Changes changes = Changes::at_restart) {
    return {name,
            changes,
            read,
            how,
            [](const Configuration& a, const Configuration& b) { return a.*member == b.*member; },
            [](Configuration& to, const Configuration& from) { to.*member = from.*member; }};
}

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t least_frame = 4096;  // clients rely on this much
constexpr std::uint64_t largest_frame = std::uint64_t{128} << 20;
constexpr std::uint64_t largest_message = std::uint64_t{512} << 20;  // RabbitMQ's hard limit

using C = Configuration;

constexpr std::array keys{
    key<&C::backlog_memory, show_size<&C::backlog_memory>>(
        "backlog_memory", [](Value v, C& c) { v.read_size(c.backlog_memory, 0, std::uint64_t{1} << 50); }),
    key<&C::busy_poll>(
        "busy_poll",
        [](Value v, C& c) { v.read_duration(c.busy_poll, microseconds{0}, microseconds{10'000}); }),
    key<&C::channel_max>("channel_max", [](Value v, C& c) { v.read(c.channel_max, 1, 65'535); }),
    key<&C::connections_together>("connections_together",
                                  [](Value v, C& c) { v.read(c.connections_together, 1, 1'000'000); }),
    key<&C::consumer_timeout>("consumer_timeout",
                              [](Value v, C& c) {
                                  v.read_duration(c.consumer_timeout, milliseconds{0},
                                                  milliseconds{315'360'000'000});
                              }),
    key<&C::data_directory>("data_directory", [](Value v, C& c) { v.read(c.data_directory); }),
    key<&C::definitions>("definitions", [](Value v, C& c) { v.read(c.definitions.emplace()); }),
    key<&C::disk_watermark, show_size<&C::disk_watermark>>(
        "disk_watermark", [](Value v, C& c) { v.read_size(c.disk_watermark, 0, std::uint64_t{1} << 50); }),
    key<&C::frame_max, show_size<&C::frame_max>>(
        "frame_max", [](Value v, C& c) { v.read_size(c.frame_max, least_frame, largest_frame); }),
    key<&C::handshake_timeout>("handshake_timeout",
                               [](Value v, C& c) {
                                   v.read_duration(c.handshake_timeout, milliseconds{100},
                                                   milliseconds{3'600'000});
                               }),
    key<&C::heartbeat>("heartbeat",
                       [](Value v, C& c) { v.read_duration(c.heartbeat, seconds{0}, seconds{65'535}); }),
    key<&C::listeners>("listeners", [](Value v, C& c) { v.read(c.listeners); }),
    key<&C::log_connections>(
        "log_connections", [](Value v, C& c) { v.read(c.log_connections); }, Changes::while_running),
    key<&C::log_format>(
        "log_format", [](Value v, C& c) { v.read(c.log_format); }, Changes::while_running),
    key<&C::log_level>(
        "log_level", [](Value v, C& c) { v.read(c.log_level); }, Changes::while_running),
    key<&C::loopback_users>(
        "loopback_users", [](Value v, C& c) { v.read(c.loopback_users); }, Changes::while_running),
    key<&C::max_message_size, show_size<&C::max_message_size>>(
        "max_message_size", [](Value v, C& c) { v.read_size(c.max_message_size, 1, largest_message); }),
    key<&C::memory_watermark>("memory_watermark", [](Value v, C& c) { v.read(c.memory_watermark); }),
    key<&C::server_version>("server_version", [](Value v, C& c) { v.read_version(c.server_version); }),
    key<&C::shutdown_timeout>(
        "shutdown_timeout",
        [](Value v, C& c) { v.read_duration(c.shutdown_timeout, seconds{2}, seconds{3600}); }),
    key<&C::tcp_keepalive>(
        "tcp_keepalive",
        [](Value v, C& c) { v.read_duration(c.tcp_keepalive, seconds{0}, seconds{32'767}); }),
    key<&C::tcp_user_timeout>(
        "tcp_user_timeout",
        [](Value v, C& c) { v.read_duration(c.tcp_user_timeout, seconds{0}, seconds{86'400}); }),
    key<&C::threads>("threads", [](Value v, C& c) { v.read(c.threads, 0, most_threads); }),
};

}  // namespace

std::span<const ConfigurationKey> all_configuration_keys() {
    return keys;
}

}  // namespace trilby::broker
