// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/log/format.hpp"
#include "broker/log/level.hpp"
#include "broker/net/listener.hpp"
#include "broker/shard/settings.hpp"

// What the broker is told before it starts. docs/configuration.md explains each key.

namespace trilby::broker {

/// How much memory may be in use before publishers are stopped.
struct MemoryWatermark {
    double fraction = 0.4;               // of what the machine or the control group has
    std::optional<std::uint64_t> bytes;  // goes before the fraction

    std::uint64_t of(std::uint64_t memory_limit) const;

    bool operator==(const MemoryWatermark&) const = default;
};
/// A fraction such as "0.4" or a size such as "512MiB". The error is a sentence.
std::expected<MemoryWatermark, std::string> parse_memory_watermark(std::string_view text);

/// "debug", "info" and so on. The error is a sentence.
std::expected<log::Level, std::string> parse_log_level(std::string_view text);
/// "text" or "json". The error is a sentence.
std::expected<log::Format, std::string> parse_log_format(std::string_view text);

/// $XDG_STATE_HOME/trilby or ~/.local/state/trilby; for root /var/lib/trilby.
std::filesystem::path default_data_directory();
/// The same from what the environment says; an empty text: not set.
std::filesystem::path default_data_directory(bool root, std::string_view xdg_state_home,
                                             std::string_view home);

/// Shards are told apart by the bits of a word.
constexpr unsigned most_threads = 64;
/// What `threads = 0` means on a machine with so many cores; 0: it does not tell.
unsigned default_threads(unsigned cores);

/// All that an operator says: what the shards read, and what only the server does.
struct Configuration : Settings {
    std::filesystem::path file{};  // where it was read from; empty: nowhere
    std::vector<Listener> listeners{{"127.0.0.1", 5672}, {"::1", 5672}};
    std::filesystem::path data_directory = default_data_directory();
    std::optional<std::filesystem::path> definitions;
    unsigned threads = 0;  // 0: as many as there are cores, up to most_threads
    /// So many more connections than the emptiest shard may be where the latest one was placed. A message
    /// that changes shards costs about half as much CPU again, and connections that come together often talk
    /// to each other. 1: spread evenly.
    unsigned connections_together = 8;
    MemoryWatermark memory_watermark;
    std::uint64_t disk_watermark = 50'000'000;  // octets free; 0: only when the journal has no room
    log::Level log_level = log::Level::info;
    log::Format log_format = log::Format::text;
    bool strict = false;       // do not start with a damaged journal
    bool accept_loss = false;  // start with a catalog and a journal that do not belong together

    bool operator==(const Configuration&) const = default;
};

/// A file as it was read.
struct ConfigurationFile {
    Configuration configuration;
    std::map<std::string, std::uint32_t, std::less<>> lines;  // of the keys that it sets
};

/// Reads a TOML file; what it does not say keeps its default. Relative paths in it start at the file's
/// folder. The error is for people: `FILE:LINE: sentence that says what to do`.
std::expected<ConfigurationFile, std::string> read_configuration(const std::filesystem::path& path);
std::expected<Configuration, std::string> load_configuration(const std::filesystem::path& path);

std::vector<std::string_view> configuration_keys();

/// A file that is read as this configuration. What `origin` says of a key stands behind its value.
std::string to_toml(const Configuration& configuration,
                    const std::function<std::string(std::string_view key)>& origin);

}  // namespace trilby::broker
