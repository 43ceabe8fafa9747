// SPDX-License-Identifier: Apache-2.0
#include "broker/server/configuration.hpp"

#include <array>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "broker/server/quantities.hpp"

namespace trilby::broker {
namespace {

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace

std::uint64_t MemoryWatermark::of(std::uint64_t memory_limit) const {
    return bytes ? *bytes : static_cast<std::uint64_t>(fraction * static_cast<double>(memory_limit));
}

std::expected<MemoryWatermark, std::string> parse_memory_watermark(std::string_view text) {
    if (text.find('.') != text.npos) {
        MemoryWatermark watermark;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), watermark.fraction);
        if (read.ec == std::errc{} && read.ptr == text.data() + text.size() && watermark.fraction > 0 &&
            watermark.fraction <= 1) {
            return watermark;
        }
    } else if (const auto bytes = parse_byte_size(text);
               bytes && *bytes > 0 && text.find_first_not_of("0123456789") != text.npos) {
        // A bare number is taken for either: 1 for all of the memory, or for one octet.
        return MemoryWatermark{.bytes = *bytes};
    }
    return std::unexpected(
        fmt::format(R"("{}" is no memory watermark: write a fraction above 0.0 and up to 1.0, such as 0.4, )"
                    R"(or a size such as "512MiB")",
                    text));
}

std::expected<log::Level, std::string> parse_log_level(std::string_view text) {
    using enum log::Level;
    for (const log::Level level : {debug, info, warning, error, critical})
        if (to_text(level) == text) return level;
    return std::unexpected(
        fmt::format("\"{}\" is no log level: write debug, info, warning, error or critical", text));
}

std::expected<log::Format, std::string> parse_log_format(std::string_view text) {
    if (text == "text") return log::Format::text;
    if (text == "json") return log::Format::json;
    return std::unexpected(fmt::format("\"{}\" is no log format: write text or json", text));
}

std::filesystem::path default_data_directory(bool root, std::string_view xdg_state_home,
                                             std::string_view home) {
    const std::filesystem::path state{xdg_state_home};
    if (root || (!state.is_absolute() && home.empty())) return "/var/lib/trilby";
    // The XDG base directory specification: a relative path is to be ignored.
    return (state.is_absolute() ? state : std::filesystem::path{home} / ".local/state") / "trilby";
}

std::filesystem::path default_data_directory() {
    auto home = environment("HOME");
    if (home.empty()) {
        if (const passwd* user = ::getpwuid(::geteuid()); user != nullptr) home = user->pw_dir;
    }
    return default_data_directory(::geteuid() == 0, environment("XDG_STATE_HOME"), home);
}

unsigned default_threads(unsigned cores) {
    return std::clamp(cores, 1u, most_threads);
}

}  // namespace trilby::broker
